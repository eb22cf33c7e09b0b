//! The reading end of a spool: the waiting messages in the order of their names, in bounded memory.

use std::collections::BinaryHeap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::producer::lock_name;
use super::{Queue, SpoolError};
use crate::files::FileOps;

/// How many names are held at once. A spool of 100,000 files is read in 25 passes, and takes no more memory than one
/// of 4,096.
pub const BATCH: usize = 4096;

/// What is in a spool.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Census {
    /// Messages that may be taken.
    pub waiting: usize,
    /// Messages that a producer holds.
    pub locked: usize,
    /// The first name in order, locked or not.
    pub first: Option<OsString>,
    /// When the longest waiting message was last written.
    pub oldest: Option<SystemTime>,
}

/// The waiting messages in order; made by [`Queue::waiting`].
///
/// It sees a message that arrives behind the current place in the order, and misses one that arrives before it: start
/// again for those. An error ends it.
#[derive(Debug)]
pub struct Waiting<'q, F: FileOps> {
    queue: &'q Queue<F>,
    /// The batch, last name first.
    batch: Vec<OsString>,
    after: Option<OsString>,
    batch_size: usize,
    done: bool,
}

impl<F: FileOps> Queue<F> {
    /// The messages that may be taken, in bytewise order of their names. Names that begin with a dot, names that are
    /// locked and what is no regular file are passed over; a lock is looked for when its message is reached.
    #[must_use]
    pub fn waiting(&self) -> Waiting<'_, F> {
        self.waiting_by(BATCH)
    }

    /// The same with another batch size (at least 1).
    #[must_use]
    pub fn waiting_by(&self, batch_size: usize) -> Waiting<'_, F> {
        Waiting { queue: self, batch: Vec::new(), after: None, batch_size: batch_size.max(1), done: false }
    }

    /// Counts what is there. Reads the directory once, and asks for the state of every message.
    ///
    /// # Errors
    /// When the spool cannot be read.
    pub fn census(&self) -> Result<Census, SpoolError> {
        let mut census = Census::default();
        for_each_message(&self.spool, |name| {
            if self.is_locked(&name) {
                census.locked += 1;
            } else {
                census.waiting += 1;
            }
            let written = fs::symlink_metadata(self.spool.join(&name)).and_then(|meta| meta.modified()).ok();
            census.oldest = census.oldest.into_iter().chain(written).min();
            if census.first.as_ref().is_none_or(|first| name < *first) {
                census.first = Some(name);
            }
        })?;
        Ok(census)
    }

    /// Removes temporary files that were last written more than `age` ago, and gives their number. A producer writes a
    /// message in one go: an hour is plenty for those that are alive.
    ///
    /// # Errors
    /// When the spool cannot be read or a file not be removed.
    pub fn remove_leftovers(&self, age: Duration) -> Result<usize, SpoolError> {
        let unreadable = || SpoolError::file(&self.spool, "read the directory");
        let mut removed = 0;
        for entry in fs::read_dir(&self.spool).map_err(unreadable())? {
            let entry = entry.map_err(unreadable())?;
            let name = entry.file_name();
            let is_temporary = name.as_bytes().starts_with(b".") && name.as_bytes().ends_with(b".tmp");
            if !is_temporary {
                continue;
            }
            let written = entry.metadata().and_then(|meta| meta.modified()).ok();
            if written.and_then(|written| written.elapsed().ok()).is_some_and(|since| since >= age) {
                let path = entry.path();
                self.files.remove(&path).map_err(SpoolError::file(&path, "remove what a crash left"))?;
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Whether a producer holds the message.
    #[must_use]
    pub fn is_locked(&self, name: &OsStr) -> bool {
        self.spool.join(lock_name(name)).symlink_metadata().is_ok()
    }

    fn next_batch(&self, after: Option<&OsStr>, size: usize) -> Result<Vec<OsString>, SpoolError> {
        // A heap of the smallest names so far, the largest of them on top.
        let mut smallest: BinaryHeap<OsString> = BinaryHeap::with_capacity(size + 1);
        for_each_message(&self.spool, |name| {
            if after.is_some_and(|after| name.as_os_str() <= after) {
                return;
            }
            if smallest.len() < size || smallest.peek().is_some_and(|largest| name < *largest) {
                smallest.push(name);
                if smallest.len() > size {
                    smallest.pop();
                }
            }
        })?;
        let mut batch = smallest.into_sorted_vec();
        batch.reverse();
        Ok(batch)
    }
}

impl<F: FileOps> Iterator for Waiting<'_, F> {
    type Item = Result<OsString, SpoolError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.done {
            if let Some(name) = self.batch.pop() {
                self.after = Some(name.clone());
                if !self.queue.is_locked(&name) {
                    return Some(Ok(name));
                }
                continue;
            }
            match self.queue.next_batch(self.after.as_deref(), self.batch_size) {
                Ok(batch) if batch.is_empty() => self.done = true,
                Ok(batch) => self.batch = batch,
                Err(error) => {
                    self.done = true;
                    return Some(Err(error));
                }
            }
        }
        None
    }
}

/// Calls `each` for every message in the directory, in no order.
fn for_each_message(spool: &Path, mut each: impl FnMut(OsString)) -> Result<(), SpoolError> {
    let unreadable = || SpoolError::file(spool, "read the directory");
    for entry in fs::read_dir(spool).map_err(unreadable())? {
        let entry = entry.map_err(unreadable())?;
        let name = entry.file_name();
        if is_message_name(&name) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            each(name);
        }
    }
    Ok(())
}

/// Whether a file of this name is a message.
pub(super) fn is_message_name(name: &OsStr) -> bool {
    let name = name.as_bytes();
    !name.is_empty() && !name.starts_with(b".") && !name.ends_with(b".lock") && !name.contains(&b'/')
}
