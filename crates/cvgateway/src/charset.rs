//! A message in the character set of CareVue.

use protogen_core::hl7::{CR, CharacterSet, LF, Message, UnknownCharacterSet};
use protogen_core::roman8;

use crate::profile::Charset;

/// MSH-18, which declares the character set.
const DECLARATION: usize = 18;

/// A message whose characters were changed.
#[derive(Debug)]
pub(crate) struct Transcoded {
    /// The whole message, with an empty MSH-18.
    pub(crate) bytes: Vec<u8>,
    /// How many characters CareVue's set does not have: each became `?`.
    pub(crate) lost: usize,
}

/// The message in another character set.
///
/// # Errors
/// MSH-18 names a set that is not known, so that its bytes cannot be understood.
pub(crate) fn transcode(message: &Message, to: Charset) -> Result<Transcoded, UnknownCharacterSet> {
    let text = CharacterSet::of(message)?.decode(message.bytes());
    let mut lost = 0;
    let mut bytes = Vec::with_capacity(text.len());
    for c in text.trim_start_matches('\u{FEFF}').chars() {
        bytes.push(byte_of(c, to).unwrap_or_else(|| {
            lost += 1;
            b'?'
        }));
    }
    undeclare(&mut bytes);
    Ok(Transcoded { bytes, lost })
}

/// The id that lost a character on its way into another character set, as its field's name: CareVue would take it for
/// another patient's.
pub(crate) fn lost_id(message: &Message, to: Charset) -> Option<&'static str> {
    let set = CharacterSet::of(message).ok()?;
    let loses = |segment: [u8; 3], field: usize| {
        message.named(segment).any(|segment| {
            let id = segment.field(field).repetition(1).component(1);
            set.decode(id.raw()).chars().any(|c| byte_of(c, to).is_none())
        })
    };
    [(*b"PID", 3, "PID-3"), (*b"PV1", 19, "PV1-19")]
        .into_iter()
        .find_map(|(segment, field, name)| loses(segment, field).then_some(name))
}

/// A text of the profile in a character set; what it lacks becomes `?`.
pub(crate) fn encode(text: &str, to: Charset) -> Vec<u8> {
    text.chars().map(|c| byte_of(c, to).unwrap_or(b'?')).collect()
}

fn byte_of(c: char, to: Charset) -> Option<u8> {
    match to {
        Charset::HpRoman8 => roman8::encode_char(c),
        Charset::Latin1 => u8::try_from(u32::from(c)).ok(),
        Charset::Ascii => c.is_ascii().then_some(c as u8),
    }
}

/// Empties MSH-18: what it declares is so no longer.
fn undeclare(bytes: &mut Vec<u8>) {
    let Some(separator) = bytes.get(3).copied() else { return };
    let end = bytes.iter().position(|byte| matches!(*byte, CR | LF)).unwrap_or(bytes.len());
    let mut starts = (0..end).filter(|at| bytes[*at] == separator).map(|at| at + 1);
    // The separator before MSH-n is the (n - 1)th, for MSH-1 is the first separator itself.
    let Some(start) = starts.nth(DECLARATION - 2) else { return };
    let stop = starts.next().map_or(end, |next| next - 1);
    bytes.drain(start..stop);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn through(text: &[u8], to: Charset) -> (Vec<u8>, usize) {
        let done = transcode(&Message::parse(text).unwrap(), to).unwrap();
        (done.bytes, done.lost)
    }

    #[test]
    fn characters_become_those_of_carevue() {
        let head = "MSH|^~\\&|A||||||ADT^A01|1|P|2.4||||||";
        let text = format!("{head}UNICODE UTF-8|x\rPID|1||Müller\u{17e}\r");
        let expected = |name: &[u8]| [format!("{head}|x\rPID|1||").as_bytes(), name, b"\r"].concat();
        assert_eq!(through(text.as_bytes(), Charset::HpRoman8), (expected(b"M\xCFller?"), 1));
        assert_eq!(through(text.as_bytes(), Charset::Latin1), (expected(b"M\xFCller?"), 1));
        assert_eq!(through(text.as_bytes(), Charset::Ascii), (expected(b"M?ller?"), 2));
        let latin = b"MSH|^~\\&|A|||||||||||||||8859/1\rPID|\xE4\r";
        assert_eq!(through(latin, Charset::HpRoman8).0, b"MSH|^~\\&|A|||||||||||||||\rPID|\xCC\r");
        let unknown = Message::parse(b"MSH|^~\\&|A|||||||||||||||KLINGON\r").unwrap();
        assert!(transcode(&unknown, Charset::Ascii).is_err());
    }
}
