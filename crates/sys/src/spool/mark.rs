//! The error mark `.error`: why a queue is blocked, and since when.

use std::io;
use std::time::SystemTime;

use jiff::Timestamp;

use super::{Queue, SpoolError};
use crate::durable;
use crate::files::{FileOps, read_bounded};

const ERROR_MARK: &str = ".error";
/// The longest reason, in bytes.
const MAX_REASON: usize = 4096;

/// Why a queue is blocked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMark {
    /// Since when; `None` if the file was not written by this program.
    pub since: Option<SystemTime>,
    /// The reason, one line or several.
    pub reason: String,
}

impl<F: FileOps> Queue<F> {
    /// Blocks the queue. A mark that is there already is kept, for it says since when. For the holder of the run lock.
    ///
    /// On a full disk the mark is an empty file, which blocks as well: its reason has no room.
    ///
    /// # Errors
    /// When the mark cannot be written.
    pub fn mark_error(&self, reason: &str, now: SystemTime) -> Result<(), SpoolError> {
        let since = Timestamp::try_from(now).unwrap_or(Timestamp::UNIX_EPOCH);
        let reason: String = reason.chars().take(MAX_REASON / 4).collect();
        let text = format!("{since:.0}\n{reason}\n");
        let path = self.spool.join(ERROR_MARK);
        if path.symlink_metadata().is_ok() {
            return Ok(());
        }
        match durable::write(&self.files, &path, text.as_bytes()) {
            Err(error) if error.is_full() && self.files.create(&path).is_ok() => Ok(()),
            result => result.map_err(SpoolError::from),
        }
    }

    /// The error mark, if the queue is blocked.
    ///
    /// # Errors
    /// When there is one that cannot be read; the queue then counts as blocked.
    pub fn error_mark(&self) -> Result<Option<ErrorMark>, SpoolError> {
        let path = self.spool.join(ERROR_MARK);
        let bytes = match read_bounded(&path, MAX_REASON * 2) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.map_err(SpoolError::file(&path, "read the error mark"))?,
        };
        let text = String::from_utf8_lossy(&bytes);
        let (first, rest) = text.split_once('\n').unwrap_or((&text, ""));
        Ok(Some(match first.parse::<Timestamp>() {
            Ok(since) => {
                ErrorMark { since: SystemTime::try_from(since).ok(), reason: rest.trim_end().to_owned() }
            }
            Err(_) if bytes.is_empty() => ErrorMark {
                since: None,
                reason: "the disk was full, and no reason could be written".to_owned(),
            },
            Err(_) => ErrorMark { since: None, reason: text.trim_end().to_owned() },
        }))
    }

    /// Removes the error mark, durably.
    ///
    /// # Errors
    /// When there is one that cannot be removed.
    pub fn clear_error(&self) -> Result<(), SpoolError> {
        let path = self.spool.join(ERROR_MARK);
        match self.files.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result.map_err(SpoolError::file(&path, "remove the error mark"))?,
        }
        durable::sync_directory(&self.files, &path).map_err(SpoolError::from)
    }
}
