//! The writing end of a spool.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::reader::is_message_name;
use super::{Namer, SpoolError};
use crate::durable::{self, sync_directory};
use crate::files::{FileOps, RealFiles};

/// How many names are tried for one message before giving up.
const MAX_NAMES: usize = 1000;

/// Writes messages into a spool directory, each durable when its call returns.
#[derive(Debug)]
pub struct Producer<F: FileOps = RealFiles> {
    files: F,
    spool: PathBuf,
    namer: Namer,
}

impl Producer {
    /// A producer that names messages by the time.
    ///
    /// # Errors
    /// When `spool` is no directory.
    pub fn open(spool: &Path, namer: Namer) -> Result<Producer, SpoolError> {
        Producer::with_files(RealFiles, spool, namer)
    }
}

impl<F: FileOps> Producer<F> {
    /// The same over other file operations.
    ///
    /// # Errors
    /// As [`Producer::open`].
    pub fn with_files(files: F, spool: &Path, namer: Namer) -> Result<Producer<F>, SpoolError> {
        if !spool.is_dir() {
            return Err(SpoolError::NoDirectory { path: spool.to_owned() });
        }
        Ok(Producer { files, spool: spool.to_owned(), namer })
    }

    /// Writes a message under the next free name and gives that name. An existing file is never replaced.
    ///
    /// # Errors
    /// Names the step that failed; the message is then not in the spool.
    pub fn put(&mut self, message: &[u8]) -> Result<OsString, SpoolError> {
        for _ in 0..MAX_NAMES {
            let name = OsString::from(self.namer.next(SystemTime::now()));
            match durable::write_new(&self.files, &self.spool.join(&name), message) {
                Err(error) if error.is_taken() => {}
                result => return result.map(|()| name).map_err(SpoolError::from),
            }
        }
        Err(SpoolError::NoName { path: self.spool.clone() })
    }

    /// Writes a message under a name of the caller's choice.
    ///
    /// # Errors
    /// [`SpoolError::BadName`] for a name that no reader would take; a [`SpoolError::Write`] that
    /// [is taken](durable::DurableError::is_taken) when the name exists.
    pub fn put_as(&mut self, name: &OsStr, message: &[u8]) -> Result<(), SpoolError> {
        if !is_message_name(name) {
            return Err(SpoolError::BadName { name: name.to_owned() });
        }
        durable::write_new(&self.files, &self.spool.join(name), message).map_err(SpoolError::from)
    }

    /// Keeps readers from `name` with `NAME.lock`, until the [`Hold`] is dropped. The message need not exist yet.
    ///
    /// # Errors
    /// [`SpoolError::File`], of kind `AlreadyExists` when another producer holds it.
    pub fn hold(&self, name: &OsStr) -> Result<Hold, SpoolError> {
        if !is_message_name(name) {
            return Err(SpoolError::BadName { name: name.to_owned() });
        }
        let path = self.spool.join(lock_name(name));
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map(|_: File| Hold { path: path.clone() })
            .map_err(SpoolError::file(&path, "hold the message"))
    }

    /// Makes every name in the spool durable, for a caller that renamed files itself.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> Result<(), SpoolError> {
        sync_directory(&self.files, &self.spool.join("any")).map_err(SpoolError::from)
    }
}

/// A message held back from readers; dropped, it is released.
#[derive(Debug)]
#[must_use = "the message is released when this is dropped"]
pub struct Hold {
    path: PathBuf,
}

impl Drop for Hold {
    fn drop(&mut self) {
        match std::fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                log::warn!("{}: cannot release the message: {error}", self.path.display());
            }
            _ => {}
        }
    }
}

/// `NAME.lock`.
pub(super) fn lock_name(name: &OsStr) -> OsString {
    let mut lock = name.to_owned();
    lock.push(".lock");
    lock
}
