//! Whether a file is complete: a program may still be writing it.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

/// What a file looked like, and since when.
#[derive(Debug, Clone, Copy)]
struct Look {
    inode: u64,
    size: u64,
    modified: (i64, i64),
    since: Instant,
}

/// The files that are not complete yet, as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    looks: HashMap<OsString, Look>,
}

impl Watch {
    /// A file counts as complete when its last change is `settle` ago: by its own time (so that one that was renamed into
    /// place is taken at once), or, whatever the clocks say, as long as it was watched here.
    pub(super) fn is_complete(
        &mut self,
        name: &OsStr,
        file: &Metadata,
        settle: Duration,
        now: Instant,
        time: SystemTime,
    ) -> bool {
        let aged = file.modified().ok().and_then(|modified| time.duration_since(modified).ok());
        let look = Look {
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            since: now,
        };
        let watched = self.looks.entry(name.to_owned()).or_insert(look);
        if (watched.inode, watched.size, watched.modified) != (look.inode, look.size, look.modified) {
            *watched = look;
        }
        let unchanged = now.duration_since(watched.since) >= settle;
        aged.is_some_and(|aged| aged >= settle) || unchanged
    }

    /// Forgets what is not in the directory any more.
    pub(super) fn keep_only(&mut self, names: &[OsString]) {
        self.looks.retain(|name, _| names.binary_search(name).is_ok());
    }
}
