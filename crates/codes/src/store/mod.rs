//! A compiled table on the disk: the managers' database and the readers' copy of it.
//!
//! A table is a directory, such as `LOINC.db`:
//!
//! ```text
//! current       the stamp: which generation is in force, its rows and their checksum, its files and theirs
//! 7/table       the readers' copy: sorted rows and index, one file that never changes
//! 7/db, 7/conf  the managers' database (sled)
//! .lock         the lock of the manager at work
//! .new/         the next generation while it is built; nothing there survives
//! ```
//!
//! A manager takes the lock, builds the next generation in `.new`, copies it to a directory of its own, syncs every file
//! and both directories, and replaces `current` by a rename. What kill -9 or a power cut leaves before the rename is
//! cleared away by the next manager; after it, the new table is whole. The order of these operations is what the power
//! cut tests replay.
//!
//! Two forms, because sled lets only one process at its files, writes to them when they are opened and takes 0.3 s to
//! open 110,000 rows: a reader opens the copy, which takes a millisecond, and neither waits for a manager nor holds one
//! up. Managers change the database, and every commit writes the copy from it. If one of the two is damaged,
//! [`Store::reorganize`] makes both from the other.

mod error;
mod image;
mod reader;
mod stamp;
mod terms;
#[cfg(test)]
mod tests;
mod writer;

use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protogen_sys::files::{FileOps, RealFiles, directory_of};
use protogen_sys::lock::{Lock, LockError};

pub use error::StoreError;
pub use reader::Reader;
use stamp::Stamp;
pub use writer::{Place, Previous, Writer};

const LOCK: &str = ".lock";
const SCRATCH: &str = ".new";
const TABLE: &str = "table";
/// How often a manager looks whether another one is done.
const PAUSE: Duration = Duration::from_millis(20);
/// How often a reader looks again when the generation it was told of is gone.
const ATTEMPTS: u32 = 100;

/// A compiled table, by its directory. Nothing is open until it is read or written.
#[derive(Debug, Clone)]
pub struct Store<F: FileOps = RealFiles> {
    directory: PathBuf,
    files: F,
}

impl Store {
    /// The table in this directory, such as `/usr/hl7/lib/codes/LOINC.db`.
    #[must_use]
    pub fn new(directory: impl Into<PathBuf>) -> Store {
        Store::with_files(directory, RealFiles)
    }
}

impl<F: FileOps> Store<F> {
    /// The same, with file operations of the caller's: for tests that cut the power.
    #[must_use]
    pub fn with_files(directory: impl Into<PathBuf>, files: F) -> Store<F> {
        Store { directory: directory.into(), files }
    }

    /// Where it is.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Opens the table that is in force.
    ///
    /// # Errors
    /// [`StoreError::Missing`] without one; [`StoreError::Damaged`] when it is not what its stamp says.
    pub fn read(&self) -> Result<Reader, StoreError> {
        let mut attempts = 0;
        loop {
            let stamp = Stamp::read(&self.directory)?;
            match Reader::open(&self.generation(stamp.generation).join(TABLE)) {
                // A manager has put a newer one in force meanwhile, and removed this one.
                Err(StoreError::File { source, .. })
                    if source.kind() == io::ErrorKind::NotFound
                        && attempts < ATTEMPTS
                        && Stamp::read(&self.directory)?.generation != stamp.generation =>
                {
                    attempts += 1;
                }
                Err(StoreError::File { path, source }) if source.kind() == io::ErrorKind::NotFound => {
                    return Err(StoreError::damaged(&path, "it is not there, though the stamp names it"));
                }
                Ok(reader) => return self.checked(reader, &stamp),
                Err(error) => return Err(error),
            }
        }
    }

    fn checked(&self, reader: Reader, stamp: &Stamp) -> Result<Reader, StoreError> {
        let footer = reader.footer();
        match (footer.rows, footer.rows_crc) == (stamp.rows, stamp.rows_crc) {
            true => Ok(reader),
            false => Err(StoreError::damaged(
                &self.generation(stamp.generation).join(TABLE),
                "it is not the table that the stamp is of",
            )),
        }
    }

    /// Begins a new table, with no rows. Waits up to `wait` for another manager to finish.
    ///
    /// # Errors
    /// [`StoreError::Busy`] when the other one takes longer.
    pub fn create(&self, wait: Duration) -> Result<Writer<'_, F>, StoreError> {
        if !self.directory.is_dir() {
            let shared = |path: &Path| fs::DirBuilder::new().recursive(true).mode(0o755).create(path);
            shared(directory_of(&self.directory)).map_err(StoreError::file(&self.directory))?;
            match self.files.create_directory(&self.directory) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                other => other,
            }
            .map_err(StoreError::file(&self.directory))?;
            let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
            fs::set_permissions(&self.directory, mode).map_err(StoreError::file(&self.directory))?;
            let parent = directory_of(&self.directory);
            self.files.sync_directory(parent).map_err(StoreError::file(parent))?;
        }
        Writer::empty(self, self.lock(wait)?)
    }

    /// Begins a change of the table, with the rows it has.
    ///
    /// # Errors
    /// As [`create`](Store::create); [`StoreError::Missing`] without a table, [`StoreError::Damaged`] when the managers'
    /// database is not what its stamp says.
    pub fn change(&self, wait: Duration) -> Result<Writer<'_, F>, StoreError> {
        Stamp::read(&self.directory)?;
        Writer::copy(self, self.lock(wait)?)
    }

    /// Begins a new database with all rows of the table, which leaves behind the room that removed rows took. The rows
    /// come from the readers' copy or, if that is damaged, from the managers' database.
    ///
    /// # Errors
    /// As [`change`](Store::change); [`StoreError::Damaged`] when neither is whole.
    pub fn reorganize(&self, wait: Duration) -> Result<Writer<'_, F>, StoreError> {
        Stamp::read(&self.directory)?;
        let lock = self.lock(wait)?;
        let read = self.read().and_then(|reader| {
            // Once through, so that damage shows before anything is built.
            reader.each(|_, _| ControlFlow::Continue(()))?;
            Ok(reader)
        });
        let Ok(reader) = read else { return Writer::copy(self, lock) };
        let mut writer = Writer::empty(self, lock)?;
        let mut outcome = Ok(());
        reader.each(|key, value| match writer.put(key, value, Place { file: 0, line: 0 }) {
            Ok(_) => ControlFlow::Continue(()),
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        })?;
        outcome.map(|()| writer)
    }

    fn lock(&self, wait: Duration) -> Result<Lock, StoreError> {
        let until = Instant::now() + wait;
        loop {
            match Lock::take(&self.directory.join(LOCK)) {
                Ok(lock) => return Ok(lock),
                Err(LockError::Held { .. }) if Instant::now() < until => std::thread::sleep(PAUSE),
                Err(error) => return Err(StoreError::Busy(error)),
            }
        }
    }

    fn generation(&self, number: u64) -> PathBuf {
        self.directory.join(number.to_string())
    }
}
