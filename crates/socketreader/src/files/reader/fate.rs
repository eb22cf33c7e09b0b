//! What becomes of a file: stored and deleted, set aside, or given up.

use std::ffi::OsStr;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use protogen_journal::{Completion, Message};
use protogen_sys::files::{FileOps, RealFiles};

use super::{Reader, Taken};
use crate::log;

/// How long the journal may take for one group before that is said.
const PATIENCE: Duration = Duration::from_secs(10);

/// Inode and time of change: a file that is mended or replaced has another one.
pub(super) type Identity = (u64, i64, i64);

fn identity(file: &Metadata) -> Identity {
    (file.ino(), file.ctime(), file.ctime_nsec())
}

impl Reader {
    /// Hands files to the journal, and deletes those that it has.
    pub(super) fn store(&mut self, taken: Vec<Taken>) -> Result<(), String> {
        let mut files = Vec::new();
        for Taken { path, about, bytes } in taken {
            log::debug!(&self.name, "{}: read {}", path.display(), bytes.escape_ascii());
            let tag = files.len() as u64;
            let mut message = Message { connection: Arc::clone(&self.name), time: SystemTime::now(), bytes };
            // The journal is busy: its results make room.
            while let Err(back) = self.producer.append(tag, message) {
                message = back;
                if !self.bell.pause(Duration::from_millis(10)) {
                    return self.settle(&files);
                }
            }
            files.push((path, about));
        }
        self.settle(&files)
    }

    fn settle(&mut self, files: &[(PathBuf, Metadata)]) -> Result<(), String> {
        let (mut open, mut failed) = (files.len(), None);
        let mut results = Vec::new();
        while open > 0 {
            self.producer.wait(&mut results, PATIENCE);
            if results.is_empty() {
                log::error!(&self.name, "the journal has stored nothing for {} s", PATIENCE.as_secs());
            }
            for result in results.drain(..) {
                open -= 1;
                match result {
                    Completion::Stored { tag, .. } => {
                        let file = &files[usize::try_from(tag).unwrap_or(0)];
                        self.outboxes.meter.took(usize::try_from(file.1.size()).unwrap_or(usize::MAX));
                        self.delete(file);
                    }
                    Completion::Refused { refusal, .. } => {
                        failed = Some(format!("not stored: {refusal}; the file stays"));
                    }
                    _ => {}
                }
            }
        }
        if !files.is_empty() {
            self.outboxes.now().iter().for_each(|(outbox, _)| outbox.bell.ring());
        }
        failed.map_or(Ok(()), Err)
    }

    /// Deletes a file whose message is stored, unless it has changed since it was read.
    fn delete(&mut self, (path, about): &(PathBuf, Metadata)) {
        let same = fs::symlink_metadata(path).is_ok_and(|now| {
            let look = |file: &Metadata| (file.ino(), file.size(), file.mtime(), file.mtime_nsec());
            look(&now) == look(about)
        });
        if !same {
            return log::error!(
                &self.name,
                "{}: changed while it was read; it is stored as it was, and taken again",
                path.display()
            );
        }
        match fs::remove_file(path) {
            Ok(()) => log::info!(&self.name, "{}: taken", path.display()),
            Err(error) => {
                log::error!(
                    &self.name,
                    "{}: stored, but cannot be deleted: {error}; delete it",
                    path.display()
                );
                self.give_up(path);
            }
        }
    }

    /// Moves a file that cannot be taken to `errordir`. Says whether the next look does without it.
    pub(super) fn set_aside(&mut self, name: &OsStr, why: &io::Error) -> bool {
        let from = self.settings.dir.join(name);
        if why.kind() == io::ErrorKind::NotFound {
            return false;
        }
        let moved = self.move_away(name);
        match moved {
            Ok(to) => {
                log::error!(&self.name, "{}: {why}; moved to {}", from.display(), to.display());
                true
            }
            Err(error) => {
                log::error!(
                    &self.name,
                    "{}: {why}; cannot be moved away: {error}; it is left",
                    from.display()
                );
                self.give_up(&from)
            }
        }
    }

    fn move_away(&self, name: &OsStr) -> io::Result<PathBuf> {
        let (from, directory) = (self.settings.dir.join(name), &self.settings.errordir);
        if !directory.is_dir() {
            RealFiles.create_directory(directory)?;
        }
        // Nothing that was set aside before is overwritten.
        for count in 0..1000 {
            let mut to = name.to_owned();
            if count > 0 {
                to.push(format!(".{count}"));
            }
            let to = directory.join(to);
            match RealFiles.rename_new(&from, &to) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                result => return result.map(|()| to),
            }
        }
        Err(io::Error::new(io::ErrorKind::AlreadyExists, "1000 files of this name are there"))
    }

    /// Whether a file is one that was given up, and is still the same.
    pub(super) fn is_stuck(&mut self, entry: &DirEntry) -> bool {
        let name = entry.file_name();
        let Some(given_up) = self.stuck.get(&name) else { return false };
        let same = entry.metadata().is_ok_and(|file| identity(&file) == *given_up);
        if !same {
            self.stuck.remove(&name);
        }
        same
    }

    fn give_up(&mut self, path: &Path) -> bool {
        let (Some(name), Ok(file)) = (path.file_name(), fs::symlink_metadata(path)) else { return false };
        self.stuck.insert(name.to_owned(), identity(&file));
        true
    }
}
