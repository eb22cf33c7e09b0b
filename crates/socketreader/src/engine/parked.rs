//! Messages that wait for room while too much is queued: their senders are held back rather than sent away.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a message waits for room before its sender is told to try later.
const PATIENCE: Duration = Duration::from_secs(2);
/// How much may wait, in bytes; then no more is read.
const MAX_BYTES: usize = 4 << 20;

/// A message that waits, and where its answer belongs.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) bytes: Vec<u8>,
    pub(super) client: u32,
    pub(super) slot: u64,
    /// For when it is stored.
    pub(super) answer: Vec<u8>,
    due: Instant,
}

/// The messages of an incoming connection that wait, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct Parked {
    waiting: VecDeque<Waiting>,
    bytes: usize,
}

impl Parked {
    pub(super) fn push(&mut self, bytes: Vec<u8>, client: u32, slot: u64, answer: Vec<u8>, now: Instant) {
        self.bytes += bytes.len();
        self.waiting.push_back(Waiting { bytes, client, slot, answer, due: now + PATIENCE });
    }

    /// The one that has waited longest.
    pub(super) fn take(&mut self) -> Option<Waiting> {
        let waiting = self.waiting.pop_front()?;
        self.bytes -= waiting.bytes.len();
        Some(waiting)
    }

    /// The same, if it has waited too long.
    pub(super) fn take_late(&mut self, now: Instant) -> Option<Waiting> {
        if self.waiting.front()?.due > now { None } else { self.take() }
    }

    /// None of them waits any longer.
    pub(super) fn give_up(&mut self, now: Instant) {
        self.waiting.iter_mut().for_each(|waiting| waiting.due = now);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES
    }
}
