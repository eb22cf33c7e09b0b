//! What can be wrong with a message, a path or an edit: each names the byte or the field.

use std::error::Error;
use std::fmt;

/// Why the delimiters cannot be read from a header segment. Offsets count from the segment's first byte.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The segment ends before its field separator.
    Short {
        /// Bytes that are there.
        len: usize,
    },
    /// MSH-2 is empty.
    NoEncodingCharacters,
    /// MSH-2 has more than the five characters HL7 v2.7 defines.
    TooManyEncodingCharacters {
        /// Characters that are there.
        len: usize,
    },
    /// A letter, digit, blank or control character stands where a delimiter belongs.
    NotADelimiter {
        /// The byte found.
        byte: u8,
        /// Where.
        offset: usize,
    },
    /// Two delimiters are the same character.
    DelimiterTwice {
        /// The byte found twice.
        byte: u8,
        /// Where it stands the second time.
        offset: usize,
    },
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HeaderError::Short { len } => {
                write!(
                    f,
                    "the header ends after {len} bytes, expected a field separator such as '|' at byte 3"
                )
            }
            HeaderError::NoEncodingCharacters => {
                write!(f, "MSH-2 is empty at byte 4, expected encoding characters such as ^~\\&")
            }
            HeaderError::TooManyEncodingCharacters { len } => {
                write!(f, "MSH-2 has {len} characters at byte 4, expected 1 to 5 such as ^~\\&")
            }
            HeaderError::NotADelimiter { byte, offset } => {
                let byte = Byte(*byte);
                write!(f, "{byte} at byte {offset} is no delimiter, expected punctuation as in MSH|^~\\&")
            }
            HeaderError::DelimiterTwice { byte, offset } => {
                write!(
                    f,
                    "{} at byte {offset} delimits two things, expected different characters",
                    Byte(*byte)
                )
            }
        }
    }
}

impl Error for HeaderError {}

/// Why bytes are not a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ParseError {
    /// There is nothing.
    Empty,
    /// The first segment is not MSH.
    NoHeader {
        /// The first bytes, at most eight.
        found: Vec<u8>,
    },
    /// The text is UTF-16 or UTF-32, whose bytes collide with the delimiters and the framing.
    Wide,
    /// Longer than positions can count (4 GiB).
    TooLong {
        /// Bytes that are there.
        len: usize,
    },
    /// The header's delimiters are unusable.
    Header(HeaderError),
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ParseError::Empty => write!(f, "empty, expected a message that begins with MSH"),
            ParseError::NoHeader { found } => {
                write!(f, "begins with \"{}\" at byte 0, expected MSH", found.escape_ascii())
            }
            ParseError::Wide => {
                write!(f, "is UTF-16 or UTF-32 text, expected a byte-oriented set; convert it to UTF-8 first")
            }
            ParseError::TooLong { len } => write!(f, "has {len} bytes, expected fewer than 4 GiB"),
            ParseError::Header(error) => error.fmt(f),
        }
    }
}

impl Error for ParseError {}

impl From<HeaderError> for ParseError {
    fn from(error: HeaderError) -> Self {
        ParseError::Header(error)
    }
}

/// One byte as a person reads it: `'|'` or `0x0B`.
pub(crate) struct Byte(pub(crate) u8);

impl fmt::Display for Byte {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_ascii_graphic() {
            write!(f, "'{}'", char::from(self.0))
        } else {
            write!(f, "0x{:02X}", self.0)
        }
    }
}
