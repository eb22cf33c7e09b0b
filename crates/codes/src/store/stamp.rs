//! The stamp of a table: which generation is in force, and what its files are.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use protogen_sys::files::read_bounded;

use super::error::StoreError;

/// The file that names the generation in force. Replacing it is what publishes a table.
pub(super) const CURRENT: &str = "current";
const FIRST_LINE: &str = "protogen code table 1";
const LIMIT: usize = 64 << 10;

/// What `current` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) generation: u64,
    pub(super) rows: u64,
    pub(super) rows_crc: u32,
    pub(super) files: Vec<FileStamp>,
}

/// A file of the generation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FileStamp {
    pub(super) name: String,
    pub(super) length: u64,
    pub(super) crc: u32,
}

impl Stamp {
    /// Reads the stamp of the table in `directory`.
    pub(super) fn read(directory: &Path) -> Result<Stamp, StoreError> {
        let path = directory.join(CURRENT);
        let bytes = match read_bounded(&path, LIMIT) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StoreError::Missing { path: directory.to_owned() });
            }
            other => other.map_err(StoreError::file(&path))?,
        };
        let text = String::from_utf8(bytes).unwrap_or_default();
        Stamp::parse(&text).ok_or_else(|| StoreError::damaged(&path, "it is no stamp of a table"))
    }

    pub(super) fn to_text(&self) -> String {
        let mut text = format!(
            "{FIRST_LINE}\ngeneration {}\nrows {} {:08x}\n",
            self.generation, self.rows, self.rows_crc
        );
        for file in &self.files {
            text.push_str(&format!("file {} {} {:08x}\n", file.name, file.length, file.crc));
        }
        let crc = crc32c::crc32c(text.as_bytes());
        text + &format!("end {crc:08x}\n")
    }

    fn parse(text: &str) -> Option<Stamp> {
        let (told, end) = text.strip_suffix('\n')?.rsplit_once('\n')?;
        let crc = u32::from_str_radix(end.strip_prefix("end ")?, 16).ok()?;
        if crc32c::crc32c(&text.as_bytes()[..=told.len()]) != crc {
            return None;
        }
        let mut lines = told.lines();
        if lines.next() != Some(FIRST_LINE) {
            return None;
        }
        let generation = lines.next()?.strip_prefix("generation ")?.parse().ok()?;
        let (rows, rows_crc) = lines.next()?.strip_prefix("rows ")?.split_once(' ')?;
        let file = |line: &str| {
            let [name, length, crc] =
                line.strip_prefix("file ")?.split(' ').collect::<Vec<_>>().try_into().ok()?;
            let crc = u32::from_str_radix(crc, 16).ok()?;
            Some(FileStamp { name: name.to_owned(), length: length.parse().ok()?, crc })
        };
        Some(Stamp {
            generation,
            rows: rows.parse().ok()?,
            rows_crc: u32::from_str_radix(rows_crc, 16).ok()?,
            files: lines.map(file).collect::<Option<_>>()?,
        })
    }
}

impl FileStamp {
    /// Holds the file in `directory` against its stamp.
    pub(super) fn check(&self, directory: &Path) -> Result<(), StoreError> {
        let path = directory.join(&self.name);
        let (length, crc) = length_and_crc(&path).map_err(StoreError::file(&path))?;
        match (length, crc) == (self.length, self.crc) {
            true => Ok(()),
            false => Err(StoreError::damaged(&path, "its length or checksum is not that of its stamp")),
        }
    }
}

fn length_and_crc(path: &Path) -> io::Result<(u64, u32)> {
    let mut file = File::open(path)?;
    let (mut length, mut crc) = (0, 0);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok((length, crc)),
            count => {
                length += count as u64;
                crc = crc32c::crc32c_append(crc, &buffer[..count]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_with_any_byte_changed_is_none() {
        let file = FileStamp { name: "db".into(), length: 7, crc: 0xAB };
        let stamp = Stamp { generation: 3, rows: 20, rows_crc: 0x1234_5678, files: vec![file] };
        let text = stamp.to_text();
        assert_eq!(Stamp::parse(&text), Some(stamp));
        for at in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[at] ^= 1;
            assert_eq!(Stamp::parse(&String::from_utf8(changed).unwrap()), None, "byte {at}");
            assert_eq!(Stamp::parse(&text[..at]), None, "cut at {at}");
        }
    }
}
