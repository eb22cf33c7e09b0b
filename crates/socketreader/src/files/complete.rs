//! Whether a file is complete: a program may still be writing it.

use std::collections::{HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant, SystemTime};

use super::arrivals::News;

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

/// How long an empty file must be unchanged at least: whoever has just made it is about to write.
const EMPTY: Duration = Duration::from_secs(1);

/// The files that are not complete yet, as they were last seen.
#[derive(Debug, Default)]
pub(super) struct Watch {
    looks: HashMap<OsString, Look>,
    /// Renamed into the directory, and not taken yet.
    renamed: HashSet<OsString>,
}

impl Watch {
    /// A file counts as complete when it was renamed into the directory, or when its last change is `settle` ago: by its own time (so that one that was renamed into
    /// place is taken at once), or, whatever the clocks say, as long as it was watched here.
    pub(super) fn is_complete(
        &mut self,
        name: &OsStr,
        file: &Metadata,
        settle: Duration,
        now: Instant,
        time: SystemTime,
    ) -> bool {
        if self.renamed.remove(name) {
            return true;
        }
        let settle = if file.size() == 0 { settle.max(EMPTY) } else { settle };
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

    /// Takes note of what was told of files: whoever renames one into the directory has finished it.
    pub(super) fn learn(&mut self, news: News) {
        if news.is_incomplete {
            self.renamed.clear();
        }
        for (name, renamed) in news.renamed {
            match renamed {
                true => self.renamed.insert(name),
                false => self.renamed.remove(&name),
            };
        }
    }

    /// Whether a file was renamed into the directory, and not written since.
    pub(super) fn is_renamed(&self, name: &OsStr) -> bool {
        self.renamed.contains(name)
    }

    /// Of the renamed ones, only these are still there: another file may get the name of one that is gone.
    pub(super) fn keep_renamed(&mut self, present: HashSet<OsString>) {
        self.renamed = present;
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
    fn what_was_renamed_is_complete_unless_it_was_written_since() {
        let dir = Dir::new();
        let (name, settle) = (OsStr::new("f"), Duration::from_secs(3600));
        let file = dir.write("f", "x").metadata().unwrap();
        let news = |renamed: bool, is_incomplete: bool| News {
            renamed: [(name.to_owned(), renamed)].into(),
            is_incomplete,
        };
        let mut watch = Watch::default();
        let is_complete =
            |watch: &mut Watch| watch.is_complete(name, &file, settle, Instant::now(), SystemTime::now());
        assert!(!is_complete(&mut watch));
        watch.learn(news(true, false));
        assert!(watch.is_renamed(name) && is_complete(&mut watch));
        assert!(!is_complete(&mut watch), "taken: the next of this name is another file");
        watch.learn(news(true, false));
        watch.learn(news(false, false));
        assert!(!is_complete(&mut watch));
        watch.learn(news(true, false));
        watch.learn(News { is_incomplete: true, ..News::default() });
        assert!(!is_complete(&mut watch));
        watch.learn(news(true, true));
        watch.keep_renamed(HashSet::new());
        assert!(!is_complete(&mut watch));
    }

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
