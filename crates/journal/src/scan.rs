//! Reading a segment record by record, with a fixed read-ahead.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use memchr::memchr;

use crate::error::JournalError;
use crate::record::{Line, MAX_LINE, message_crc};
use crate::skip::{self, Skip};

/// How much is read at once, in bytes; a longer record is read whole.
const READ_AHEAD: usize = 256 << 10;

/// What stands at a place of a segment.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scanned<'a> {
    /// A whole record, the offset of its first byte and the bytes of a message.
    Record { offset: u64, line: Line<'a>, bytes: &'a [u8] },
    /// Nothing was written here yet, or the segment ends here.
    End,
    /// Something else.
    Bad(&'static str),
}

/// Reads records from a segment's beginning. It stops for good at what is no record.
#[derive(Debug)]
pub(crate) struct Scanner {
    file: File,
    path: PathBuf,
    /// Where the segment ends.
    limit: u64,
    buffer: Vec<u8>,
    /// The offset of the buffer's first byte.
    buffered: u64,
    offset: u64,
    /// The sequence of the next message; 0 before the first line.
    sequence: u64,
    skips: Vec<Skip>,
    /// Whether sequence numbers may be missing: behind damage.
    with_gaps: bool,
}

/// Where a whole record was found, within the buffer.
struct Found {
    offset: u64,
    line: std::ops::Range<usize>,
    bytes: std::ops::Range<usize>,
}

enum Measured {
    Found(Found),
    End,
    Bad(&'static str),
}

impl Scanner {
    /// Begins at the first byte; `end` is where the segment ends, if it was closed.
    pub(crate) fn open(path: &Path, end: Option<u64>) -> Result<Scanner, JournalError> {
        let file = File::open(path).map_err(|source| failed(path, "cannot open", source))?;
        let length = file.metadata().map_err(|source| failed(path, "cannot read", source))?.len();
        Ok(Scanner {
            file,
            path: path.to_owned(),
            limit: end.map_or(length, |end| end.min(length)),
            buffer: Vec::new(),
            buffered: 0,
            offset: 0,
            sequence: 0,
            skips: skip::read(path)?.places,
            with_gaps: false,
        })
    }

    /// The place of the next record.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The error for a bad record here.
    pub(crate) fn damaged(&self, what: &'static str) -> JournalError {
        JournalError::Damaged { path: self.path.clone(), offset: self.offset, what }
    }

    /// Forgets what was read ahead: more may have been written.
    pub(crate) fn refresh(&mut self) {
        self.buffer.clear();
    }

    /// The segment was closed and ends there.
    pub(crate) fn limit(&mut self, end: Option<u64>) {
        if let Some(end) = end {
            self.limit = self.limit.min(end);
        }
    }

    /// The number of the next message.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Goes on at another place, with this sequence, or a later one if some may be missing.
    pub(crate) fn jump(&mut self, offset: u64, sequence: u64, with_gaps: bool) {
        (self.offset, self.sequence, self.with_gaps) = (offset, sequence, with_gaps);
    }

    /// The first offset after `offset` at which a line could begin.
    pub(crate) fn line_after(&mut self, offset: u64) -> Result<Option<u64>, JournalError> {
        self.offset = offset;
        loop {
            let start =
                self.buffer_at_least(1).map_err(|source| failed(&self.path, "cannot read", source))?;
            let ahead = &self.buffer[start..];
            if ahead.is_empty() {
                return Ok(None);
            }
            match memchr(b'\n', ahead) {
                Some(at) => return Ok(Some(self.offset + at as u64 + 1)),
                None => self.offset += ahead.len() as u64,
            }
        }
    }

    /// Where the segment ends.
    pub(crate) fn end(&self) -> u64 {
        self.limit
    }

    /// The next record.
    pub(crate) fn next(&mut self) -> Result<Scanned<'_>, JournalError> {
        while let Some(skip) = self.skips.iter().find(|skip| skip.from == self.offset) {
            self.offset = skip.to;
            self.sequence = skip.sequence.max(self.sequence);
        }
        let measured = self.measure();
        let found = match measured.map_err(|source| failed(&self.path, "cannot read", source))? {
            Measured::Found(found) => found,
            Measured::End => return Ok(Scanned::End),
            Measured::Bad(what) => return Ok(Scanned::Bad(what)),
        };
        match Line::parse(&self.buffer[found.line.clone()]) {
            Some(line) => {
                Ok(Scanned::Record { offset: found.offset, line, bytes: &self.buffer[found.bytes] })
            }
            None => Ok(Scanned::Bad("no record")),
        }
    }

    /// Finds the next record whole in the buffer, checks it and steps behind it.
    fn measure(&mut self) -> io::Result<Measured> {
        let available = self.buffer_at_least(1)?;
        if self.buffer.get(available).copied().unwrap_or(0) == 0 {
            return Ok(Measured::End);
        }
        let start = self.buffer_line()?;
        let rest = &self.buffer[start..];
        let Some(length) = memchr(b'\n', &rest[..rest.len().min(MAX_LINE)]) else {
            return Ok(Measured::Bad("no line of a record"));
        };
        let Some(line) = Line::parse(&rest[..length]) else {
            return Ok(Measured::Bad("no record, or a wrong CRC"));
        };
        let offset = self.offset;
        let mut total = length + 1;
        match line {
            Line::Message { sequence, length: bytes, crc, .. } => {
                let follows = sequence == self.sequence || self.with_gaps && sequence > self.sequence;
                if !follows {
                    return Ok(Measured::Bad("a sequence number that does not follow"));
                }
                let left = self.limit.saturating_sub(offset).saturating_sub(total as u64);
                if bytes >= left {
                    return Ok(Measured::Bad("a message that reaches beyond the segment"));
                }
                // Less than what is left of a file, so it fits into memory's numbers.
                total += bytes as usize + 1;
                let start = self.buffer_at_least(total)?;
                let Some(record) = self.buffer.get(start..start + total) else {
                    return Ok(Measured::Bad("a message that ends early"));
                };
                if record.last() != Some(&b'\n')
                    || crc != message_crc(&record[..length], &record[length + 1..total - 1])
                {
                    return Ok(Measured::Bad("a message with a wrong CRC"));
                }
                self.sequence = sequence.saturating_add(1);
                self.offset += total as u64;
                let line = start..start + length;
                return Ok(Measured::Found(Found {
                    offset,
                    line,
                    bytes: start + length + 1..start + total - 1,
                }));
            }
            Line::Head(head) if offset == 0 => self.sequence = head.first,
            Line::Head(_) => return Ok(Measured::Bad("the first line of a segment within one")),
            Line::Synced { at, .. } if at != offset => return Ok(Measured::Bad("a mark of another place")),
            _ if self.sequence == 0 => return Ok(Measured::Bad("not the first line of a segment")),
            _ => {}
        }
        self.offset += total as u64;
        Ok(Measured::Found(Found { offset, line: start..start + length, bytes: 0..0 }))
    }

    /// Makes sure that a line is in the buffer as far as there is one; gives where it begins.
    fn buffer_line(&mut self) -> io::Result<usize> {
        let start = self.buffer_at_least(1)?;
        match memchr(b'\n', &self.buffer[start..]) {
            Some(_) => Ok(start),
            None => self.buffer_at_least(MAX_LINE),
        }
    }

    /// Makes sure that so many bytes from the offset on are in the buffer, as far as the segment has them; gives
    /// where they begin.
    fn buffer_at_least(&mut self, count: usize) -> io::Result<usize> {
        let ahead = self.offset.checked_sub(self.buffered).and_then(|ahead| usize::try_from(ahead).ok());
        if let Some(start) = ahead
            && start < self.buffer.len()
            && self.buffer.len() - start >= count
        {
            return Ok(start);
        }
        let left = usize::try_from(self.limit.saturating_sub(self.offset)).unwrap_or(usize::MAX);
        let size = count.max(READ_AHEAD).min(left);
        self.buffer.clear();
        self.buffer.shrink_to(size.max(READ_AHEAD));
        self.buffer.resize(size, 0);
        self.buffered = self.offset;
        let mut filled = 0;
        while filled < size {
            match self.file.read_at(&mut self.buffer[filled..], self.offset + filled as u64) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        Ok(0)
    }
}

fn failed(path: &Path, doing: &'static str, source: io::Error) -> JournalError {
    JournalError::File { path: path.to_owned(), doing, source }
}
