//! What a repair says about a segment: which bytes are passed by.
//!
//! The segment itself is never changed by a repair; `SEGMENT.skip` stands beside it, one line a damaged place.

use std::io;
use std::path::{Path, PathBuf};

use crc32c::crc32c;
use protogen_sys::files::read_bounded;

use crate::error::JournalError;
use crate::record::{Head, Line};

/// The longest skip file, in bytes; some ten thousand damaged places.
pub(crate) const MAX_FILE: usize = 1 << 20;

/// A damaged place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skip {
    /// Its first byte.
    pub from: u64,
    /// The first byte of the record after it.
    pub to: u64,
    /// The sequence of the next message after it.
    pub sequence: u64,
}

/// What a skip file says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Skips {
    /// The segment's first line, where that is damaged.
    pub head: Option<Head>,
    /// The damaged places.
    pub places: Vec<Skip>,
}

/// The skip file of a segment.
pub(crate) fn path_of(segment: &Path) -> PathBuf {
    segment.with_extension("skip")
}

/// Reads the skip file of a segment; without one there is nothing to skip.
pub(crate) fn read(segment: &Path) -> Result<Skips, JournalError> {
    let path = path_of(segment);
    let bytes = match read_bounded(&path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Skips::default()),
        Err(source) => return Err(JournalError::File { path, doing: "cannot read", source }),
    };
    let mut offset = 0;
    let mut skips = Skips::default();
    for line in bytes.split_inclusive(|byte| *byte == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        match (parse(text), Line::parse(text)) {
            (Some(place), _) => skips.places.push(place),
            (None, Some(Line::Head(head))) => skips.head = Some(head),
            _ => return Err(JournalError::Damaged { path, offset, what: "no line of a skip file" }),
        }
        offset += line.len() as u64;
    }
    Ok(skips)
}

/// The text of a skip file.
pub(crate) fn write(skips: &Skips) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(head) = skips.head {
        Line::Head(head).write(b"", &mut text);
    }
    for Skip { from, to, sequence } in &skips.places {
        let line = format!("K {from} {to} {sequence}");
        text.extend_from_slice(format!("{line} {:08x}\n", crc32c(line.as_bytes())).as_bytes());
    }
    text
}

/// A place must lead on, or reading would turn in a circle.
fn parse(line: &[u8]) -> Option<Skip> {
    let (fields, crc) = std::str::from_utf8(line).ok()?.rsplit_once(' ')?;
    if crc != format!("{:08x}", crc32c(fields.as_bytes())) {
        return None;
    }
    let mut numbers = fields.strip_prefix("K ")?.split(' ').map(str::parse);
    let mut number = || numbers.next()?.ok();
    let skip = Skip { from: number()?, to: number()?, sequence: number()? };
    (skip.to > skip.from).then_some(skip)
}
