//! The sender's side of a frame.

use memchr::{memchr2, memmem};

use super::{CR, Settings};
use crate::llp::SendError;

/// Appends one frame to `out`: exactly `sob message CR eod eob`. The CR is added only where the message does not
/// end with one, since each HL7 segment does.
///
/// A message that holds a delimiter is refused, not altered: only the message's own layer knows its escape
/// character, and receivers differ widely in what they make of an EB inside data.
///
/// # Errors
/// [`SendError::Empty`], [`SendError::TooLong`], or [`SendError::Forbidden`] with the delimiter's place; `out` is then
/// as it was.
pub fn encode(message: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<(), SendError> {
    let end: &[u8] = if message.last() == Some(&CR) { b"" } else { &[CR] };
    wrap(message, end, settings, out)
}

/// As [`encode`], without a CR of its own: for a router, whose messages leave as they came, and for data that is not HL7.
///
/// # Errors
/// As [`encode`].
pub fn encode_unchanged(message: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<(), SendError> {
    wrap(message, b"", settings, out)
}

fn wrap(message: &[u8], segment_end: &[u8], settings: &Settings, out: &mut Vec<u8>) -> Result<(), SendError> {
    if message.is_empty() {
        return Err(SendError::Empty);
    }
    if message.len() > settings.max_message {
        return Err(SendError::TooLong(settings.max_message));
    }
    let (sob, eod) = (settings.sob.as_slice(), settings.eod.as_slice());
    if let Some(offset) = find_delimiter(message, sob, eod) {
        return Err(SendError::Forbidden { offset, byte: message[offset] });
    }
    let start = out.len();
    out.reserve(message.len() + segment_end.len() + sob.len() + eod.len() + settings.eob.len());
    out.extend_from_slice(sob);
    out.extend_from_slice(message);
    out.extend_from_slice(segment_end);
    let end = out.len();
    out.extend_from_slice(eod);
    // A delimiter of several bytes may also begin with the message's last bytes and end with its own first ones.
    if eod.len() > 1 && memmem::find(&out[start + sob.len()..], eod) != Some(end - start - sob.len()) {
        out.truncate(start);
        let offset = message.len() - 1;
        return Err(SendError::Forbidden { offset, byte: message[offset] });
    }
    out.extend_from_slice(&settings.eob);
    Ok(())
}

fn find_delimiter(message: &[u8], sob: &[u8], eod: &[u8]) -> Option<usize> {
    if let ([sob], [eod]) = (sob, eod) {
        return memchr2(*sob, *eod, message);
    }
    let (a, b) = (memmem::find(message, sob), memmem::find(message, eod));
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}
