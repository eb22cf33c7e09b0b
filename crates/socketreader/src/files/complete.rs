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
    /// When it was seen first, however it has changed since; `None` when that was said.
    first: Option<Instant>,
}

/// How much longer than `settle` a file may hold back those behind it before that is said.
const PATIENCE: Duration = Duration::from_secs(60);

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
            first: Some(now),
        };
        let watched = self.looks.entry(name.to_owned()).or_insert(look);
        if (watched.inode, watched.size, watched.modified) != (look.inode, look.size, look.modified) {
            *watched = Look { first: watched.first, ..look };
        }
        let unchanged = now.duration_since(watched.since) >= settle;
        aged.is_some_and(|aged| aged >= settle) || unchanged
    }

    /// Whether a file that is not complete has held back those behind it for long; true once.
    pub(super) fn is_overdue(&mut self, name: &OsStr, settle: Duration, now: Instant) -> bool {
        let Some(look) = self.looks.get_mut(name) else { return false };
        let overdue = look.first.is_some_and(|first| now.duration_since(first) >= settle + PATIENCE);
        if overdue {
            look.first = None;
        }
        overdue
    }

    /// Forgets what is not in the directory any more.
    pub(super) fn keep_only(&mut self, names: &[OsString]) {
        self.looks.retain(|name, _| names.binary_search(name).is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protogen_testkit::Dir;

    #[test]
    fn a_file_that_never_settles_is_told_of_once() {
        let dir = Dir::new();
        let (name, settle) = (OsStr::new("f"), Duration::from_secs(1));
        let (start, time) = (Instant::now(), SystemTime::UNIX_EPOCH);
        let mut watch = Watch::default();
        let mut told = Vec::new();
        for second in 0..130 {
            // It grows, and its own time lies in the future.
            let path = dir.write("f", vec![b'x'; second]);
            let now = start + Duration::from_millis(999 * second as u64);
            assert!(!watch.is_complete(name, &path.metadata().unwrap(), settle, now, time));
            if watch.is_overdue(name, settle, now) {
                told.push(second);
            }
        }
        assert_eq!(told, [62]);
        let file = dir.join("f").metadata().unwrap();
        assert!(watch.is_complete(name, &file, settle, start + Duration::from_secs(200), time));
    }
}
