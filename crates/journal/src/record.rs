//! The text lines of a segment, and the bytes behind a message's line.
//!
//! Every line ends in the CRC-32C of what stands before it (of a message: of its line and its bytes) and LF. Names and
//! notes are percent-encoded, so that a blank always divides.

use std::borrow::Cow;
use std::io::Write as _;

use crc32c::{crc32c, crc32c_append};

/// The longest line, in bytes: a name and a note, each byte encoded as three.
pub(crate) const MAX_LINE: usize = 4096;
/// The longest note of a delivery record, in bytes.
pub const MAX_NOTE: usize = 512;
/// The format's version, in the first line of each segment.
const VERSION: u64 = 1;
/// ` ` and eight hexadecimal digits.
const CRC_LENGTH: usize = 9;

/// What became of a message in one output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// The output has it.
    Delivered,
    /// It was refused or could not be delivered, and waits for an operator.
    Dead,
    /// An operator gave it up.
    Dropped,
    /// An operator gave up all that waited up to and including it: so many messages.
    DroppedThrough(u64),
    /// The output itself does not want it: it counts as dropped, and as filtered among those. Like a delivery it is
    /// recorded in its turn, and settles all before it.
    Filtered,
    /// An operator wants it sent, again or after all; it was delivered or dead.
    Resend,
    /// It was tried so many times, and still waits.
    Tries(u32),
}

/// What is to be remembered of one message beside an output's cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exception {
    /// Before the cursor: a dead letter.
    Dead,
    /// Before the cursor: waits to be sent again, and was tried so many times since.
    Resend(u32),
    /// At or after the cursor: dropped before its turn.
    Dropped,
    /// At or after the cursor: tried so many times.
    Tries(u32),
}

/// What was counted for an output since it exists.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Messages stored for it.
    pub accepted: u64,
    /// Messages sent once more on demand, after they were delivered or dropped.
    pub resent: u64,
    /// Messages delivered.
    pub delivered: u64,
    /// Dead letters now.
    pub dead: u64,
    /// Messages dropped.
    pub dropped: u64,
    /// Those of them that the output itself did not want.
    pub filtered: u64,
}

/// The first line of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// The sequence of its first message.
    pub first: u64,
    /// The first sequence of the segment before it, 0 for none.
    pub previous: u64,
    /// How many bytes of the segment before it count.
    pub previous_end: u64,
    /// When it was opened, in milliseconds since 1970.
    pub time: u64,
}

/// One line; names and notes are still encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    Head(Head),
    Output { name: &'a str, cursor: u64, last: u64, counts: Counts },
    Route { output: &'a str, connection: &'a str },
    Exception { sequence: u64, output: &'a str, exception: Exception },
    End,
    Synced { at: u64, synced: u64 },
    Message { sequence: u64, time: u64, connection: &'a str, length: u64, crc: u32 },
    Delivery { sequence: u64, output: &'a str, outcome: Outcome, note: &'a str },
}

impl Line<'_> {
    /// Appends the line; `bytes` stand behind a message's line, with a LF.
    pub(crate) fn write(&self, bytes: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        self.write_fields(out);
        let crc = crc32c_append(crc32c(&out[start..]), bytes);
        push(out, format_args!(" {crc:08x}\n"));
        if let Line::Message { .. } = self {
            out.extend_from_slice(bytes);
            out.push(b'\n');
        }
    }

    fn write_fields(&self, out: &mut Vec<u8>) {
        match self {
            Line::Head(Head { first, previous, previous_end, time }) => {
                push(out, format_args!("J {VERSION} {first} {previous} {previous_end} {time}"));
            }
            Line::Output { name, cursor, last, counts } => {
                let Counts { accepted, resent, delivered, dead, dropped, filtered } = counts;
                push(
                    out,
                    format_args!(
                        "O {name} {cursor} {last} {accepted} {resent} {delivered} {dead} {dropped} {filtered}"
                    ),
                );
            }
            Line::Route { output, connection } => push(out, format_args!("I {output} {connection}")),
            Line::Exception { sequence, output, exception } => {
                push(out, format_args!("X {sequence} {output} "));
                match exception {
                    Exception::Dead => push(out, format_args!("dead")),
                    Exception::Resend(tries) => push(out, format_args!("resend={tries}")),
                    Exception::Dropped => push(out, format_args!("dropped")),
                    Exception::Tries(tries) => push(out, format_args!("tries={tries}")),
                }
            }
            Line::End => push(out, format_args!("E")),
            Line::Synced { at, synced } => push(out, format_args!("S {at} {synced}")),
            Line::Message { sequence, time, connection, length, .. } => {
                push(out, format_args!("M {sequence} {time} {connection} {length}"));
            }
            Line::Delivery { sequence, output, outcome, note } => {
                push(out, format_args!("D {sequence} {output} "));
                match outcome {
                    Outcome::Delivered => push(out, format_args!("delivered")),
                    Outcome::Dead => push(out, format_args!("dead")),
                    Outcome::Dropped => push(out, format_args!("dropped")),
                    Outcome::DroppedThrough(count) => push(out, format_args!("dropped={count}")),
                    Outcome::Filtered => push(out, format_args!("filtered")),
                    Outcome::Resend => push(out, format_args!("resend")),
                    Outcome::Tries(tries) => push(out, format_args!("tries={tries}")),
                }
                if !note.is_empty() {
                    push(out, format_args!(" {note}"));
                }
            }
        }
    }

    /// Reads a line without its LF. The CRC is checked here, but for a message's, which takes its bytes:
    /// [`message_crc`].
    pub(crate) fn parse(line: &[u8]) -> Option<Line<'_>> {
        let (fields, crc) = line.split_at_checked(line.len().checked_sub(CRC_LENGTH)?)?;
        let fields = std::str::from_utf8(fields).ok()?;
        let crc = std::str::from_utf8(crc).ok()?.strip_prefix(' ')?;
        let crc =
            if crc.bytes().all(is_lower_hex) { u32::from_str_radix(crc, 16).ok()? } else { return None };
        let is_message = fields.starts_with("M ");
        if !is_message && crc32c(fields.as_bytes()) != crc {
            return None;
        }
        let mut parts = fields.split(' ');
        let kind = parts.next()?;
        let mut number = || parts.next().and_then(number);
        let parsed = match kind {
            "J" => {
                if number()? != VERSION {
                    return None;
                }
                let (first, previous) = (number()?, number()?);
                Line::Head(Head { first, previous, previous_end: number()?, time: number()? })
            }
            "O" => {
                let name = parts.next()?;
                let mut number = || parts.next().and_then(self::number);
                let (cursor, last) = (number()?, number()?);
                let (accepted, resent, delivered) = (number()?, number()?, number()?);
                let (dead, dropped) = (number()?, number()?);
                // Not in journals of earlier versions.
                let filtered = parts.next().map_or(Some(0), self::number)?;
                let counts = Counts { accepted, resent, delivered, dead, dropped, filtered };
                Line::Output { name, cursor, last, counts }
            }
            "I" => Line::Route { output: parts.next()?, connection: parts.next()? },
            "X" => {
                let sequence = number()?;
                Line::Exception { sequence, output: parts.next()?, exception: exception(parts.next()?)? }
            }
            "E" => Line::End,
            "S" => Line::Synced { at: number()?, synced: number()? },
            "M" => {
                let (sequence, time) = (number()?, number()?);
                let connection = parts.next()?;
                Line::Message {
                    sequence,
                    time,
                    connection,
                    length: parts.next().and_then(self::number)?,
                    crc,
                }
            }
            "D" => {
                let sequence = number()?;
                let (output, outcome) = (parts.next()?, outcome(parts.next()?)?);
                Line::Delivery { sequence, output, outcome, note: parts.next().unwrap_or_default() }
            }
            _ => return None,
        };
        parts.next().is_none().then_some(parsed)
    }
}

/// The CRC of a message whose line, without its LF, and whose bytes are given.
pub(crate) fn message_crc(line: &[u8], bytes: &[u8]) -> u32 {
    crc32c_append(crc32c(&line[..line.len().saturating_sub(CRC_LENGTH)]), bytes)
}

/// Encodes a name or a note: what is not printable ASCII, and `%`, becomes `%XX`.
pub(crate) fn encode(text: &[u8]) -> Cow<'_, str> {
    let plain = |byte: &u8| byte.is_ascii_graphic() && *byte != b'%';
    if text.iter().all(plain) {
        return String::from_utf8_lossy(text);
    }
    let mut encoded = String::with_capacity(text.len() * 3);
    for byte in text {
        if plain(byte) {
            encoded.push(char::from(*byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Cow::Owned(encoded)
}

/// The text behind an encoded name or note.
pub(crate) fn decode(encoded: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(encoded.len());
    let mut rest = encoded.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) if byte == b'%' => {
                text.push(value);
                rest = &after[2..];
            }
            _ => text.push(byte),
        }
    }
    text
}

/// The name behind an encoded one.
pub(crate) fn decode_name(encoded: &str) -> String {
    String::from_utf8_lossy(&decode(encoded)).into_owned()
}

fn push(out: &mut Vec<u8>, text: std::fmt::Arguments<'_>) {
    // Writing to memory cannot fail.
    let _ = out.write_fmt(text);
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn outcome(text: &str) -> Option<Outcome> {
    Some(match text.split_once('=') {
        None if text == "delivered" => Outcome::Delivered,
        None if text == "dead" => Outcome::Dead,
        None if text == "dropped" => Outcome::Dropped,
        None if text == "filtered" => Outcome::Filtered,
        None if text == "resend" => Outcome::Resend,
        Some(("dropped", count)) => Outcome::DroppedThrough(number(count)?),
        Some(("tries", tries)) => Outcome::Tries(number(tries)?.try_into().ok()?),
        _ => return None,
    })
}

fn exception(text: &str) -> Option<Exception> {
    Some(match text.split_once('=') {
        None if text == "dead" => Exception::Dead,
        None if text == "dropped" => Exception::Dropped,
        Some(("resend", tries)) => Exception::Resend(number(tries)?.try_into().ok()?),
        Some(("tries", tries)) => Exception::Tries(number(tries)?.try_into().ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_reads_back() {
        let counts = Counts { accepted: 9, resent: 1, delivered: 5, dead: 2, dropped: 1, filtered: 1 };
        let lines = [
            Line::Head(Head { first: 7, previous: 1, previous_end: 4096, time: 17 }),
            Line::Output { name: "a%20b", cursor: 3, last: 9, counts },
            Line::Route { output: "a", connection: "b" },
            Line::Exception { sequence: 4, output: "a", exception: Exception::Dead },
            Line::Exception { sequence: 4, output: "a", exception: Exception::Resend(3) },
            Line::Exception { sequence: 4, output: "a", exception: Exception::Dropped },
            Line::Exception { sequence: 4, output: "a", exception: Exception::Tries(u32::MAX) },
            Line::End,
            Line::Synced { at: 512, synced: 400 },
            Line::Delivery { sequence: u64::MAX, output: "x", outcome: Outcome::Delivered, note: "" },
            Line::Delivery { sequence: 1, output: "x", outcome: Outcome::Dead, note: "MSA|AE%0D" },
            Line::Delivery { sequence: 1, output: "x", outcome: Outcome::Dropped, note: "" },
            Line::Delivery { sequence: 1, output: "x", outcome: Outcome::DroppedThrough(12), note: "" },
            Line::Delivery { sequence: 1, output: "x", outcome: Outcome::Filtered, note: "filter" },
            Line::Delivery { sequence: 1, output: "x", outcome: Outcome::Resend, note: "" },
            Line::Delivery { sequence: 1, output: "x", outcome: Outcome::Tries(2), note: "" },
        ];
        for line in lines {
            let mut out = Vec::new();
            line.write(b"", &mut out);
            assert_eq!(Line::parse(&out[..out.len() - 1]), Some(line));
            for at in 0..out.len() - 1 {
                let mut damaged = out.clone();
                damaged[at] ^= 0x04;
                assert_eq!(Line::parse(&damaged[..out.len() - 1]), None, "{line:?}, byte {at}");
            }
        }
    }

    #[test]
    fn an_output_of_an_earlier_version_has_filtered_nothing() {
        let mut line = b"O x 3 9 9 1 5 2 1".to_vec();
        let crc = crc32c(&line);
        line.extend_from_slice(format!(" {crc:08x}").as_bytes());
        let counts = Counts { accepted: 9, resent: 1, delivered: 5, dead: 2, dropped: 1, filtered: 0 };
        assert_eq!(Line::parse(&line), Some(Line::Output { name: "x", cursor: 3, last: 9, counts }));
    }

    #[test]
    fn a_message_is_checked_with_its_bytes() {
        let line = Line::Message { sequence: 3, time: 4, connection: "lab", length: 5, crc: 0 };
        let mut out = Vec::new();
        line.write(b"hello", &mut out);
        let (head, tail) = out.split_at(out.len() - 7);
        assert_eq!(tail, b"\nhello\n");
        let Some(Line::Message { crc, length: 5, .. }) = Line::parse(head) else { panic!("a message") };
        assert_eq!(crc, message_crc(head, b"hello"));
        assert_ne!(crc, message_crc(head, b"hellp"));
    }

    #[test]
    fn names_and_notes_keep_every_byte() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(decode(&encode(&all)), all);
        assert!(encode(&all).bytes().all(|byte| byte.is_ascii_graphic()));
        assert_eq!(decode_name(&encode("Labor Süd".as_bytes())), "Labor Süd");
    }
}
