//! A message's bytes as text for a person.

use super::{CharacterSet, Message};

/// Bytes of a message, in the character set that it names, as UTF-8 with control characters visible but for TAB.
#[must_use]
pub fn readable(bytes: &[u8], message: Option<&Message>) -> String {
    let set = message.map_or(Ok(CharacterSet::Ascii), CharacterSet::of).unwrap_or(CharacterSet::Ascii);
    let text = set.decode(bytes);
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => shown.push(c),
            c if c.is_control() => shown.extend(c.escape_unicode()),
            c => shown.push(c),
        }
    }
    shown
}

/// A message, or what should have been one, a segment a line.
#[must_use]
pub fn readable_lines(bytes: &[u8]) -> Vec<String> {
    let message = Message::parse(bytes).ok();
    let lines = bytes.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|line| !line.is_empty());
    lines.map(|line| readable(line, message.as_ref())).collect()
}
