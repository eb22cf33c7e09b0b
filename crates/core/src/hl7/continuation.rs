//! Long messages in pieces (HL7 v2 chapter 2, "Message construction rules": ADD, DSC, MSH-14).
//!
//! Within one message an ADD segment goes on where the segment before it stopped (v2.4 and later). Across
//! messages, DSC-1 of one is MSH-14 of the next.

use super::delimiters::{CR, LF};
use super::message::Message;
use std::borrow::Cow;

/// Segments that cannot be continued.
const WHOLE: [&[u8]; 8] = [b"MSH", b"MSA", b"DSC", b"PID", b"QRD", b"QRF", b"URD", b"URS"];

/// How the next piece is to be had (DSC-2, since v2.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Style {
    /// `F`, or not said: the sender goes on by itself.
    Fragment,
    /// `I`: the receiver asks for more.
    Interactive,
}

/// The end of a message that another continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Continued<'a> {
    /// DSC-1, what MSH-14 of the next message will be.
    pub pointer: &'a [u8],
    /// Who brings the next piece.
    pub style: Style,
}

/// The continuation that a message announces by its last segment; none if it is whole, or the last piece.
pub fn continued<'a>(message: &Message<'a>) -> Option<Continued<'a>> {
    let last = message.segments().next_back()?;
    let pointer = last.field(1).raw();
    if last.name() != b"DSC" || pointer.is_empty() {
        return None;
    }
    let style = if last.field(2).raw() == b"I" { Style::Interactive } else { Style::Fragment };
    Some(Continued { pointer, style })
}

/// The pointer of the piece before, for a message that continues one (MSH-14).
pub fn continues<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    Some(message.header(14).raw()).filter(|pointer| !pointer.is_empty())
}

/// The message with each ADD segment appended to the segment before it; borrowed if it has none.
///
/// An ADD that follows a segment which cannot be continued stays as it is.
pub fn join_added<'a>(message: &Message<'a>) -> Cow<'a, [u8]> {
    let bytes = message.bytes();
    if message.named(*b"ADD").next().is_none() {
        return Cow::Borrowed(bytes);
    }
    let field = message.delimiters().field;
    let mut out = Vec::with_capacity(bytes.len());
    let mut copied = 0;
    let mut continuable = false;
    for segment in message.segments() {
        if segment.name() != b"ADD" {
            continuable = !WHOLE.contains(&segment.name());
            continue;
        }
        let span = segment.span();
        if !continuable {
            continue;
        }
        out.extend_from_slice(&bytes[copied..span.start]);
        while matches!(out.last(), Some(&(CR | LF))) {
            out.pop();
        }
        // What follows `ADD|` is appended as it stands.
        copied = span.end.min(span.start + 3 + usize::from(bytes.get(span.start + 3) == Some(&field)));
    }
    out.extend_from_slice(&bytes[copied..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(text: &str) -> String {
        let message = Message::parse(text.as_bytes()).unwrap();
        String::from_utf8(join_added(&message).into_owned()).unwrap()
    }

    #[test]
    fn added_text_is_appended_raw() {
        let text = "MSH|^~\\&|A\rOBX|C|34\rADD|5|678|\rADD|90\rNTE|1\r";
        assert_eq!(joined(text), "MSH|^~\\&|A\rOBX|C|345|678|90\rNTE|1\r");
        assert_eq!(joined("MSH|^~\\&|A\r\nOBX|C|34\r\nADD|5\r\n"), "MSH|^~\\&|A\r\nOBX|C|345\r\n");
        assert_eq!(joined("MSH|^~\\&|A\rOBX|1\rADD\rDSC|p\r"), "MSH|^~\\&|A\rOBX|1\rDSC|p\r");
    }

    #[test]
    fn some_segments_cannot_be_continued() {
        let text = "MSH|^~\\&|A\rADD|x\rPID|1\rADD|2\r";
        assert_eq!(joined(text), text);
        for name in ["MSA", "PID", "DSC", "QRD", "QRF", "URD", "URS"] {
            let text = format!("MSH|^~\\&|A\r{name}|1\rADD|2\r");
            assert_eq!(joined(&text), text);
        }
        assert!(matches!(join_added(&Message::parse(b"MSH|^~\\&|A\r").unwrap()), Cow::Borrowed(_)));
    }

    #[test]
    fn who_continues_whom() {
        let first = Message::parse(b"MSH|^~\\&|A\rDSC|p1|I\r").unwrap();
        assert_eq!(continued(&first), Some(Continued { pointer: b"p1", style: Style::Interactive }));
        let second = Message::parse(b"MSH|^~\\&||||||||2|P|2.4||p1\rADD|x\rDSC|\r").unwrap();
        assert_eq!((continues(&second), continued(&second)), (Some(&b"p1"[..]), None));
        assert_eq!(continues(&first), None);
    }
}
