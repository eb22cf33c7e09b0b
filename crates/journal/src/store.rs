//! The journal's one writer: groups of messages and delivery records, one write and one sync each.

mod commit;
mod open;
mod owed;
mod retain;
mod rotate;
#[cfg(test)]
mod tests;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use protogen_sys::files::FileOps;
use protogen_sys::lock::Lock;

pub use commit::Delivery;
pub use open::Recovery;

use owed::Owed;

use crate::keeper::Keeper;
use crate::recover::Segment;
use crate::settings::Settings;
use crate::state::State;

/// What readers see: only what is stored counts. Held for moments, never while the disk is waited for.
#[derive(Debug)]
pub(crate) struct View {
    pub state: State,
    /// Oldest first, the written one last.
    pub segments: Vec<Segment>,
    /// How many groups were written since the start.
    pub groups: u64,
    /// How long the last sync took.
    pub last_sync: Duration,
    /// How long the longest one took since somebody asked.
    pub slowest_sync: Duration,
    /// When the one began that has not returned yet.
    pub sync_began: Option<Instant>,
    /// How long all of them took since the start.
    pub sync_time: Duration,
}

/// The view, shared by the writer and the readers.
#[derive(Debug, Clone)]
pub(crate) struct Shared(Arc<Mutex<View>>);

impl Shared {
    pub(crate) fn new(view: View) -> Shared {
        Shared(Arc::new(Mutex::new(view)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, View> {
        // A thread that panicked while it held the view has left it whole: every change is a few assignments.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The segment that is written.
struct Current<F: FileOps> {
    file: F::File,
    /// The length of its file.
    capacity: u64,
    /// Where the next record goes.
    offset: u64,
    /// Up to where it is on stable storage, as far as this process has synced.
    synced: u64,
    /// Up to where a mark in it says so.
    marked: u64,
    /// When its first message was stored, in milliseconds since 1970; `None` before.
    first_time: Option<u64>,
}

/// How the segment before the next one ended.
#[derive(Debug, Clone, Copy)]
struct Ended {
    first: u64,
    end: u64,
}

/// The journal, written by one caller. Without a thread: [`Journal`](crate::Journal) gives it one.
pub(crate) struct Store<F: FileOps> {
    files: Arc<F>,
    directory: PathBuf,
    settings: Settings,
    keeper: Keeper<F>,
    shared: Shared,
    /// `None` after a failure, until a further segment is opened.
    current: Option<Current<F>>,
    ended: Ended,
    /// The number of the next message; numbers of messages that failed are never used again.
    next: u64,
    /// The time of the newest message, in milliseconds since 1970.
    time: u64,
    buffer: Vec<u8>,
    /// Delivery records are written or only in memory that no sync has covered yet.
    unsynced: bool,
    /// Refused delivery records that are to come again.
    owed: Owed,
    _lock: Option<Lock>,
}

impl<F: FileOps> Store<F> {
    pub(crate) fn shared(&self) -> Shared {
        self.shared.clone()
    }
}

/// Milliseconds since 1970; 0 before.
pub(crate) fn millis(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// The time of so many milliseconds since 1970.
pub(crate) fn from_millis(millis: u64) -> SystemTime {
    UNIX_EPOCH.checked_add(Duration::from_millis(millis)).unwrap_or(UNIX_EPOCH)
}
