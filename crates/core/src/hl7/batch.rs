//! Batches: `[FHS] { [BHS] {MSH…} [BTS] } [FTS]` (HL7 v2 chapter 2, "The batch protocol").

use super::delimiters::Delimiters;
use super::index::Index;
use super::message::Message;
use super::split::{Item, Kind};
use std::fmt;

/// A disorder in a batch. None of them stops the messages: they are delivered, and a person is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchFault {
    /// Where, in the stream.
    pub offset: u64,
    /// What.
    pub text: String,
}

impl fmt::Display for BatchFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {}: {}", self.offset, self.text)
    }
}

/// Follows a stream of items and checks order and counts.
#[derive(Debug, Default)]
pub struct BatchCheck {
    file: bool,
    batch: bool,
    messages: u64,
    batches: u64,
}

impl BatchCheck {
    /// Takes the next item.
    pub fn observe(&mut self, item: &Item) -> Option<BatchFault> {
        let fault = |text: String| Some(BatchFault { offset: item.body_offset(), text });
        match item.kind {
            Kind::FileHeader => {
                let unfinished = std::mem::replace(self, BatchCheck { file: true, ..Self::default() });
                (unfinished.file || unfinished.batch).then_some(())?;
                fault("FHS before the last batch or file was ended by BTS or FTS".into())
            }
            Kind::BatchHeader => {
                self.messages = 0;
                self.batches += 1;
                std::mem::replace(&mut self.batch, true).then_some(())?;
                fault("BHS before the last batch was ended by BTS".into())
            }
            Kind::Message => {
                self.messages += 1;
                None
            }
            Kind::BatchTrailer => match std::mem::take(&mut self.batch) {
                false => fault("BTS without BHS".into()),
                true => fault(miscount("BTS-1", &trailer_count(item)?, self.messages, "messages")?),
            },
            Kind::FileTrailer => {
                let ended = std::mem::take(self);
                match (ended.file, ended.batch) {
                    (false, _) => fault("FTS without FHS".into()),
                    (_, true) => fault("FTS before the last batch was ended by BTS".into()),
                    _ => fault(miscount("FTS-1", &trailer_count(item)?, ended.batches, "batches")?),
                }
            }
            Kind::Other => None,
        }
    }

    /// What is still open at the end of the stream, which is `offset` bytes long.
    pub fn finish(&self, offset: u64) -> Option<BatchFault> {
        let missing = match (self.batch, self.file) {
            (true, _) => "BTS",
            (_, true) => "FTS",
            _ => return None,
        };
        Some(BatchFault { offset, text: format!("the stream ends before {missing}") })
    }
}

/// BTS-1 or FTS-1; none if it is empty. A trailer has no delimiters of its own: the character after its name
/// divides its fields.
fn trailer_count(item: &Item) -> Option<Vec<u8>> {
    let body = item.body();
    let separator = *body.get(3)?;
    let end = |b: &u8| *b == separator || *b == b'\r' || *b == b'\n';
    let count = body[4..].split(end).next()?;
    (!count.is_empty()).then(|| count.to_vec())
}

fn miscount(field: &str, said: &[u8], found: u64, what: &str) -> Option<String> {
    let said = String::from_utf8_lossy(said).into_owned();
    match said.trim().parse::<u64>() {
        Ok(count) if count == found => None,
        Ok(count) => Some(format!("{field} says {count} {what}, but there are {found}")),
        Err(_) => Some(format!("{field} is \"{}\", expected a number", said.escape_debug())),
    }
}

/// The header of an answering batch: parties exchanged, BHS-12 (FHS-12) the control id of what is answered.
/// None if `header` is no FHS or BHS segment.
pub fn answering_header(header: &[u8], time: &[u8], control_id: &[u8]) -> Option<Vec<u8>> {
    let request = Message::parse_header(header, Index::default(), &[b"FHS", b"BHS"]).ok()?;
    let raw = |n: usize| request.header(n).raw();
    let fields: [&[u8]; 11] =
        [raw(2), raw(5), raw(6), raw(3), raw(4), time, b"", b"", b"", control_id, raw(11)];
    let mut out = request.at(0)?.name().to_vec();
    for field in fields {
        out.push(request.delimiters().field);
        out.extend_from_slice(field);
    }
    out.push(b'\r');
    Some(out)
}

/// The trailer of a batch (`BTS`) or file (`FTS`) with its count.
pub fn trailer(name: &[u8; 3], count: u64, delimiters: &Delimiters) -> Vec<u8> {
    [name.as_slice(), &[delimiters.field], count.to_string().as_bytes(), b"\r"].concat()
}

#[cfg(test)]
mod tests {
    use super::super::split::{MAX_MESSAGE, split};
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let mut check = BatchCheck::default();
        let mut found = Vec::new();
        split(text.as_bytes(), MAX_MESSAGE, |item| found.extend(check.observe(item))).unwrap();
        found.extend(check.finish(text.len() as u64));
        found.iter().map(BatchFault::to_string).collect()
    }

    #[test]
    fn orderly_batches_have_no_fault() {
        for text in [
            "FHS|^~\\&\rBHS|^~\\&\rMSH|1\rMSH|2\rBTS|2\rBHS|^~\\&\rBTS|0\rFTS|2\r",
            "BHS|^~\\&\rMSH|1\rBTS\r",
            "MSH|1\rMSH|2\r",
            "MSH|1\rBHS|^~\\&\rMSH|1\rBTS|1\rMSH|1\rBHS|^~\\&\rMSH|1\rBTS|1\r",
            "FHS|^~\\&\rMSH|1\rFTS||no count\r",
            "",
        ] {
            assert!(faults(text).is_empty(), "{text}: {:?}", faults(text));
        }
    }

    #[test]
    fn each_fault_is_named() {
        for (text, fault) in [
            ("BHS|^~\\&\rMSH|1\rBTS|2\r", "byte 15: BTS-1 says 2 messages, but there are 1"),
            ("BHS|^~\\&\rBTS|x\r", "byte 9: BTS-1 is \"x\", expected a number"),
            ("FHS|^~\\&\rFTS|1\r", "byte 9: FTS-1 says 1 batches, but there are 0"),
            ("BTS|1\r", "byte 0: BTS without BHS"),
            ("FTS|1\r", "byte 0: FTS without FHS"),
            ("BHS|^~\\&\rBHS|^~\\&\rBTS\r", "byte 9: BHS before the last batch was ended by BTS"),
            (
                "FHS|^~\\&\rFHS|^~\\&\rFTS\r",
                "byte 9: FHS before the last batch or file was ended by BTS or FTS",
            ),
            ("FHS|^~\\&\rBHS|^~\\&\rFTS|1\r", "byte 18: FTS before the last batch was ended by BTS"),
            ("BHS|^~\\&\rMSH|1\r", "byte 15: the stream ends before BTS"),
            ("FHS|^~\\&\r", "byte 9: the stream ends before FTS"),
        ] {
            assert_eq!(faults(text), [fault], "{text}");
        }
    }

    #[test]
    fn an_answering_batch_refers_to_what_it_answers() {
        let header = answering_header(b"BHS|^~\\&|A|B|C|D|1996||||77\r", b"2026", b"9").unwrap();
        assert_eq!(header, b"BHS|^~\\&|C|D|A|B|2026||||9|77\r");
        assert_eq!(answering_header(b"MSH|^~\\&|A\r", b"", b""), None);
        assert_eq!(trailer(b"BTS", 3, &Delimiters::default()), b"BTS|3\r");
    }
}
