//! What can go wrong with a journal, each with the file, the offset and what to do next.

use std::fmt;
use std::io;
use std::path::PathBuf;

use protogen_sys::lock::LockError;

/// Why a journal was not opened, read or repaired.
#[derive(Debug)]
#[non_exhaustive]
pub enum JournalError {
    /// A setting is out of its range, or the outputs do not fit into a segment's opening.
    Setting(String),
    /// Another process has the journal open for writing.
    Locked(LockError),
    /// A file operation failed.
    File {
        /// The file or directory.
        path: PathBuf,
        /// What was being done, as in "cannot read".
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A record that was on stable storage is no longer what was written.
    Damaged {
        /// The segment.
        path: PathBuf,
        /// The byte at which the damaged record begins.
        offset: u64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A segment with messages that an output still waits for is not there.
    Missing {
        /// The segment.
        path: PathBuf,
    },
}

impl fmt::Display for JournalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JournalError::Setting(what) => f.write_str(what),
            JournalError::Locked(error) => {
                write!(f, "{error}; stop that process, or ask it through its control socket")
            }
            JournalError::File { path, doing, source } => {
                write!(f, "{}: {doing}: {source}", path.display())?;
                match source.kind() {
                    io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                        f.write_str("; make room and start again")
                    }
                    _ => Ok(()),
                }
            }
            JournalError::Damaged { path, offset, what } => write!(
                f,
                "{}: damaged at byte {offset}: {what}; restore the file, or repair the journal, which keeps the \
                 damaged bytes aside and goes on with the next whole record",
                path.display()
            ),
            JournalError::Missing { path } => write!(
                f,
                "{}: missing, and messages in it are not delivered; restore it from a copy",
                path.display()
            ),
        }
    }
}

impl std::error::Error for JournalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            JournalError::File { source, .. } => Some(source),
            JournalError::Locked(error) => Some(error),
            _ => None,
        }
    }
}

/// Why one message or delivery record was not taken. All but [`TooLong`](Refusal::TooLong) and
/// [`NotPending`](Refusal::NotPending) pass: "try later" is the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The disk is full: no room for a further segment.
    Full,
    /// Writing or syncing failed. The message may still be found after a crash, but its sender must send it again.
    Failed,
    /// The message is longer than [`Settings::max_message`](crate::Settings::max_message), or a name or note too long.
    TooLong,
    /// The output is unknown, or the message is not waiting in it in a way that this outcome could settle.
    NotPending,
    /// The output has as many dead letters and repeats as the journal can keep; resend or drop some.
    TooMany,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Refusal::Full => "the disk is full; make room, the queue goes on by itself",
            Refusal::Failed => "the disk failed to store it; look at the system's log",
            Refusal::TooLong => "longer than the journal stores",
            Refusal::NotPending => "not waiting in that output",
            Refusal::TooMany => "too many dead letters; resend or drop some",
        })
    }
}

impl std::error::Error for Refusal {}
