//! The readers' copy of a table: one file, sorted, written once and never changed.
//!
//! `PGCODES1`, then blocks of about 8 KiB, the index of the blocks, a footer of 48 bytes. A block holds entries in the
//! order of their keys, each with the part of its key that it shares with the one before left out. An entry is a row
//! (`R` and its key) or a term (`T`, the field's number, the term, NUL, the key of the row that has it). The index
//! holds each block's first key, place and CRC-32C. Numbers are little-endian.

use std::io;

use protogen_sys::files::FileOps;

pub(super) const MAGIC: &[u8; 8] = b"PGCODES1";
pub(super) const FOOTER: usize = 48;
/// What a row's key begins with in the file.
pub(super) const ROW: u8 = b'R';
/// What a term's key begins with in the file.
pub(super) const TERM: u8 = b'T';
/// A block ends with the entry that takes it here, in bytes.
const BLOCK: usize = 8 << 10;
/// What is written at once, in bytes.
const CHUNK: usize = 1 << 20;

/// Writes the file, entry by entry.
pub(super) struct ImageWriter<'f, F: FileOps> {
    files: &'f F,
    file: F::File,
    written: u64,
    buffer: Vec<u8>,
    block: Vec<u8>,
    first: Vec<u8>,
    last: Vec<u8>,
    index: Vec<u8>,
    rows: u64,
    rows_crc: u32,
}

/// What a finished file says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Footer {
    pub(super) index_at: u64,
    pub(super) index_length: u64,
    pub(super) index_crc: u32,
    pub(super) rows: u64,
    /// CRC-32C over keys and values of all rows, in their order.
    pub(super) rows_crc: u32,
}

impl<'f, F: FileOps> ImageWriter<'f, F> {
    pub(super) fn new(files: &'f F, file: F::File) -> Self {
        ImageWriter {
            files,
            file,
            written: 0,
            buffer: MAGIC.to_vec(),
            block: Vec::with_capacity(2 * BLOCK),
            first: Vec::new(),
            last: Vec::new(),
            index: Vec::new(),
            rows: 0,
            rows_crc: 0,
        }
    }

    /// Adds a row; keys come in ascending order.
    pub(super) fn row(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        self.rows += 1;
        self.rows_crc = row_crc(self.rows_crc, key, value);
        let key = [&[ROW], key].concat();
        self.entry(&key, value)
    }

    /// Adds a term, as [`term_key`] makes it; terms come after the rows, in ascending order.
    pub(super) fn term(&mut self, key: &[u8]) -> io::Result<()> {
        self.entry(key, b"")
    }

    fn entry(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        debug_assert!(self.last.is_empty() || key > self.last.as_slice(), "entries are sorted");
        let shared = match self.block.is_empty() {
            true => {
                self.first = key.to_vec();
                0
            }
            false => key.iter().zip(&self.last).take_while(|(a, b)| a == b).count(),
        };
        for number in [shared, key.len() - shared, value.len()] {
            push_varint(&mut self.block, number);
        }
        self.block.extend_from_slice(&key[shared..]);
        self.block.extend_from_slice(value);
        self.last.truncate(shared);
        self.last.extend_from_slice(&key[shared..]);
        if self.block.len() >= BLOCK { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        push_varint(&mut self.index, self.first.len());
        self.index.extend_from_slice(&self.first);
        self.index.extend_from_slice(&(self.written + self.buffer.len() as u64).to_le_bytes());
        self.index.extend_from_slice(&(self.block.len() as u32).to_le_bytes());
        self.index.extend_from_slice(&crc32c::crc32c(&self.block).to_le_bytes());
        self.buffer.append(&mut self.block);
        if self.buffer.len() >= CHUNK { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.files.write_at(&self.file, &self.buffer, self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Ends the file and syncs it.
    pub(super) fn finish(mut self) -> io::Result<Footer> {
        self.end_block()?;
        let footer = Footer {
            index_at: self.written + self.buffer.len() as u64,
            index_length: self.index.len() as u64,
            index_crc: crc32c::crc32c(&self.index),
            rows: self.rows,
            rows_crc: self.rows_crc,
        };
        self.buffer.append(&mut self.index);
        self.buffer.extend_from_slice(&footer.to_bytes());
        self.flush()?;
        self.files.sync_data(&self.file)?;
        Ok(footer)
    }
}

impl Footer {
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FOOTER);
        bytes.extend_from_slice(&self.index_at.to_le_bytes());
        bytes.extend_from_slice(&self.index_length.to_le_bytes());
        bytes.extend_from_slice(&self.rows.to_le_bytes());
        bytes.extend_from_slice(&self.index_crc.to_le_bytes());
        bytes.extend_from_slice(&self.rows_crc.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes.extend_from_slice(MAGIC);
        bytes
    }

    /// Reads the last bytes of a file; `None` if they are no footer.
    pub(super) fn parse(bytes: &[u8]) -> Option<Footer> {
        let number = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
        let half = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
        let sound = bytes.len() == FOOTER
            && bytes.ends_with(MAGIC)
            && half(FOOTER - 12)? == crc32c::crc32c(&bytes[..FOOTER - 12]);
        let footer = Footer {
            index_at: number(0)?,
            index_length: number(8)?,
            rows: number(16)?,
            index_crc: half(24)?,
            rows_crc: half(28)?,
        };
        sound.then_some(footer)
    }
}

/// Carries the checksum of the rows on over one more.
pub(super) fn row_crc(crc: u32, key: &[u8], value: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(crc, &(key.len() as u32).to_le_bytes());
    let crc = crc32c::crc32c_append(crc, key);
    let crc = crc32c::crc32c_append(crc, &(value.len() as u32).to_le_bytes());
    crc32c::crc32c_append(crc, value)
}

/// The key of an index entry: what all rows with the term in this field begin with, and the row's key.
pub(super) fn term_key(field: u8, term: &[u8], key: &[u8], to: &mut Vec<u8>) {
    to.push(TERM);
    to.push(field);
    to.extend_from_slice(term);
    to.push(0);
    to.extend_from_slice(key);
}

fn push_varint(to: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        to.push(number as u8 | 0x80);
        number >>= 7;
    }
    to.push(number as u8);
}

/// Takes a number off the front; `None` if there is none.
pub(super) fn take_varint(bytes: &mut &[u8]) -> Option<usize> {
    let mut number = 0;
    for shift in (0..35).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= usize::from(byte & 0x7F) << shift;
        if byte < 0x80 {
            return Some(number);
        }
    }
    None
}
