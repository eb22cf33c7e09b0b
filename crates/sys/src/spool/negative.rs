//! The negative mark `.NAME.neg` beside a message that was refused: what was answered, and when.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::SystemTime;

use jiff::Timestamp;

use super::{Queue, SpoolError};
use crate::durable;
use crate::files::{FileOps, read_bounded};

/// The longest answer that is kept, in bytes.
const MAX_ANSWER: usize = 64 << 10;

/// Why a message was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negative {
    /// When; `None` if the file was not written by this program.
    pub since: Option<SystemTime>,
    /// The answer, or a reason in its place where there was none.
    pub answer: Vec<u8>,
}

impl<F: FileOps> Queue<F> {
    /// Writes down that a message was refused. For the holder of the run lock.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn mark_negative(&self, name: &OsStr, answer: &[u8], now: SystemTime) -> Result<(), SpoolError> {
        let since = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let answer = &answer[..answer.len().min(MAX_ANSWER)];
        let text = [format!("{since:.0}\n").as_bytes(), answer].concat();
        durable::write(&self.files, &self.negative_path(name), &text).map_err(SpoolError::from)
    }

    /// Whether a message was refused.
    #[must_use]
    pub fn is_negative(&self, name: &OsStr) -> bool {
        self.negative_path(name).symlink_metadata().is_ok()
    }

    /// What a message was refused with, if it was.
    ///
    /// # Errors
    /// When there is a mark that cannot be read.
    pub fn negative(&self, name: &OsStr) -> Result<Option<Negative>, SpoolError> {
        let path = self.negative_path(name);
        let bytes = match read_bounded(&path, MAX_ANSWER + 64) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.map_err(SpoolError::file(&path, "read the negative mark"))?,
        };
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
        let time = std::str::from_utf8(&bytes[..end]).ok().and_then(|time| time.parse::<Timestamp>().ok());
        Ok(Some(match time {
            Some(time) => {
                let answer = bytes.get(end + 1..).unwrap_or_default().to_vec();
                Negative { since: SystemTime::try_from(time).ok(), answer }
            }
            None => Negative { since: None, answer: bytes },
        }))
    }

    /// Removes the mark of a message. After a crash it may be back, which costs nothing but another look.
    ///
    /// # Errors
    /// When there is one that cannot be removed.
    pub fn clear_negative(&self, name: &OsStr) -> Result<(), SpoolError> {
        let path = self.negative_path(name);
        match self.files.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result.map_err(SpoolError::file(&path, "remove the negative mark")),
        }
    }

    /// How many marks there are.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn count_negative(&self) -> Result<usize, SpoolError> {
        let unreadable = || SpoolError::file(&self.spool, "read the directory");
        let mut count = 0;
        for entry in fs::read_dir(&self.spool).map_err(unreadable())? {
            let name = entry.map_err(unreadable())?.file_name();
            let bytes = name.as_bytes();
            count += usize::from(bytes.starts_with(b".") && bytes.ends_with(b".neg") && bytes.len() > 5);
        }
        Ok(count)
    }

    /// The mark of a message.
    #[must_use]
    pub fn negative_path(&self, name: &OsStr) -> PathBuf {
        let mut mark = OsString::from(".");
        mark.push(name);
        mark.push(".neg");
        self.spool.join(mark)
    }
}
