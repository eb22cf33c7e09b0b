//! The pid file of a server: one line with its process id, locked as long as the server lives.

use std::path::Path;

use crate::lock::{Lock, LockError};

/// A pid file, removed when this is dropped by the process that made it.
///
/// A second server finds it locked; one that a crash left is taken over. Make it after forking: it names, and
/// belongs to, the process that makes it. Mode 0644, for other accounts signal the server by it.
#[derive(Debug)]
#[must_use = "the pid file is removed when this is dropped"]
pub struct PidFile {
    lock: Lock,
}

impl PidFile {
    /// Makes the file.
    ///
    /// # Errors
    /// [`LockError::Held`] names the server that runs already; [`LockError::File`] says why the file cannot be made.
    pub fn create(path: &Path) -> Result<PidFile, LockError> {
        let text = format!("{}\n", std::process::id());
        Ok(PidFile { lock: Lock::take_with(path, 0o644, &text)? })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.lock.path()
    }
}
