//! The characters that hold a message together, read from its first segment (HL7 v2 chapter 2, "Message
//! delimiters").

use super::error::HeaderError;
use std::fmt;

/// Segment terminator, the only one HL7 allows.
pub const CR: u8 = 0x0D;
/// Line feed: ends segments in files that went through a text editor.
pub const LF: u8 = 0x0A;
/// The explicit null value: the receiver is to delete what it has.
pub const NULL: &[u8] = b"\"\"";

/// How many bytes one character takes, where a byte that looks like a delimiter may be half of a character.
///
/// Single-byte sets and UTF-8 never use an ASCII byte inside a character, EUC-KR none that is punctuation; Big5 and
/// GB 18030 use them as second bytes, ISO-2022-JP between two shift sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Width {
    /// An ASCII byte is always an ASCII character.
    #[default]
    Single,
    /// A byte of 0x81 to 0xFE takes the next one with it, if that can be a second byte (Big5, GB 18030).
    LeadByte,
    /// `ESC $ B` and its kin switch to two-byte characters, `ESC (` back (ISO-2022-JP).
    Shifted,
}

/// The delimiters of one message.
///
/// MSH-2 may be shorter than four characters: what is not there does not delimit. A fifth character is the
/// truncation mark of HL7 v2.7.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Delimiters {
    /// Between fields; the character after the segment name `MSH`.
    pub field: u8,
    /// Between components, MSH-2 first character.
    pub component: Option<u8>,
    /// Between repetitions of a field, MSH-2 second character.
    pub repetition: Option<u8>,
    /// Around escape sequences, MSH-2 third character.
    pub escape: Option<u8>,
    /// Between subcomponents, MSH-2 fourth character.
    pub subcomponent: Option<u8>,
    /// Marks a value cut short, MSH-2 fifth character (v2.7).
    pub truncation: Option<u8>,
    /// How characters are made of bytes, from MSH-18.
    pub width: Width,
}

impl Default for Delimiters {
    /// The delimiters HL7 recommends: `|^~\&`.
    fn default() -> Self {
        Delimiters {
            field: b'|',
            component: Some(b'^'),
            repetition: Some(b'~'),
            escape: Some(b'\\'),
            subcomponent: Some(b'&'),
            truncation: None,
            width: Width::Single,
        }
    }
}

impl Delimiters {
    /// Reads the delimiters from a header segment; `bytes` begins with `MSH`, `FHS` or `BHS`.
    ///
    /// # Errors
    /// When the field separator or MSH-2 is missing, or one of the characters is not ASCII punctuation, or two
    /// are the same. The offset in the error counts from the start of `bytes`.
    pub fn from_header(bytes: &[u8]) -> Result<Self, HeaderError> {
        let Some(&field) = bytes.get(3) else {
            return Err(HeaderError::Short { len: bytes.len() });
        };
        accept(field, 3, &[])?;
        let rest = &bytes[4..];
        let end = rest.iter().position(|&b| b == field || b == CR || b == LF).unwrap_or(rest.len());
        let encoding = &rest[..end];
        if encoding.is_empty() {
            return Err(HeaderError::NoEncodingCharacters);
        }
        if encoding.len() > 5 {
            return Err(HeaderError::TooManyEncodingCharacters { len: encoding.len() });
        }
        let mut seen = [field; 6];
        for (i, &byte) in encoding.iter().enumerate() {
            accept(byte, 4 + i, &seen[..=i])?;
            seen[i + 1] = byte;
        }
        Ok(Delimiters {
            field,
            component: encoding.first().copied(),
            repetition: encoding.get(1).copied(),
            escape: encoding.get(2).copied(),
            subcomponent: encoding.get(3).copied(),
            truncation: encoding.get(4).copied(),
            width: Width::Single,
        })
    }

    /// MSH-2 as these delimiters would write it.
    pub fn encoding_characters(&self) -> Vec<u8> {
        [self.component, self.repetition, self.escape, self.subcomponent, self.truncation]
            .into_iter()
            .map_while(|c| c)
            .collect()
    }

    /// The single-byte characters of a text of the message, with their positions: a byte of a longer character is
    /// passed over, whatever it looks like.
    pub fn characters<'a>(&self, bytes: &'a [u8]) -> impl Iterator<Item = (usize, u8)> + use<'a> {
        Characters::new(bytes, self.width)
    }

    /// The position of the first `delimiter` in `bytes` that is a character of its own, at or after `from`.
    pub(crate) fn find(&self, bytes: &[u8], delimiter: u8, from: usize) -> Option<usize> {
        let tail = bytes.get(from..)?;
        match self.width {
            // Parts are short, mostly under 16 bytes: a plain loop beats a search set up for long ones.
            Width::Single => tail.iter().position(|&b| b == delimiter).map(|i| from + i),
            _ => Characters::new(tail, self.width).find(|&(_, b)| b == delimiter).map(|(i, _)| from + i),
        }
    }

    /// The position of the first of two delimiters in `bytes`, as [`find`](Self::find).
    #[inline]
    pub(crate) fn find_either(&self, bytes: &[u8], a: Option<u8>, b: Option<u8>) -> Option<usize> {
        // What is not defined is looked for as the other one, or as nothing at all.
        let (a, b) = match (a, b) {
            (Some(a), b) => (a, b.unwrap_or(a)),
            (None, Some(b)) => (b, b),
            (None, None) => return None,
        };
        match self.width {
            Width::Single => bytes.iter().position(|&byte| byte == a || byte == b),
            _ => Characters::new(bytes, self.width).find(|&(_, byte)| byte == a || byte == b).map(|(i, _)| i),
        }
    }
}

impl fmt::Display for Delimiters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", char::from(self.field))?;
        self.encoding_characters().iter().try_for_each(|&c| write!(f, "{}", char::from(c)))
    }
}

fn accept(byte: u8, offset: usize, earlier: &[u8]) -> Result<(), HeaderError> {
    if !byte.is_ascii_punctuation() {
        return Err(HeaderError::NotADelimiter { byte, offset });
    }
    if earlier.contains(&byte) {
        return Err(HeaderError::DelimiterTwice { byte, offset });
    }
    Ok(())
}

const ESC: u8 = 0x1B;

/// The single-byte characters of a text in a multi-byte set, with their positions.
///
/// What belongs to a longer character is passed over. A character cut off at the end is passed over too.
pub(crate) struct Characters<'a> {
    bytes: &'a [u8],
    at: usize,
    width: Width,
    shifted: bool,
}

impl<'a> Characters<'a> {
    pub(crate) fn new(bytes: &'a [u8], width: Width) -> Self {
        Characters { bytes, at: 0, width, shifted: false }
    }

    /// Takes a shift sequence of ISO 2022 (`ESC`, intermediates, final byte); true if there was one.
    fn take_shift(&mut self) -> bool {
        let sequence = match self.bytes.get(self.at..) {
            Some([ESC, b'$', b'(', _, ..]) => (4, true),
            Some([ESC, b'$', _, ..]) => (3, true),
            Some([ESC, b'(', _, ..]) => (3, false),
            _ => return false,
        };
        self.at += sequence.0;
        self.shifted = sequence.1;
        true
    }
}

impl Iterator for Characters<'_> {
    type Item = (usize, u8);

    fn next(&mut self) -> Option<(usize, u8)> {
        loop {
            let at = self.at;
            let byte = *self.bytes.get(at)?;
            // A line end always is one: it resets the shift state, as ISO-2022-JP demands.
            if byte == CR || byte == LF {
                self.shifted = false;
            }
            let width = self.width;
            let two_bytes = match width {
                Width::Single => false,
                Width::LeadByte => (0x81..=0xFE).contains(&byte),
                Width::Shifted if byte == ESC && self.take_shift() => continue,
                Width::Shifted => self.shifted && (0x21..=0x7E).contains(&byte),
            };
            if !two_bytes {
                self.at += 1;
                return Some((at, byte));
            }
            // A character cut short by its sender must not swallow what cannot be its other half: in Big5 and
            // GB 18030 that is anything below the digits.
            let lowest = if width == Width::LeadByte { 0x30 } else { 0x21 };
            self.at += if self.bytes.get(at + 1).is_some_and(|&b| b >= lowest) { 2 } else { 1 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_four() {
        let delimiters = Delimiters::from_header(b"MSH|^~\\&|LAB").unwrap();
        assert_eq!(delimiters, Delimiters::default());
        assert_eq!(delimiters.to_string(), "|^~\\&");
        for end in ["\r", "\n", "\r\n"] {
            let text = format!("MSH|^~\\&{end}PID|1");
            assert_eq!(Delimiters::from_header(text.as_bytes()), Ok(delimiters), "{end:?}");
        }
    }

    #[test]
    fn the_truncation_character_of_2_7() {
        let delimiters = Delimiters::from_header(b"MSH|^~\\&#|LAB").unwrap();
        assert_eq!(delimiters.truncation, Some(b'#'));
    }

    #[test]
    fn a_short_msh_2_leaves_the_rest_undefined() {
        let delimiters = Delimiters::from_header(b"MSH$%*$LAB").unwrap();
        assert_eq!(
            (delimiters.field, delimiters.component, delimiters.repetition),
            (b'$', Some(b'%'), Some(b'*'))
        );
        assert_eq!((delimiters.escape, delimiters.subcomponent), (None, None));
        assert_eq!(delimiters.encoding_characters(), b"%*");
    }

    #[test]
    fn bad_delimiters_are_named_with_their_offset() {
        let error = |bytes: &[u8]| Delimiters::from_header(bytes).unwrap_err();
        assert_eq!(error(b"MSH"), HeaderError::Short { len: 3 });
        assert_eq!(error(b"MSH||LAB"), HeaderError::NoEncodingCharacters);
        assert_eq!(error(b"MSHX^~\\&X"), HeaderError::NotADelimiter { byte: b'X', offset: 3 });
        assert_eq!(error(b"MSH|LAB|"), HeaderError::NotADelimiter { byte: b'L', offset: 4 });
        assert_eq!(error(b"MSH|^~^&|"), HeaderError::DelimiterTwice { byte: b'^', offset: 6 });
        assert_eq!(error(b"MSH|^~\\&#+|"), HeaderError::TooManyEncodingCharacters { len: 6 });
    }

    #[test]
    fn second_bytes_do_not_delimit() {
        // 0xA5 0x7C is one Big5 character whose second byte looks like a field separator.
        let found: Vec<_> = Characters::new(b"a\xA5|b|", Width::LeadByte).collect();
        assert_eq!(found, [(0, b'a'), (3, b'b'), (4, b'|')]);
        // ESC $ B switches to two-byte characters, ESC ( B back.
        let found: Vec<_> = Characters::new(b"\x1B$B|^\x1B(B|", Width::Shifted).collect();
        assert_eq!(found, [(8, b'|')]);
        // JIS X 0212 has a longer shift sequence.
        let found: Vec<_> = Characters::new(b"\x1B$(D|^\x1B(B|", Width::Shifted).collect();
        assert_eq!(found, [(9, b'|')]);
    }

    #[test]
    fn a_broken_character_swallows_nothing_that_divides() {
        for end in [b'\r', b'\n', b'\t', b'&', b'#', 0x1C] {
            let found: Vec<_> = Characters::new(&[0xA5, end, b'|'], Width::LeadByte).collect();
            assert_eq!(found, [(1, end), (2, b'|')]);
        }
        // A line end switches back, even in the middle of a character.
        let found: Vec<_> = Characters::new(b"\x1B$B;\r|", Width::Shifted).collect();
        assert_eq!(found, [(4, b'\r'), (5, b'|')]);
        let found: Vec<_> = Characters::new(b"\x1B$B;3\n|", Width::Shifted).collect();
        assert_eq!(found, [(5, b'\n'), (6, b'|')]);
    }
}
