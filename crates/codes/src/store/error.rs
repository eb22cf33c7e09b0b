//! What can be wrong with a compiled table.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use protogen_sys::durable::DurableError;
use protogen_sys::lock::LockError;

/// Why a compiled table was not read or not changed. The table that was in force stays in force.
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreError {
    /// No table was ever made there.
    Missing {
        /// The table's directory, such as `LOINC.db`.
        path: PathBuf,
    },
    /// What is there is not what was written.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// Another manager is at work on the table.
    Busy(LockError),
    /// A file could not be read, made or written.
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The table could not be put in place.
    Durable(DurableError),
    /// The managers' database reported a failure.
    Database {
        /// Its directory.
        path: PathBuf,
        /// What it said.
        source: sled::Error,
    },
}

impl StoreError {
    pub(super) fn file(path: &Path) -> impl FnOnce(io::Error) -> StoreError {
        let path = path.to_owned();
        move |source| StoreError::File { path, source }
    }

    /// What sled reports about its files in `place`.
    pub(super) fn database(place: &Path, source: sled::Error) -> StoreError {
        match source {
            // Its text is the debug form of the first error; the kind is what that one was.
            sled::Error::Io(source) => {
                StoreError::File { path: place.to_owned(), source: source.kind().into() }
            }
            source => StoreError::Database { path: place.to_owned(), source },
        }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: path.to_owned(), what: what.into() }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Missing { path } => {
                write!(f, "{}: no such table; make it with the manager's -c", path.display())
            }
            StoreError::Damaged { path, what } => {
                write!(
                    f,
                    "{}: damaged: {what}; the manager's -R repairs what one copy still holds, -c makes the table anew",
                    path.display()
                )
            }
            StoreError::Busy(LockError::Held { path, holder }) => {
                write!(f, "{}: another manager changes the table, {holder}; try again", path.display())
            }
            StoreError::Busy(error) => error.fmt(f),
            StoreError::File { path, source } => {
                write!(f, "{}: {source}", path.display())?;
                let full = matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
                if full { f.write_str("; make room and try again") } else { Ok(()) }
            }
            StoreError::Durable(error) => error.fmt(f),
            StoreError::Database { path, source } => write!(f, "{}: {source}", path.display()),
        }
    }
}

impl std::error::Error for StoreError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            StoreError::Busy(error) => Some(error),
            StoreError::File { source, .. } => Some(source),
            StoreError::Durable(error) => Some(error),
            StoreError::Database { source, .. } => Some(source),
            StoreError::Missing { .. } | StoreError::Damaged { .. } => None,
        }
    }
}
