//! Spool directories: one message a file, in the order of their names.
//!
//! | name | state | who moves it on |
//! |---|---|---|
//! | `.NAME.tmp` | being written | its [`Producer`] renames it to `NAME`; one that a crash left is removed by the queue's owner ([`Queue::remove_leftovers`]) |
//! | `NAME` | waiting | the [`Queue`]'s owner, to the log directory |
//! | `NAME` and `NAME.lock` | another producer is still at it | that producer removes `NAME.lock` |
//! | `.run.lock` | somebody works on the queue | [`crate::lock`] |
//! | `NAME` and `.NAME.neg` | refused | the operator, or the next run ([`Queue::clear_negative`]) |
//! | `.error` | the queue is blocked | the operator ([`Queue::clear_error`]) |
//! | `NAME.ack`, then `NAME`, in the log directory | delivered | retention |
//!
//! The acknowledgment goes to the log before the message leaves the queue: after a crash in between the message is
//! sent again, and its receiver recognises it by its control id. The other order could lose what was answered.

mod deliver;
mod error;
mod mark;
mod names;
mod negative;
mod producer;
mod reader;

use std::path::{Path, PathBuf};

use crate::files::{FileOps, RealFiles};
pub use error::SpoolError;
pub use mark::ErrorMark;
pub use names::Namer;
pub use negative::Negative;
pub use producer::{Hold, Producer};
pub use reader::{BATCH, Census, Waiting};

/// A queue as its owner sees it: the spool directory and the log directory that delivered messages go to.
#[derive(Debug, Clone)]
pub struct Queue<F: FileOps = RealFiles> {
    files: F,
    spool: PathBuf,
    log: PathBuf,
}

impl Queue {
    /// The queue of these directories.
    ///
    /// # Errors
    /// When one of them is no directory.
    pub fn open(spool: &Path, log: &Path) -> Result<Queue, SpoolError> {
        Queue::with_files(RealFiles, spool, log)
    }
}

impl<F: FileOps> Queue<F> {
    /// The same over other file operations.
    ///
    /// # Errors
    /// As [`Queue::open`].
    pub fn with_files(files: F, spool: &Path, log: &Path) -> Result<Queue<F>, SpoolError> {
        for directory in [spool, log] {
            if !directory.is_dir() {
                return Err(SpoolError::NoDirectory { path: directory.to_owned() });
            }
        }
        Ok(Queue { files, spool: spool.to_owned(), log: log.to_owned() })
    }

    /// The spool directory.
    #[must_use]
    pub fn spool(&self) -> &Path {
        &self.spool
    }

    /// The log directory.
    #[must_use]
    pub fn log(&self) -> &Path {
        &self.log
    }
}
