//! Escape sequences (HL7 v2 chapter 2, "Use of escape sequences in text fields").
//!
//! Decoded are `\F\ \S\ \T\ \R\ \E\ \P\` and `\Xhh..\`. All others stay as they are: highlighting, formatting
//! commands, character set switches and local ones mean something to the reader of the text, not to us.

use super::delimiters::Delimiters;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;

/// A text cannot be written with a message's delimiters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodeError {
    /// The byte that needs an escape sequence.
    pub byte: u8,
    /// Where it stands in the text.
    pub offset: usize,
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let byte = super::error::Byte(self.byte);
        write!(
            f,
            "{byte} at byte {} needs an escape sequence, but MSH-2 names no escape character",
            self.offset
        )
    }
}

impl Error for EncodeError {}

/// Which characters of a text are written as escape sequences.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Escaped {
    pub(crate) repetition: bool,
    pub(crate) component: bool,
    pub(crate) subcomponent: bool,
    pub(crate) escape: bool,
}

impl Escaped {
    pub(crate) const ALL: Escaped =
        Escaped { repetition: true, component: true, subcomponent: true, escape: true };
}

/// The text behind `raw`, borrowed where it holds no sequence we decode.
pub fn decode<'a>(raw: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let Some(escape) = delimiters.escape else { return Cow::Borrowed(raw) };
    let mut text = Vec::new();
    let mut copied = 0;
    let mut from = 0;
    while let Some(open) = delimiters.find(raw, escape, from) {
        from = open + 1;
        let Some(close) = delimiters.find(raw, escape, from) else { break };
        let content = &raw[from..close];
        if !is_sequence(content) {
            // A lone escape character: literal, and the next one may open a sequence.
            continue;
        }
        from = close + 1;
        let start = text.len();
        text.extend_from_slice(&raw[copied..open]);
        if decode_sequence(content, delimiters, &mut text) {
            copied = from;
        } else {
            text.truncate(start);
        }
    }
    if copied == 0 {
        return Cow::Borrowed(raw);
    }
    text.extend_from_slice(&raw[copied..]);
    Cow::Owned(text)
}

/// Where the first escape character stands that begins no sequence.
pub(crate) fn first_lone(raw: &[u8], delimiters: &Delimiters) -> Option<usize> {
    let escape = delimiters.escape?;
    let mut from = 0;
    while let Some(open) = delimiters.find(raw, escape, from) {
        match delimiters.find(raw, escape, open + 1) {
            Some(close) if is_sequence(&raw[open + 1..close]) => from = close + 1,
            _ => return Some(open),
        }
    }
    None
}

/// What may stand between two escape characters: a capital letter or a full stop, then letters, digits, `+`,
/// `-`, `.`, and blanks in formatting commands (`.sp 3`).
fn is_sequence(content: &[u8]) -> bool {
    let Some((&first, rest)) = content.split_first() else { return false };
    (first.is_ascii_uppercase() || first == b'.')
        && rest.iter().all(|&b| {
            b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.') || (b == b' ' && first == b'.')
        })
}

fn decode_sequence(content: &[u8], delimiters: &Delimiters, text: &mut Vec<u8>) -> bool {
    let byte = match content {
        b"F" => Some(delimiters.field),
        b"S" => delimiters.component,
        b"T" => delimiters.subcomponent,
        b"R" => delimiters.repetition,
        b"E" => delimiters.escape,
        b"P" => delimiters.truncation,
        [b'X', digits @ ..] => return decode_hex(digits, text),
        _ => None,
    };
    text.extend(byte);
    byte.is_some()
}

fn decode_hex(digits: &[u8], text: &mut Vec<u8>) -> bool {
    let (pairs, odd) = digits.as_chunks::<2>();
    let value = |digit: u8| char::from(digit).to_digit(16).map(|v| v as u8);
    if pairs.is_empty() || !odd.is_empty() {
        return false;
    }
    pairs.iter().all(|&[high, low]| match (value(high), value(low)) {
        (Some(high), Some(low)) => {
            text.push(high << 4 | low);
            true
        }
        _ => false,
    })
}

/// Writes `text` so that it is data in a message with these delimiters: `decode` gives it back.
///
/// Control characters other than TAB become `\Xhh\`, for they would end segments or frames.
///
/// # Errors
/// When a character must be escaped and MSH-2 names no escape character.
pub fn encode<'a>(text: &'a [u8], delimiters: &Delimiters) -> Result<Cow<'a, [u8]>, EncodeError> {
    let encoded = encode_some(text, delimiters, Escaped::ALL)?;
    // In a multi-byte set, half a character at the end of what was cut short would take an escape sequence along.
    let whole = delimiters.width == super::Width::Single || decode(&encoded, delimiters) == text;
    match delimiters.escape {
        Some(escape) if !whole => Ok(Cow::Owned(hex(text, escape))),
        _ => Ok(encoded),
    }
}

/// The whole text as one `\Xhh..\` sequence.
fn hex(text: &[u8], escape: u8) -> Vec<u8> {
    let mut out = vec![escape, b'X'];
    out.extend(text.iter().flat_map(|&byte| hex_digits(byte)));
    out.push(escape);
    out
}

fn hex_digits(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| b"0123456789ABCDEF"[usize::from(digit)])
}

pub(crate) fn encode_some<'a>(
    text: &'a [u8],
    delimiters: &Delimiters,
    escaped: Escaped,
) -> Result<Cow<'a, [u8]>, EncodeError> {
    // A byte that the delimiters leave undefined is compared with 0, which is a control character anyway.
    let active = |delimiter: Option<u8>, on: bool| if on { delimiter.unwrap_or(0) } else { 0 };
    let component = active(delimiters.component, escaped.component);
    let repetition = active(delimiters.repetition, escaped.repetition);
    let subcomponent = active(delimiters.subcomponent, escaped.subcomponent);
    let escape_char = active(delimiters.escape, escaped.escape);
    let truncation = active(delimiters.truncation, escaped.escape);
    let letter = |byte: u8| match byte {
        b'\t' => None,
        0..0x20 => Some(b'X'),
        _ if byte == escape_char => Some(b'E'),
        _ if byte == delimiters.field => Some(b'F'),
        _ if byte == component => Some(b'S'),
        _ if byte == repetition => Some(b'R'),
        _ if byte == subcomponent => Some(b'T'),
        _ if byte == truncation => Some(b'P'),
        _ => None,
    };
    let mut out = Vec::new();
    let mut copied = 0;
    let mut write = |offset: usize, byte: u8| -> Result<(), EncodeError> {
        let Some(letter) = letter(byte) else { return Ok(()) };
        let escape = delimiters.escape.ok_or(EncodeError { byte, offset })?;
        out.extend_from_slice(&text[copied..offset]);
        copied = offset + 1;
        out.extend([escape, letter]);
        if letter == b'X' {
            out.extend(hex_digits(byte));
        }
        out.push(escape);
        Ok(())
    };
    match delimiters.width {
        super::Width::Single => text.iter().enumerate().try_for_each(|(i, &b)| write(i, b))?,
        // The shift sequences of ISO-2022-JP are the one use of a control character that stays.
        width => super::delimiters::Characters::new(text, width).try_for_each(|(i, b)| write(i, b))?,
    }
    if copied == 0 {
        return Ok(Cow::Borrowed(text));
    }
    out.extend_from_slice(&text[copied..]);
    Ok(Cow::Owned(out))
}

/// Text for a person's eyes: what [`decode`] does, with the formatting commands for new lines and blanks carried
/// out and highlighting left away.
pub fn display<'a>(raw: &'a [u8], delimiters: &Delimiters) -> Cow<'a, [u8]> {
    let Some(escape) = delimiters.escape else { return Cow::Borrowed(raw) };
    if !raw.contains(&escape) {
        return Cow::Borrowed(raw);
    }
    let mut shown = Vec::new();
    let mut rest = raw;
    while let Some(open) = delimiters.find(rest, escape, 0) {
        let Some(close) = delimiters.find(rest, escape, open + 1) else { break };
        let content = &rest[open + 1..close];
        let replacement = match content {
            b".br" | b".ce" => vec![b'\n'],
            b"H" | b"N" | b".fi" | b".nf" => vec![],
            [b'.', b's', b'p', count @ ..] if is_count(count) => vec![b'\n'; number(count, 1)],
            [b'.', b's', b'k', count @ ..] if is_count(count) => vec![b' '; number(count, 1)],
            _ => {
                // Left to `decode`; a lone escape character passes, the next may open a sequence.
                let end = if is_sequence(content) { close + 1 } else { close };
                shown.extend_from_slice(&decode(&rest[..end], delimiters));
                rest = &rest[end..];
                continue;
            }
        };
        shown.extend_from_slice(&rest[..open]);
        shown.extend_from_slice(&replacement);
        rest = &rest[close + 1..];
    }
    shown.extend_from_slice(rest);
    Cow::Owned(shown)
}

fn is_count(text: &[u8]) -> bool {
    text.iter().all(|&b| b.is_ascii_digit() || matches!(b, b' ' | b'+'))
}

/// The count of a formatting command, at most 80.
fn number(digits: &[u8], default: usize) -> usize {
    let text = std::str::from_utf8(digits).unwrap_or("").trim();
    text.parse::<usize>().unwrap_or(default).min(80)
}

#[cfg(test)]
mod tests {
    use super::super::Width;
    use super::*;
    use proptest::prelude::*;

    fn decoded(raw: &str) -> String {
        String::from_utf8(decode(raw.as_bytes(), &Delimiters::default()).into_owned()).unwrap()
    }

    #[test]
    fn sequences_we_decode() {
        assert_eq!(decoded(r"a\F\b\S\c\T\d\R\e\E\f"), r"a|b^c&d~e\f");
        assert_eq!(decoded(r"\X41\\X0d0A\"), "A\r\n");
        let v27 = Delimiters { truncation: Some(b'#'), ..Delimiters::default() };
        assert_eq!(decode(br"5\P\", &v27).as_ref(), b"5#");
    }

    #[test]
    fn the_others_survive() {
        for raw in [
            r"\H\bold\N\",
            r"\Z99\",
            r"\C2842\",
            r"\M2442\",
            r"a\.br\b",
            r"\.sp 3\",
            r"\X4\",
            r"\X414\",
            r"\X\",
            r"\Xzz\",
            r"\P\",
        ] {
            assert_eq!(decoded(raw), raw);
        }
    }

    #[test]
    fn a_lone_escape_character_is_literal() {
        assert_eq!(decoded(r"C:\temp\F\x"), r"C:\temp|x");
        assert_eq!(decoded(r"50\"), r"50\");
        assert_eq!(decoded(r"\\"), r"\\");
        // Blanks stand in formatting commands only: this is one command, not a lone character and `\F\`.
        assert_eq!(decoded(r"\.sp 3\F\"), r"\.sp 3\F\");
        assert_eq!(decoded(r"\A B\F\"), r"\A B|");
    }

    #[test]
    fn text_becomes_data() {
        let encoded = encode(b"a|b^c~d\\e&f\rg\th", &Delimiters::default()).unwrap();
        assert_eq!(
            encoded.as_ref(),
            br"a\F\b\S\c\R\d\E\e\T\f\X0D\g".iter().chain(b"\th").copied().collect::<Vec<_>>()
        );
        assert!(matches!(encode(b"plain", &Delimiters::default()), Ok(Cow::Borrowed(_))));
    }

    #[test]
    fn without_an_escape_character_nothing_can_be_escaped() {
        let delimiters = Delimiters { escape: None, subcomponent: None, ..Delimiters::default() };
        assert_eq!(encode(b"ab|", &delimiters), Err(EncodeError { byte: b'|', offset: 2 }));
        assert_eq!(encode(b"a&\\", &delimiters).unwrap().as_ref(), b"a&\\");
        assert_eq!(decode(b"a\\F\\", &delimiters).as_ref(), b"a\\F\\");
    }

    #[test]
    fn the_second_byte_of_a_character_is_no_escape() {
        let delimiters = Delimiters { width: Width::LeadByte, ..Delimiters::default() };
        let text = b"\xA5\x5C\xA5\x7C|";
        let encoded = encode(text, &delimiters).unwrap();
        assert_eq!(encoded.as_ref(), b"\xA5\x5C\xA5\x7C\\F\\");
        assert_eq!(decode(&encoded, &delimiters).as_ref(), text);
    }

    #[test]
    fn half_a_character_takes_no_escape_sequence_along() {
        let delimiters = Delimiters { width: Width::LeadByte, ..Delimiters::default() };
        for text in [&b"a\xB6\n!"[..], b"\xB6|", b"\xA5\xA5\x5C\xB6"] {
            let encoded = encode(text, &delimiters).unwrap();
            assert_eq!(decode(&encoded, &delimiters).as_ref(), text, "{}", encoded.escape_ascii());
        }
    }

    #[test]
    fn what_a_person_sees() {
        let shown = display(br"\H\Note\N\\.br\a \T\ b\.sp2\c\Z1\ \ d", &Delimiters::default());
        assert_eq!(shown.as_ref(), b"Note\na & b\n\nc\\Z1\\ \\ d");
    }

    #[test]
    fn only_a_count_is_carried_out() {
        let shown = |raw: &str| {
            String::from_utf8(display(raw.as_bytes(), &Delimiters::default()).into_owned()).unwrap()
        };
        assert_eq!(shown(r"a\.sp 2\b\.sp\c\.sk+3\d"), "a\n\nb\nc   d");
        assert_eq!(shown(r"C:\.spool dir\x"), r"C:\.spool dir\x");
        assert_eq!(shown(r"a\.sp99999999\b").len(), 82);
    }

    proptest! {
        #[test]
        fn decode_gives_back_what_encode_was_given(text: Vec<u8>, truncation in proptest::option::of(Just(b'#'))) {
            let delimiters = Delimiters { truncation, ..Delimiters::default() };
            let encoded = encode(&text, &delimiters).unwrap();
            prop_assert!(!encoded.iter().any(|&b| b"|^~&#\r\n\x0b\x1c".contains(&b) && (b != b'#' || truncation.is_some())));
            let decoded = decode(&encoded, &delimiters);
            prop_assert_eq!(decoded.as_ref(), &text[..]);
        }
    }
}
