//! Files that come: the reader of a directory is woken, instead of waiting for its next look.
//!
//! A thread waits for what the system tells. Whatever happens, a look at the whole directory follows, so that nothing
//! depends on each change being told; where a directory cannot be watched, the looks go on as before.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use protogen_sys::directory_watch::{Change, DirectoryWatch};

use crate::bell::Bell;
use crate::config::Mask;

/// How long the thread waits before it looks whether it is still of use.
const SLICE: Duration = Duration::from_secs(1);
/// The most names that are kept from one look to the next; more than that, and no file counts as renamed.
const MAX_NEWS: usize = 10_000;

/// What was told of files since the last look.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Of each, whether it was renamed into the directory last; false for one that was written there since.
    pub(super) renamed: HashMap<OsString, bool>,
    /// Something was not told: what was known of renamed files before counts no more.
    pub(super) is_incomplete: bool,
}

impl News {
    fn add(&mut self, name: OsString, renamed: bool) {
        if self.renamed.len() >= MAX_NEWS {
            self.miss();
        }
        self.renamed.insert(name, renamed);
    }

    fn miss(&mut self) {
        self.renamed.clear();
        self.is_incomplete = true;
    }
}

/// What comes into one directory. The thread ends with it.
#[derive(Debug)]
pub(super) struct Arrivals {
    shared: Arc<Shared>,
    identity: (u64, u64),
}

#[derive(Debug, Default)]
struct Shared {
    news: Mutex<News>,
    is_lost: AtomicBool,
}

impl Arrivals {
    /// Watches a directory for files that match; rings the bell when one comes, or nothing more is told.
    pub(super) fn watch(directory: &Path, mask: Mask, bell: Arc<Bell>) -> io::Result<Arrivals> {
        let watch = DirectoryWatch::of(directory)?;
        let (identity, shared) = (watch.identity(), Arc::new(Shared::default()));
        let threads = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("arrivals".to_owned())
            .spawn(move || listen(&watch, &mask, &threads, &bell))?;
        Ok(Arrivals { shared, identity })
    }

    /// Whether this directory is watched.
    pub(super) fn is_of(&self, directory: &Path) -> bool {
        !self.shared.is_lost.load(Ordering::Acquire)
            && DirectoryWatch::identity_of(directory).is_ok_and(|found| found == self.identity)
    }

    /// What was told since the last call.
    pub(super) fn news(&self) -> News {
        std::mem::take(&mut *self.shared.lock())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, News> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listen(watch: &DirectoryWatch, mask: &Mask, shared: &Arc<Shared>, bell: &Bell) {
    // The other end is gone with the reader, or when it watches anew.
    while !bell.is_stopping() && Arc::strong_count(shared) > 1 {
        let changes = watch.wait(SLICE).unwrap_or_else(|_| vec![Change::Lost]);
        let is_lost = changes.contains(&Change::Lost);
        let mut is_news = is_lost;
        for change in changes {
            match change {
                Change::Renamed(name) | Change::Written(name) if !mask.matches(&name) => continue,
                Change::Renamed(name) => shared.lock().add(name, true),
                Change::Written(name) => shared.lock().add(name, false),
                Change::Overflow => shared.lock().miss(),
                _ => continue,
            }
            is_news = true;
        }
        if is_lost {
            shared.is_lost.store(true, Ordering::Release);
        }
        if is_news {
            bell.ring();
        }
        if is_lost {
            return;
        }
    }
}
