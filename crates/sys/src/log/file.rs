//! The log file of `--log FILE`.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::LogError;

/// A file that is appended to and can be opened again; clones share it.
#[derive(Debug, Clone)]
pub(super) struct LogFile {
    path: Arc<PathBuf>,
    file: Arc<Mutex<File>>,
}

impl LogFile {
    pub(super) fn open(path: &Path) -> Result<LogFile, LogError> {
        let file = append(path)?;
        Ok(LogFile { path: Arc::new(path.to_owned()), file: Arc::new(Mutex::new(file)) })
    }

    pub(super) fn reopen(&self) -> Result<(), LogError> {
        let file = append(&self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }
}

fn append(path: &Path) -> Result<File, LogError> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .mode(0o600)
        .open(path)
        .map_err(|source| LogError::Open { path: path.to_owned(), source })
}

/// One record a call; appended in one write, so that several processes can share the file.
impl Write for LogFile {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write(record)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
