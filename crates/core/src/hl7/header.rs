//! The checks of a message's header that come before its content (HL7 v2 chapter 2, original mode, step 1).

use super::ack::{ErrorCode, ErrorDetail};
use super::message::Message;
use super::path::Path;

/// What a receiver takes. What fails here is rejected (AR, or CR in enhanced mode).
#[derive(Debug, Clone, Copy)]
pub struct Accepted<'a> {
    /// Message types and events, `ORU` for all its events, `ADT^A01` for one. Empty: all.
    pub types: &'a [&'a str],
    /// Versions, as MSH-12.1 has them. Empty: all.
    pub versions: &'a [&'a str],
    /// Processing ids, as MSH-11.1 has them (P, T, D). Empty: all.
    pub processing_ids: &'a [&'a str],
}

impl Accepted<'_> {
    /// The first of type, event, version and processing id that is not accepted.
    pub fn judge(&self, message: &Message) -> Result<(), ErrorDetail> {
        let msh = Path::segment(*b"MSH");
        let found = |n: usize, component: usize| {
            String::from_utf8_lossy(message.header(n).component(component).raw()).into_owned()
        };
        let (kind, event) = (found(9, 1), found(9, 2));
        let whole = format!("{kind}^{event}");
        let refused = |path: Path, code: ErrorCode, what: &str| {
            Err(ErrorDetail {
                location: Some(path),
                code,
                text: format!("{} is not accepted here", quoted(what)),
            })
        };
        if !self.types.is_empty() && !self.types.iter().any(|&t| t == kind || t == whole) {
            let of_type = |t: &&str| t.strip_prefix(kind.as_str()).is_some_and(|rest| rest.starts_with('^'));
            return match self.types.iter().any(of_type) {
                true => refused(msh.field(9).component(2), ErrorCode::UnsupportedEventCode, &whole),
                false => refused(msh.field(9).component(1), ErrorCode::UnsupportedMessageType, &whole),
            };
        }
        let among = |list: &[&str], value: &str| list.is_empty() || list.contains(&value);
        if !among(self.versions, &found(12, 1)) {
            return refused(msh.field(12), ErrorCode::UnsupportedVersionId, &found(12, 1));
        }
        if !among(self.processing_ids, &found(11, 1)) {
            return refused(msh.field(11), ErrorCode::UnsupportedProcessingId, &found(11, 1));
        }
        Ok(())
    }
}

/// A value of a message in a text that goes back to its sender: short, and in ASCII, whatever the sender's set.
fn quoted(value: &str) -> String {
    let shown = |c: char| if c.is_ascii() { c } else { '?' };
    let short: String = value.chars().filter(|c| !c.is_control()).take(40).map(shown).collect();
    format!("\"{short}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_value_is_quoted_short_and_in_ascii() {
        let accepted = Accepted { types: &["ORU"], versions: &[], processing_ids: &[] };
        let text = [b"MSH|^~\\&|||||||\xE9\x07", &b"x".repeat(50)[..], b"\r"].concat();
        let error = accepted.judge(&Message::parse(&text).unwrap()).unwrap_err();
        assert_eq!(error.text, format!("\"?{}\" is not accepted here", "x".repeat(39)));
    }

    #[test]
    fn each_header_field_is_judged() {
        let accepted =
            Accepted { types: &["ORU", "ADT^A01"], versions: &["2.1", "2.3"], processing_ids: &["P"] };
        let judge = |kind: &str, version: &str, id: &str| {
            let text = format!("MSH|^~\\&|A|B|C|D|||{kind}|1|{id}|{version}\r");
            accepted
                .judge(&Message::parse(text.as_bytes()).unwrap())
                .map_err(|e| (e.code, e.location.unwrap().to_string()))
        };
        assert_eq!(judge("ADT^A01", "2.3", "P"), Ok(()));
        assert_eq!(judge("ORU^R01", "2.1", "P"), Ok(()));
        assert_eq!(judge("ADT^A99", "2.3", "P"), Err((ErrorCode::UnsupportedEventCode, "MSH-9.2".into())));
        assert_eq!(judge("XXX^A01", "2.3", "P"), Err((ErrorCode::UnsupportedMessageType, "MSH-9.1".into())));
        assert_eq!(judge("", "2.3", "P"), Err((ErrorCode::UnsupportedMessageType, "MSH-9.1".into())));
        assert_eq!(judge("ORU", "2.9", "P"), Err((ErrorCode::UnsupportedVersionId, "MSH-12".into())));
        assert_eq!(judge("ORU", "2.1", "T"), Err((ErrorCode::UnsupportedProcessingId, "MSH-11".into())));
    }
}
