//! Writing a file so that a power cut leaves the old one or the new one, never a part.
//!
//! A file is staged under the temporary name `.NAME.tmp` beside its place, synced, renamed, and the directory synced.
//! [`write()`] does all of it; [`stage`] and [`Staged::publish`] are the steps, for a caller that writes several files
//! and syncs their directory once ([`write_group`]).

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::files::{FileOps, directory_of};

/// The most files of one [`write_group`].
pub const MAX_GROUP: usize = 64;

/// What was being done when a durable write failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// The path names no file in a directory.
    Name,
    /// Making the temporary file.
    Create,
    /// Writing the bytes.
    Write,
    /// Syncing the bytes.
    Sync,
    /// Renaming the temporary file to its place.
    Rename,
    /// Syncing the directory. The new file is in place, but a power cut may still bring the old one back.
    SyncDirectory,
}

/// A durable write that failed. Before [`Step::SyncDirectory`] the old file is untouched.
#[derive(Debug)]
#[non_exhaustive]
pub struct DurableError {
    /// The file that was to be written.
    pub path: PathBuf,
    /// The step that failed.
    pub step: Step,
    /// What the system said.
    pub source: io::Error,
}

impl DurableError {
    /// Whether the disk or the quota is full: worth trying again when there is room.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }

    /// Whether something of that name, or somebody who is writing it, was in the way of a file that must be new.
    #[must_use]
    pub fn is_taken(&self) -> bool {
        matches!(self.step, Step::Create | Step::Rename) && self.source.kind() == io::ErrorKind::AlreadyExists
    }
}

impl fmt::Display for DurableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let doing = match self.step {
            Step::Name => "is no file name",
            Step::Create => "cannot make its temporary file",
            Step::Write => "cannot write",
            Step::Sync => "cannot sync to disk",
            Step::Rename => "cannot put in place",
            Step::SyncDirectory => "cannot sync its directory",
        };
        write!(f, "{}: {doing}: {}", self.path.display(), self.source)?;
        if self.is_full() { f.write_str("; make room and try again") } else { Ok(()) }
    }
}

impl std::error::Error for DurableError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// Writes `bytes` to `path`, mode 0600, replacing an older file. When it returns, the new file is on the disk.
///
/// One writer a name: two at once would share the temporary file. A temporary file that a crash left is replaced.
///
/// # Errors
/// Names the step; the temporary file is removed as far as possible.
pub fn write<F: FileOps>(files: &F, path: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    stage(files, path, bytes)?.publish()?;
    sync_directory(files, path)
}

/// Writes `bytes` to `path` like [`write()`], but never replaces a file, and leaves the temporary file of another writer
/// alone: several may try the same name at once, and one succeeds.
///
/// # Errors
/// As [`write()`]; [`DurableError::is_taken`] when `path` or its temporary file exists.
pub fn write_new<F: FileOps>(files: &F, path: &Path, bytes: &[u8]) -> Result<(), DurableError> {
    let staged = fill_as(files, path, Leftover::Respect, |file| files.write_at(file, bytes, 0))?.sync()?;
    staged.publish_new()?;
    sync_directory(files, path)
}

/// Writes several files of one directory with one sync of the directory: all are staged before the first is put in
/// place, so a full disk changes nothing.
///
/// # Errors
/// The first failure; what was put in place before it stays. More than [`MAX_GROUP`] files, or files of different
/// directories, are refused.
pub fn write_group<F: FileOps>(files: &F, group: &[(&Path, &[u8])]) -> Result<(), DurableError> {
    let Some((first, _)) = group.first() else { return Ok(()) };
    let directory = directory_of(first);
    if let Some((path, _)) = group.iter().find(|(path, _)| directory_of(path) != directory) {
        return Err(refused(path, "a group is written to one directory"));
    }
    if group.len() > MAX_GROUP {
        return Err(refused(first, "too many files in one group"));
    }
    let unsynced = group
        .iter()
        .map(|(path, bytes)| fill_with(files, path, |file| files.write_at(file, bytes, 0)))
        .collect::<Result<Vec<_>, _>>()?;
    let staged = unsynced.into_iter().map(Unsynced::sync).collect::<Result<Vec<_>, _>>()?;
    staged.into_iter().try_for_each(Staged::publish)?;
    sync_directory(files, first)
}

/// A file that is written and synced under its temporary name. Dropped, it is removed.
#[derive(Debug)]
#[must_use = "a staged file is removed unless it is published"]
pub struct Staged<'f, F: FileOps> {
    files: &'f F,
    path: PathBuf,
    temporary: PathBuf,
    published: bool,
}

/// Writes and syncs the temporary file of `path`.
///
/// # Errors
/// Names the step; nothing is left behind.
pub fn stage<'f, F: FileOps>(files: &'f F, path: &Path, bytes: &[u8]) -> Result<Staged<'f, F>, DurableError> {
    stage_with(files, path, |file| files.write_at(file, bytes, 0))
}

/// A temporary file that is written and not synced yet. Dropped, it is removed.
#[derive(Debug)]
#[must_use = "a file that is not synced is removed"]
pub struct Unsynced<'f, F: FileOps> {
    staged: Staged<'f, F>,
    file: F::File,
}

impl<'f, F: FileOps> Unsynced<'f, F> {
    /// Syncs it.
    ///
    /// # Errors
    /// What the system says; nothing is left behind.
    pub fn sync(self) -> Result<Staged<'f, F>, DurableError> {
        let synced = self.staged.files.sync_data(&self.file);
        match synced {
            Ok(()) => Ok(self.staged),
            Err(source) => Err(DurableError { path: self.staged.path.clone(), step: Step::Sync, source }),
        }
    }
}

/// Makes the temporary file of `path` and lets `fill` write it. Of a group of files, each is filled before the first
/// is synced: then the disk has most of the work behind it.
///
/// # Errors
/// Names the step; nothing is left behind.
pub fn fill_with<'f, F: FileOps>(
    files: &'f F,
    path: &Path,
    fill: impl FnOnce(&F::File) -> io::Result<()>,
) -> Result<Unsynced<'f, F>, DurableError> {
    let unsynced = fill_as(files, path, Leftover::Replace, fill)?;
    files.begin_sync(&unsynced.file);
    Ok(unsynced)
}

/// Makes the temporary file of `path`, lets `fill` write it, and syncs it.
///
/// # Errors
/// Names the step; nothing is left behind.
pub fn stage_with<'f, F: FileOps>(
    files: &'f F,
    path: &Path,
    fill: impl FnOnce(&F::File) -> io::Result<()>,
) -> Result<Staged<'f, F>, DurableError> {
    fill_as(files, path, Leftover::Replace, fill)?.sync()
}

/// What to do about a temporary file that is there.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Leftover {
    /// This is the only writer of the name: a crash left it.
    Replace,
    /// Another writer may be at it: taking it away would put half of his file in place.
    Respect,
}

fn fill_as<'f, F: FileOps>(
    files: &'f F,
    path: &Path,
    leftover: Leftover,
    fill: impl FnOnce(&F::File) -> io::Result<()>,
) -> Result<Unsynced<'f, F>, DurableError> {
    let name = path.file_name().ok_or_else(|| refused(path, "a directory was named"))?;
    let temporary = directory_of(path).join(temporary_name(name));
    let failed = |step, source| DurableError { path: path.to_owned(), step, source };

    let file = match files.create(&temporary) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && leftover == Leftover::Replace => {
            files.remove(&temporary).and_then(|()| files.create(&temporary))
        }
        other => other,
    }
    .map_err(|source| failed(Step::Create, source))?;
    let staged = Staged { files, path: path.to_owned(), temporary, published: false };
    fill(&file).map_err(|source| failed(Step::Write, source))?;
    Ok(Unsynced { staged, file })
}

impl<F: FileOps> Staged<'_, F> {
    /// Puts the file in its place. It is durable after [`sync_directory`].
    ///
    /// # Errors
    /// What the system says about the rename.
    pub fn publish(mut self) -> Result<(), DurableError> {
        let result = self.files.rename(&self.temporary, &self.path);
        self.settle(result)
    }

    /// Puts the file in its place unless the place is taken.
    ///
    /// # Errors
    /// What the system says about the rename.
    pub fn publish_new(mut self) -> Result<(), DurableError> {
        let result = self.files.rename_new(&self.temporary, &self.path);
        self.settle(result)
    }

    fn settle(&mut self, result: io::Result<()>) -> Result<(), DurableError> {
        self.published = result.is_ok();
        result.map_err(|source| DurableError { path: self.path.clone(), step: Step::Rename, source })
    }
}

impl<F: FileOps> Drop for Staged<'_, F> {
    fn drop(&mut self) {
        if !self.published {
            // The failure that led here is what is reported; a leftover is replaced by the next writer.
            let _ = self.files.remove(&self.temporary);
        }
    }
}

/// Makes the name of `path` durable.
///
/// # Errors
/// What the system says.
pub fn sync_directory<F: FileOps>(files: &F, path: &Path) -> Result<(), DurableError> {
    files.sync_directory(directory_of(path)).map_err(|source| DurableError {
        path: path.to_owned(),
        step: Step::SyncDirectory,
        source,
    })
}

/// `.NAME.tmp`: no reader opens a name that begins with a dot.
#[must_use]
pub fn temporary_name(name: &OsStr) -> OsString {
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(".tmp");
    temporary
}

fn refused(path: &Path, why: &str) -> DurableError {
    let source = io::Error::new(io::ErrorKind::InvalidInput, why.to_owned());
    DurableError { path: path.to_owned(), step: Step::Name, source }
}
