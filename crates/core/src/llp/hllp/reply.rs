//! Which message answers which: the little of HL7 that HLLP has to look at.

/// The control id, MSH-10.
pub(super) fn control_id(message: &[u8]) -> Option<&[u8]> {
    let separator = separator(message)?;
    first_segment(message).split(|b| *b == separator).nth(9)
}

/// The control id of the message that this one answers, MSA-2; `None` for a message without an MSA segment.
pub(super) fn answered_id(message: &[u8]) -> Option<&[u8]> {
    let separator = separator(message)?;
    let mut segments = message.split(|b| matches!(*b, b'\r' | b'\n'));
    let msa = segments.find(|s| s.starts_with(b"MSA") && s.get(3).is_none_or(|b| *b == separator))?;
    Some(msa.split(|b| *b == separator).nth(2).unwrap_or_default())
}

fn separator(message: &[u8]) -> Option<u8> {
    if message.starts_with(b"MSH") { message.get(3).copied() } else { None }
}

fn first_segment(message: &[u8]) -> &[u8] {
    message.split(|b| matches!(*b, b'\r' | b'\n')).next().unwrap_or_default()
}
