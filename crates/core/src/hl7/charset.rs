//! Character sets by MSH-18 (HL7 table 0211).

use super::Message;
use super::delimiters::Width;
use encoding_rs::{DecoderResult, Encoding};
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// A character set that MSH-18 can name.
///
/// Bytes of an unknown or undeclared set are taken as UTF-8 if they are, else as ISO 8859-1: what senders that
/// say nothing really send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum CharacterSet {
    /// MSH-18 is empty, or says ASCII: what is not ASCII is guessed.
    Ascii,
    /// ISO 8859-1: byte and code point are the same number.
    Latin1,
    /// Any other single-byte or multi-byte set.
    Other(&'static Encoding, Width),
    /// UTF-8, also where MSH-18 says `UNICODE`.
    Utf8,
}

/// HL7 table 0211, as far as we can read it.
static NAMES: [(&[u8], CharacterSet); 22] = {
    use CharacterSet::{Ascii, Latin1, Other, Utf8};
    use Width::{LeadByte, Shifted, Single};
    use encoding_rs as e;
    [
        (b"UNICODE UTF-8", Utf8),
        (b"8859/1", Latin1),
        (b"ASCII", Ascii),
        (b"\"\"", Ascii),
        (b"ISO IR6", Ascii),
        (b"UNICODE", Utf8),
        (b"8859/2", Other(e::ISO_8859_2, Single)),
        (b"8859/3", Other(e::ISO_8859_3, Single)),
        (b"8859/4", Other(e::ISO_8859_4, Single)),
        (b"8859/5", Other(e::ISO_8859_5, Single)),
        (b"8859/6", Other(e::ISO_8859_6, Single)),
        (b"8859/7", Other(e::ISO_8859_7, Single)),
        (b"8859/8", Other(e::ISO_8859_8, Single)),
        (b"8859/9", Other(e::WINDOWS_1254, Single)),
        (b"8859/15", Other(e::ISO_8859_15, Single)),
        // JIS X 0201 has its katakana where Shift_JIS has them.
        (b"ISO IR13", Other(e::SHIFT_JIS, Single)),
        (b"ISO IR14", Other(e::SHIFT_JIS, Single)),
        (b"ISO IR87", Other(e::ISO_2022_JP, Shifted)),
        (b"GB 18030-2000", Other(e::GB18030, LeadByte)),
        (b"BIG-5", Other(e::BIG5, LeadByte)),
        // Its second bytes are never punctuation, so a character cut short swallows no delimiter.
        (b"KS X 1001", Other(e::EUC_KR, Single)),
        (b"UTF-8", Utf8),
    ]
};

/// MSH-18 names a set we cannot read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownCharacterSet {
    /// MSH-18 as it stands.
    pub name: Vec<u8>,
}

impl fmt::Display for UnknownCharacterSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name.escape_ascii();
        write!(
            f,
            "MSH-18 names the character set \"{name}\", expected one of HL7 table 0211 such as 8859/1 or UNICODE UTF-8"
        )
    }
}

impl Error for UnknownCharacterSet {}

impl CharacterSet {
    /// The set of a message, by the first repetition of its MSH-18 (BHS and FHS have none).
    ///
    /// Japanese messages name the set that is switched to in a later repetition and leave the first empty, or name
    /// an ASCII there. Bytes of that set look like delimiters, so it is the one that counts.
    ///
    /// # Errors
    /// When the name is not of table 0211, or is of a set not supported here (UTF-16, UTF-32, CNS 11643, ISO IR159).
    pub fn of(message: &Message) -> Result<Self, UnknownCharacterSet> {
        let field = message.header(18);
        let mut sets = field.repetitions().map(|repetition| Self::from_name(repetition.raw()));
        let first = sets.next().unwrap_or(Ok(CharacterSet::Ascii))?;
        let shifted = sets.flatten().find(|set| set.width() == Width::Shifted);
        Ok(shifted.filter(|_| first.is_ascii_based()).unwrap_or(first))
    }

    /// The set of that name.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn from_name(name: &[u8]) -> Result<Self, UnknownCharacterSet> {
        if name.is_empty() {
            return Ok(CharacterSet::Ascii);
        }
        let known = NAMES.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        known.map(|&(_, set)| set).ok_or_else(|| UnknownCharacterSet { name: name.to_vec() })
    }

    /// ASCII, or one of its Japanese neighbours: a set that ISO 2022 switches to JIS X 0208 from.
    fn is_ascii_based(self) -> bool {
        matches!(self, CharacterSet::Ascii)
            || self == CharacterSet::Other(encoding_rs::SHIFT_JIS, Width::Single)
    }

    /// How characters of this set are made of bytes.
    pub fn width(self) -> Width {
        match self {
            CharacterSet::Other(_, width) => width,
            _ => Width::Single,
        }
    }

    /// The text of these bytes; what does not belong to the set becomes U+FFFD.
    pub fn decode(self, bytes: &[u8]) -> Cow<'_, str> {
        match self {
            CharacterSet::Ascii => match std::str::from_utf8(bytes) {
                Ok(text) => Cow::Borrowed(text),
                Err(_) => latin1(bytes),
            },
            CharacterSet::Latin1 => latin1(bytes),
            CharacterSet::Utf8 => String::from_utf8_lossy(bytes),
            CharacterSet::Other(encoding, _) => encoding.decode_without_bom_handling(bytes).0,
        }
    }

    /// Where the first bytes stand that do not belong to the set.
    pub fn first_fault(self, bytes: &[u8]) -> Option<usize> {
        match self {
            CharacterSet::Ascii => bytes.iter().position(|b| !b.is_ascii()),
            CharacterSet::Latin1 => None,
            CharacterSet::Utf8 => std::str::from_utf8(bytes).err().map(|error| error.valid_up_to()),
            CharacterSet::Other(encoding, _) => first_malformed(encoding, bytes),
        }
    }

    /// The bytes of a text in this set.
    ///
    /// # Errors
    /// The first character that the set does not have. An undeclared set takes ASCII only.
    pub fn encode(self, text: &str) -> Result<Cow<'_, [u8]>, char> {
        let missing = |limit: u32| text.chars().find(|&c| u32::from(c) > limit);
        match self {
            CharacterSet::Utf8 => Ok(Cow::Borrowed(text.as_bytes())),
            CharacterSet::Ascii => match missing(0x7F) {
                Some(c) => Err(c),
                None => Ok(Cow::Borrowed(text.as_bytes())),
            },
            CharacterSet::Latin1 => match missing(0xFF) {
                Some(c) => Err(c),
                None => Ok(Cow::Owned(text.chars().map(|c| c as u8).collect())),
            },
            CharacterSet::Other(encoding, _) => match encoding.encode(text) {
                (bytes, _, false) if encoding != encoding_rs::SHIFT_JIS => Ok(bytes),
                // Of Shift_JIS only the single bytes are JIS X 0201.
                (bytes, _, false) if bytes.len() == text.chars().count() => Ok(bytes),
                _ => {
                    let unknown = |c: &char| {
                        let mut scratch = [0; 4];
                        let (bytes, _, unknown) = encoding.encode(c.encode_utf8(&mut scratch));
                        unknown || (encoding == encoding_rs::SHIFT_JIS && bytes.len() > 1)
                    };
                    Err(text.chars().find(unknown).unwrap_or('\u{FFFD}'))
                }
            },
        }
    }
}

fn first_malformed(encoding: &'static Encoding, bytes: &[u8]) -> Option<usize> {
    // ASCII without a shift is in all of them, and most fields are no more than that.
    if bytes.iter().all(|b| b.is_ascii() && !matches!(b, 0x0E | 0x0F | 0x1B)) {
        return None;
    }
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let mut scratch = [0u8; 4096];
    let mut at = 0;
    loop {
        let (result, read, _) = decoder.decode_to_utf8_without_replacement(&bytes[at..], &mut scratch, true);
        at += read;
        match result {
            DecoderResult::InputEmpty => return None,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(bad, after) => return Some(at.saturating_sub(usize::from(bad + after))),
        }
    }
}

fn latin1(bytes: &[u8]) -> Cow<'_, str> {
    Cow::Owned(bytes.iter().copied().map(char::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_declared_set_reads_and_writes() {
        for (name, bytes, text) in [
            ("8859/1", &b"M\xFCller\x85"[..], "Müller\u{85}"),
            ("8859/2", b"\xA3\xF3d\xBC", "Łódź"),
            ("8859/5", b"\xBC\xD8\xE0", "Мир"),
            ("8859/7", b"\xC1\xE8\xDE\xED\xE1", "Αθήνα"),
            ("8859/9", b"\xDEi\xFEli", "Şişli"),
            ("8859/15", b"5 \xA4", "5 €"),
            ("UNICODE UTF-8", "Łódź".as_bytes(), "Łódź"),
            ("UNICODE", "é".as_bytes(), "é"),
            ("ISO IR87", b"\x1B$B;3ED\x1B(B", "山田"),
            ("GB 18030-2000", b"\xD6\xD0", "中"),
            ("BIG-5", b"\xA4\xA4", "中"),
            ("KS X 1001", b"\xB1\xE8", "김"),
        ] {
            let set = CharacterSet::from_name(name.as_bytes()).unwrap();
            assert_eq!(set.decode(bytes), text, "{name}");
            assert_eq!(set.encode(text).unwrap().as_ref(), bytes, "{name}");
            assert_eq!(set.first_fault(bytes), None, "{name}");
        }
    }

    #[test]
    fn undeclared_bytes_are_guessed() {
        let set = CharacterSet::from_name(b"").unwrap();
        assert_eq!(set.decode("Müller".as_bytes()), "Müller");
        assert_eq!(set.decode(b"M\xFCller"), "Müller");
        assert_eq!(set.first_fault(b"M\xFCller"), Some(1));
    }

    #[test]
    fn what_a_set_does_not_have_is_named() {
        assert_eq!(CharacterSet::Ascii.encode("Müller"), Err('ü'));
        assert_eq!(CharacterSet::Latin1.encode("5 €"), Err('€'));
        let latin2 = CharacterSet::from_name(b"8859/2").unwrap();
        assert_eq!(latin2.encode("Łñ"), Err('ñ'));
        assert_eq!(CharacterSet::Utf8.first_fault(b"ab\xFF"), Some(2));
        let big5 = CharacterSet::from_name(b"BIG-5").unwrap();
        assert_eq!(big5.first_fault(b"ab\xFF\xFF"), Some(2));
        // ASCII to the eye, but a shift that leads nowhere.
        let kanji = CharacterSet::from_name(b"ISO IR87").unwrap();
        assert_eq!(kanji.first_fault(b"ab\x1B$"), Some(2));
        assert_eq!(kanji.first_fault(b"ab\x0E"), Some(2));
    }

    #[test]
    fn sets_we_cannot_read_are_refused_by_name() {
        for name in ["UNICODE UTF-16", "UNICODE UTF-32", "ISO IR159", "CNS 11643-1992", "EBCDIC"] {
            let error = CharacterSet::from_name(name.as_bytes()).unwrap_err();
            assert!(error.to_string().contains(name));
        }
    }

    #[test]
    fn the_japanese_way_of_naming_a_set() {
        let message = Message::parse(b"MSH|^~\\&||||||||1|P|2.5||||||~ISO IR87\r").unwrap();
        assert_eq!(CharacterSet::of(&message).unwrap().width(), Width::Shifted);
        for (names, width) in [
            ("~ISO IR87", Width::Shifted),
            ("ASCII~ISO IR87", Width::Shifted),
            ("ISO IR14~ISO IR87", Width::Shifted),
            ("~ISO IR159~ISO IR87", Width::Shifted),
            ("ISO IR87", Width::Shifted),
            ("ASCII~8859/1", Width::Single),
            ("8859/1~ISO IR87", Width::Single),
            ("UNICODE UTF-8~ISO IR87", Width::Single),
            ("", Width::Single),
        ] {
            let text = format!("MSH|^~\\&||||||||1|P|2.5||||||{names}\rPID|1|\x1B$B;3|E\x1B(B|x\r");
            let message = Message::parse(text.as_bytes()).unwrap();
            assert_eq!(CharacterSet::of(&message).unwrap().width(), width, "{names}");
            let x = if width == Width::Shifted { "PID-3" } else { "PID-4" };
            assert_eq!(message.get(&x.parse().unwrap()).raw(), b"x", "{names}");
        }
    }

    #[test]
    fn jis_x_0201_has_no_kanji() {
        for name in ["ISO IR13", "iso ir14"] {
            let set = CharacterSet::from_name(name.as_bytes()).unwrap();
            assert_eq!(set.encode("ﾔﾏﾀﾞ").unwrap().as_ref(), b"\xD4\xCF\xC0\xDE");
            assert_eq!(set.decode(b"\xD4\xCF\xC0\xDE"), "ﾔﾏﾀﾞ");
            // Its second byte in Shift_JIS would be the escape character.
            assert_eq!(set.encode("ﾔ表"), Err('表'));
        }
    }

    #[test]
    fn a_korean_character_cut_short_swallows_no_delimiter() {
        let text = b"MSH|^~\\&||||||||1|P|2.5||||||KS X 1001\rPID|\xB1\xE8\xB1|x\r";
        let message = Message::parse(text).unwrap();
        assert_eq!(message.get(&"PID-2".parse().unwrap()).raw(), b"x");
    }
}
