//! The answers that the driver gives itself: rejections, and its counters.

use jiff::ZonedDateTime;
use protogen_core::hl7::{
    AckCode, Acknowledgment, Delimiters, Kind, Message, Statistics, answer_network_management,
    answering_header, is_acknowledgment, reject_unreadable, split, trailer,
};
use protogen_core::llp::Counters;

/// Makes answers, each with a control id of its own.
#[derive(Debug)]
pub(crate) struct Answers {
    name: String,
    source: String,
    since: String,
    count: u64,
}

/// The time as HL7 writes it, with the offset from UTC.
fn now() -> String {
    ZonedDateTime::now().strftime("%Y%m%d%H%M%S%z").to_string()
}

impl Answers {
    /// For a driver of this name, on this line.
    pub(crate) fn new(name: &str, source: &str) -> Answers {
        // A line's name may hold what divides fields.
        let plain = |c: char| if c.is_ascii_alphanumeric() || "/._-%:[]".contains(c) { c } else { '?' };
        Answers { name: name.to_owned(), source: source.chars().map(plain).collect(), since: now(), count: 0 }
    }

    fn next_id(&mut self, time: &str) -> String {
        self.count += 1;
        format!("{}{}", time.get(..14).unwrap_or(time), self.count)
    }

    /// The AR to a message, or to each message of a batch; none where no HL7 answer can be built, or may be given.
    pub(crate) fn reject(&mut self, request: &[u8], text: &str) -> Option<Vec<u8>> {
        if request.starts_with(b"FHS") || request.starts_with(b"BHS") {
            return self.reject_batch(request, text);
        }
        let time = now();
        let id = self.next_id(&time);
        let (time, id, text) = (time.as_bytes(), id.as_bytes(), text.as_bytes());
        match Message::parse(request) {
            Ok(message) if is_acknowledgment(&message) => None,
            Ok(message) => {
                let reject =
                    Acknowledgment { time, control_id: id, text, ..Acknowledgment::new(AckCode::AR) };
                Some(reject.answer(&message))
            }
            Err(_) => reject_unreadable(request, time, id, text),
        }
    }

    fn reject_batch(&mut self, request: &[u8], text: &str) -> Option<Vec<u8>> {
        let (mut answer, mut delimiters, mut messages, mut batches) =
            (Vec::new(), Delimiters::default(), 0, 0);
        split(request, request.len() + 1, |item| match item.kind {
            Kind::FileHeader | Kind::BatchHeader => {
                delimiters = Delimiters::from_header(item.body()).unwrap_or_default();
                batches += u64::from(item.kind == Kind::BatchHeader);
                messages = 0;
                let time = now();
                let id = self.next_id(&time);
                answer.extend(
                    answering_header(item.body(), time.as_bytes(), id.as_bytes()).unwrap_or_default(),
                );
            }
            Kind::Message => {
                let reject = self.reject(item.body(), text);
                messages += u64::from(reject.is_some());
                answer.extend(reject.unwrap_or_default());
            }
            Kind::BatchTrailer => answer.extend(trailer(b"BTS", messages, &delimiters)),
            Kind::FileTrailer => answer.extend(trailer(b"FTS", batches, &delimiters)),
            Kind::Other => {}
        })
        .ok()?;
        (!answer.is_empty()).then_some(answer)
    }

    /// The answer to network management that is meant for the driver itself; none for every other message.
    ///
    /// What NST has no field for stands in a note behind it (HL7 v2.2 appendix C lets one follow each segment).
    pub(crate) fn management(&mut self, request: &[u8], counters: &Counters) -> Option<Vec<u8>> {
        let message = Message::parse(request).ok()?;
        if message.header(5).component(1).raw() != self.name.as_bytes() {
            return None;
        }
        let time = now();
        let id = self.next_id(&time);
        let counts = [
            counters.bytes_in,
            counters.bytes_out,
            counters.messages_in,
            counters.messages_out,
            counters.checksum_errors,
            counters.length_errors,
            counters.other_errors,
            counters.connect_timeouts,
            counters.receive_timeouts,
            counters.network_errors,
        ];
        let statistics = Statistics {
            source: self.source.as_bytes(),
            start: self.since.as_bytes(),
            end: time.as_bytes(),
            counts,
        };
        let (time, id) = (time.as_bytes(), id.as_bytes());
        let own = Acknowledgment { time, control_id: id, ..Acknowledgment::new(AckCode::AA) };
        let mut answer = answer_network_management(&message, Some(&statistics), &own)?;
        if answer.windows(4).any(|part| part == b"\rNST") {
            let bar = char::from(message.delimiters().field);
            answer.extend(format!("NTE{bar}1{bar}L{bar}{}\r", more(counters)).bytes());
        }
        Some(answer)
    }
}

/// The counters that NST has no field for.
pub(crate) fn more(counters: &Counters) -> String {
    let Counters { blocks_in, blocks_out, naks_in, naks_out, retries, sessions, failed, .. } = counters;
    format!(
        "blocks in {blocks_in} out {blocks_out}, NAKs in {naks_in} out {naks_out}, retries {retries}, \
         sessions {sessions}, failed {failed}"
    )
}

/// Adds the counters of one connection to those of the line.
pub(crate) fn add(total: &mut Counters, one: &Counters) {
    total.bytes_in += one.bytes_in;
    total.bytes_out += one.bytes_out;
    total.messages_in += one.messages_in;
    total.messages_out += one.messages_out;
    total.blocks_in += one.blocks_in;
    total.blocks_out += one.blocks_out;
    total.naks_in += one.naks_in;
    total.naks_out += one.naks_out;
    total.retries += one.retries;
    total.sessions += one.sessions;
    total.checksum_errors += one.checksum_errors;
    total.length_errors += one.length_errors;
    total.other_errors += one.other_errors;
    total.connect_timeouts += one.connect_timeouts;
    total.receive_timeouts += one.receive_timeouts;
    total.network_errors += one.network_errors;
    total.failed += one.failed;
}

/// Whether bytes begin as HL7 does: a message, a batch or a file.
pub(crate) fn is_hl7(bytes: &[u8]) -> bool {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    [b"MSH", b"FHS", b"BHS"].iter().any(|name| bytes.starts_with(*name))
}

/// A message named by type, control id and size, as logs name it: nothing of the patient.
pub(crate) fn about(bytes: &[u8]) -> String {
    let length = bytes.len();
    match Message::parse(bytes) {
        Ok(message) => {
            let id = message.control_id().escape_ascii();
            format!("{} \"{id}\", {length} bytes", message.header(9).raw().escape_ascii())
        }
        Err(_) if is_hl7(bytes) => format!("batch, {length} bytes"),
        Err(_) => format!("{length} bytes that are no message"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(answer: Option<Vec<u8>>) -> String {
        String::from_utf8(answer.unwrap_or_default()).unwrap()
    }

    #[test]
    fn rejections() {
        let mut answers = Answers::new("LLPDRV", "cua00");
        let request = b"MSH|^~\\&|A||B||1996||ADT^A01|7|P|2.1\r";
        assert!(text(answers.reject(request, "line busy")).ends_with("\rMSA|AR|7|line busy\r"));
        assert!(text(answers.reject(b"MSH|", "line busy")).ends_with("\rMSA|AR||line busy\r"));
        assert_eq!(answers.reject(b"hello", "x"), None);
        assert_eq!(
            answers.reject(b"MSH|^~\\&|A||B||1||ACK|7|P|2.1\rMSA|AA|1\r", "x"),
            None,
            "no ACK of an ACK"
        );
    }

    #[test]
    fn a_batch_is_answered_by_a_batch() {
        let mut answers = Answers::new("LLPDRV", "cua00");
        let batch = b"BHS|^~\\&|A|F|B|G\rMSH|^~\\&|A||B||1||ADT|1|P|2.1\rPID|1\rMSH|^~\\&|A||B||1||ADT|2|P|2.1\rBTS|2\r";
        let answer = text(answers.reject(batch, "no destination"));
        assert!(answer.starts_with("BHS|^~\\&|B|G|A|F|") && answer.ends_with("BTS|2\r"), "{answer}");
        assert!(answer.contains("MSA|AR|1|no destination\r") && answer.contains("MSA|AR|2|no destination\r"));
    }

    #[test]
    fn the_counters_are_for_who_asks_the_driver() {
        let mut answers = Answers::new("LLPDRV", "a|b");
        let mut counters = Counters::default();
        (counters.bytes_in, counters.naks_out) = (10, 3);
        let asked = b"MSH|^~\\&|A||LLPDRV||1||NMQ|1|P|2.1\rNST\r";
        let answer = text(answers.management(asked, &counters));
        assert!(
            answer.contains("MSA|AA|1\rNST|Y|a?b||") && answer.contains("|10|0|0|0|0|0|0|0|0|0\rNTE|1|L|")
        );
        assert!(answer.contains("NAKs in 0 out 3"), "{answer}");
        assert_eq!(answers.management(b"MSH|^~\\&|A||OTHER||1||NMQ|1|P|2.1\rNST\r", &counters), None);
        assert_eq!(answers.management(b"MSH|^~\\&|A||LLPDRV||1||ADT|1|P|2.1\r", &counters), None);
    }
}
