//! What can go wrong with a spool.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::durable::DurableError;

/// A spool operation that failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpoolError {
    /// The directory does not exist or is none.
    NoDirectory {
        /// Where it should be.
        path: PathBuf,
    },
    /// A message may not be called that: names with a leading dot, a slash or the endings of the spool's own files
    /// mean something else.
    BadName {
        /// The name.
        name: OsString,
    },
    /// Every name tried for a message was taken.
    NoName {
        /// The directory.
        path: PathBuf,
    },
    /// A file could not be written.
    Write(DurableError),
    /// A file or directory could not be read, moved or removed.
    File {
        /// Which.
        path: PathBuf,
        /// What was attempted, as in "cannot …".
        doing: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl SpoolError {
    pub(super) fn file(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> SpoolError {
        let path = path.to_owned();
        move |source| SpoolError::File { path, doing, source }
    }

    /// Whether the disk or the quota is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        match self {
            SpoolError::Write(error) => error.is_full(),
            SpoolError::File { source, .. } => {
                matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
            }
            _ => false,
        }
    }
}

impl From<DurableError> for SpoolError {
    fn from(error: DurableError) -> SpoolError {
        SpoolError::Write(error)
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SpoolError::NoDirectory { path } => {
                write!(f, "{}: no such directory; make it with mode 0700", path.display())
            }
            SpoolError::BadName { name } => {
                write!(f, "{}: no name for a message in a spool", Path::new(name).display())
            }
            SpoolError::NoName { path } => write!(f, "{}: no free name for a message", path.display()),
            SpoolError::Write(error) => error.fmt(f),
            SpoolError::File { path, doing, source } => {
                write!(f, "{}: cannot {doing}: {source}", path.display())
            }
        }
    }
}

impl std::error::Error for SpoolError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            SpoolError::Write(error) => Some(error),
            SpoolError::File { source, .. } => Some(source),
            _ => None,
        }
    }
}
