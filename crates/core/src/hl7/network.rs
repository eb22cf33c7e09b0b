//! Network management: NMD, NMQ and NMR (HL7 v2.1 to v2.3 appendix C, v2.4 chapter 14).

use super::ack::{AckCode, Acknowledgment, ErrorCode, ErrorDetail, Outcome};
use super::message::Message;
use super::path::Path;

/// The counters of a link, for NST-4 to NST-15.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics<'a> {
    /// NST-2, the name of the port or line.
    pub source: &'a [u8],
    /// NST-4 and NST-5: since when and until when was counted, in HL7's time format.
    pub start: &'a [u8],
    /// See `start`.
    pub end: &'a [u8],
    /// NST-6 to NST-15 in order: characters received and sent, messages received and sent, checksum errors, length
    /// errors, other errors, connect timeouts, receive timeouts, application control-level errors.
    pub counts: [u64; 10],
}

/// NMD, NMQ or NMR. They carry no sequence number that counts.
pub fn is_network_management(message: &Message) -> bool {
    matches!(message.header(9).component(1).raw(), b"NMD" | b"NMQ" | b"NMR")
}

/// The answer to an NMD or NMQ: an ACK, or an NMR that has each segment which was asked for. None for anything
/// else. `own` supplies time and control id.
///
/// `NSC` asks an application to start, stop or move; that is refused (AR 207). The clock is reported, never set:
/// whoever wants to log the sender's finds it in NCK-1 of the request.
pub fn answer(request: &Message, statistics: Option<&Statistics>, own: &Acknowledgment) -> Option<Vec<u8>> {
    match request.header(9).component(1).raw() {
        b"NMD" => {
            let ack = Acknowledgment { code: AckCode::AA, ..own.clone() };
            Some(ack.answer(request))
        }
        b"NMQ" => Some(reply(request, statistics, own)),
        _ => None,
    }
}

fn reply(request: &Message, statistics: Option<&Statistics>, own: &Acknowledgment) -> Vec<u8> {
    let asked = |name: &[u8; 3]| request.named(*name).next().is_some();
    let refusal = |code, location, text: &str| ErrorDetail { location, code, text: text.into() };
    let problem = if asked(b"NSC") {
        let text = "system change requests are not accepted";
        Some((
            Outcome::Rejected,
            refusal(ErrorCode::ApplicationInternalError, Some(Path::segment(*b"NSC")), text),
        ))
    } else if !asked(b"NCK") && !asked(b"NST") {
        let text = "NMQ without NCK, NST or NSC";
        Some((Outcome::Error, refusal(ErrorCode::SegmentSequenceError, None, text)))
    } else {
        None
    };
    let mut out = Vec::with_capacity(256);
    if let Some((outcome, error)) = problem {
        let code = if outcome == Outcome::Rejected { AckCode::AR } else { AckCode::AE };
        let errors = [error];
        let text = errors[0].text.clone();
        let ack = Acknowledgment { code, text: text.as_bytes(), errors: &errors, ..own.clone() };
        ack.write_as(request, b"NMR", &mut out);
        return out;
    }
    Acknowledgment { code: AckCode::AA, ..own.clone() }.write_as(request, b"NMR", &mut out);
    let field = request.delimiters().field;
    let query = request.segments().filter(|segment| matches!(segment.name(), b"QRD" | b"QRF"));
    for segment in query {
        out.extend_from_slice(segment.raw());
        out.push(b'\r');
    }
    if asked(b"NCK") {
        write_segment(b"NCK", &[own.time.to_vec()], field, &mut out);
    }
    if asked(b"NST") {
        write_segment(b"NST", &statistics.map_or_else(|| vec![b"N".to_vec()], fields), field, &mut out);
    }
    out
}

fn fields(statistics: &Statistics) -> Vec<Vec<u8>> {
    let Statistics { source, start, end, counts } = statistics;
    [b"Y".to_vec(), source.to_vec(), Vec::new(), start.to_vec(), end.to_vec()]
        .into_iter()
        .chain(counts.iter().map(|count| count.to_string().into_bytes()))
        .collect()
}

fn write_segment(name: &[u8; 3], fields: &[Vec<u8>], separator: u8, out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    for field in fields {
        out.push(separator);
        out.extend_from_slice(field);
    }
    out.push(b'\r');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(kind: &str, segments: &str) -> Option<String> {
        let text = format!("MSH|^~\\&|A||B||1996||{kind}|1|P|2.1\r{segments}");
        let statistics = Statistics {
            source: b"cua0",
            start: b"1995",
            end: b"1996",
            counts: [10, 20, 1, 2, 3, 4, 5, 6, 7, 8],
        };
        let own = Acknowledgment { time: b"20261123", control_id: b"9", ..Acknowledgment::new(AckCode::AA) };
        let request = Message::parse(text.as_bytes()).unwrap();
        answer(&request, Some(&statistics), &own).map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn data_is_acknowledged() {
        let text = answered("NMD", "NCK|1996\r").unwrap();
        assert_eq!(text, "MSH|^~\\&|B||A||20261123||ACK|9|P|2.1\rMSA|AA|1\r");
        assert!(answered("NMD^", "").is_some());
        assert_eq!((answered("ADT^A01", ""), answered("NMR", "MSA|AA|1\r")), (None, None));
        for (kind, is) in [("NMD", true), ("NMQ^", true), ("NMR", true), ("ADT", false)] {
            let text = format!("MSH|^~\\&|||||||{kind}|1|P|2.1\r");
            assert_eq!(is_network_management(&Message::parse(text.as_bytes()).unwrap()), is, "{kind}");
        }
    }

    #[test]
    fn a_query_gets_what_it_asks_for() {
        let head = "MSH|^~\\&|B||A||20261123||NMR|9|P|2.1\r";
        assert_eq!(answered("NMQ", "NCK\r").unwrap(), format!("{head}MSA|AA|1\rNCK|20261123\r"));
        assert_eq!(
            answered("NMQ", "QRD|q\rQRF|f\rNCK\rNST\r").unwrap(),
            format!(
                "{head}MSA|AA|1\rQRD|q\rQRF|f\rNCK|20261123\rNST|Y|cua0||1995|1996|10|20|1|2|3|4|5|6|7|8\r"
            )
        );
    }

    #[test]
    fn a_system_change_is_refused() {
        let text = answered("NMQ", "NSC|SD\r").unwrap();
        assert!(text.contains("MSA|AR|1|system change") && text.contains("ERR|NSC^1^^207&"), "{text}");
        assert!(answered("NMQ", "").unwrap().contains("MSA|AE|1|NMQ without"));
    }

    #[test]
    fn without_statistics_the_link_is_alive() {
        let own = Acknowledgment::new(AckCode::AA);
        let request = Message::parse(b"MSH|^~\\&|||||||NMQ|1|P|2.1\rNST\r").unwrap();
        assert!(answer(&request, None, &own).unwrap().ends_with(b"\rNST|N\r"));
    }
}
