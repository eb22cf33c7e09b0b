//! Reading a compiled table, from as many processes as like to.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::error::StoreError;
use super::image::{FOOTER, Footer, ROW, TERM, take_varint};

/// An opened table. It stays as it was when it was opened, whatever a manager does meanwhile, and never waits for one.
///
/// Each block that is read is held against its checksum. The index of the blocks is kept in memory, about 1 % of the
/// table; threads may share a reader.
#[derive(Debug)]
pub struct Reader {
    file: File,
    path: PathBuf,
    index: Vec<u8>,
    /// Where each block's entry begins in `index`.
    blocks: Vec<u32>,
    footer: Footer,
}

/// One block as the index describes it.
struct Block<'i> {
    first: &'i [u8],
    at: u64,
    length: u32,
    crc: u32,
}

impl Reader {
    pub(super) fn open(path: &Path) -> Result<Reader, StoreError> {
        let file = File::open(path).map_err(StoreError::file(path))?;
        let length = file.metadata().map_err(StoreError::file(path))?.len();
        let mut bytes = vec![0; FOOTER];
        let footer = length
            .checked_sub(FOOTER as u64)
            .and_then(|at| file.read_exact_at(&mut bytes, at).ok())
            .and_then(|()| Footer::parse(&bytes))
            .filter(|footer| footer.index_at.checked_add(footer.index_length) == Some(length - FOOTER as u64))
            .ok_or_else(|| StoreError::damaged(path, "it does not end as a table does"))?;
        let mut index = vec![0; footer.index_length as usize];
        file.read_exact_at(&mut index, footer.index_at).map_err(StoreError::file(path))?;
        if crc32c::crc32c(&index) != footer.index_crc {
            return Err(StoreError::damaged(path, "the checksum of its index is wrong"));
        }
        let mut reader = Reader { file, path: path.to_owned(), index, blocks: Vec::new(), footer };
        let mut rest = reader.index.as_slice();
        while !rest.is_empty() {
            reader.blocks.push((reader.index.len() - rest.len()) as u32);
            take_block(&mut rest).ok_or_else(|| StoreError::damaged(path, "its index is cut short"))?;
        }
        Ok(reader)
    }

    /// How many rows the table has.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.footer.rows
    }

    pub(super) fn footer(&self) -> Footer {
        self.footer
    }

    /// The row with this key.
    ///
    /// # Errors
    /// When the table cannot be read or is damaged.
    pub fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = None;
        let wanted = [&[ROW], key].concat();
        self.scan(&wanted, |rest, value| {
            if rest.is_empty() {
                found = Some(value.to_vec());
            }
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// Hands each row, key and value, to `each`, in the order of the keys, until it breaks off.
    ///
    /// # Errors
    /// As [`get`](Reader::get).
    pub fn each(&self, each: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<(), StoreError> {
        self.scan(&[ROW], each)
    }

    /// The keys of the rows that have exactly this term in an indexed field, in their order.
    ///
    /// # Errors
    /// As [`get`](Reader::get).
    pub fn with_term(&self, field: u8, term: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let wanted = [&[TERM, field], term, &[0]].concat();
        let mut keys = Vec::new();
        self.scan(&wanted, |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(())
        })?;
        Ok(keys)
    }

    /// The keys of the rows that have a term beginning so in an indexed field, in their order, each once.
    ///
    /// # Errors
    /// As [`get`](Reader::get).
    pub fn with_term_start(&self, field: u8, start: &[u8]) -> Result<Vec<Vec<u8>>, StoreError> {
        let wanted = [&[TERM, field], start].concat();
        let mut keys = Vec::new();
        self.scan(&wanted, |rest, _| {
            if let Some(end) = rest.iter().position(|byte| *byte == 0) {
                keys.push(rest[end + 1..].to_vec());
            }
            ControlFlow::Continue(())
        })?;
        keys.sort_unstable();
        keys.dedup();
        Ok(keys)
    }

    /// Hands the entries that begin with `prefix` to `each`, without it.
    fn scan(
        &self,
        prefix: &[u8],
        mut each: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let start =
            self.blocks.partition_point(|at| self.block(*at).is_some_and(|block| block.first <= prefix));
        let mut bytes = Vec::new();
        let mut key = Vec::new();
        for at in &self.blocks[start.saturating_sub(1)..] {
            self.read(*at, &mut bytes)?;
            let mut rest = bytes.as_slice();
            key.clear();
            while !rest.is_empty() {
                let value = take_entry(&mut rest, &mut key)
                    .ok_or_else(|| StoreError::damaged(&self.path, "an entry is cut short"))?;
                match key.strip_prefix(prefix) {
                    Some(left) if each(left, value).is_break() => return Ok(()),
                    None if key.as_slice() > prefix => return Ok(()),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    fn block(&self, at: u32) -> Option<Block<'_>> {
        take_block(&mut &self.index[at as usize..])
    }

    fn read(&self, at: u32, bytes: &mut Vec<u8>) -> Result<(), StoreError> {
        let damaged = |what: &str| StoreError::damaged(&self.path, what);
        let block = self.block(at).ok_or_else(|| damaged("its index is cut short"))?;
        if block.at + u64::from(block.length) > self.footer.index_at {
            return Err(damaged("its index points beyond the blocks"));
        }
        bytes.resize(block.length as usize, 0);
        self.file.read_exact_at(bytes, block.at).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is cut short"),
            _ => StoreError::File { path: self.path.clone(), source },
        })?;
        match crc32c::crc32c(bytes) == block.crc {
            true => Ok(()),
            false => Err(StoreError::damaged(
                &self.path,
                format!("the checksum of the block at byte {} is wrong", block.at),
            )),
        }
    }
}

fn take_block<'i>(index: &mut &'i [u8]) -> Option<Block<'i>> {
    let length = take_varint(index)?;
    let (first, rest) = index.split_at_checked(length)?;
    let (numbers, rest) = rest.split_at_checked(16)?;
    *index = rest;
    Some(Block {
        first,
        at: u64::from_le_bytes(numbers[..8].try_into().ok()?),
        length: u32::from_le_bytes(numbers[8..12].try_into().ok()?),
        crc: u32::from_le_bytes(numbers[12..].try_into().ok()?),
    })
}

/// Takes an entry off a block: makes `key` its key, and gives its value.
fn take_entry<'b>(block: &mut &'b [u8], key: &mut Vec<u8>) -> Option<&'b [u8]> {
    let (shared, own, length) = (take_varint(block)?, take_varint(block)?, take_varint(block)?);
    let (rest_of_key, rest) = block.split_at_checked(own)?;
    let (value, rest) = rest.split_at_checked(length)?;
    if shared > key.len() {
        return None;
    }
    key.truncate(shared);
    key.extend_from_slice(rest_of_key);
    *block = rest;
    Some(value)
}
