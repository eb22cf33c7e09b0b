//! Those who follow what is delivered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Mutex, PoisonError};

use serde_json::Value;

/// The most lines that wait for somebody who follows; further ones are counted and left out.
const MAX_BEHIND: usize = 1024;
/// The most who follow at a time.
const MAX_FOLLOWERS: usize = 16;

/// All who follow.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    followers: Mutex<Vec<Follower>>,
    is_followed: AtomicBool,
}

#[derive(Debug)]
struct Follower {
    lines: SyncSender<Value>,
    left_out: u64,
}

impl Followers {
    /// Follows what is delivered from now on; `None` when too many do.
    pub(crate) fn follow(&self) -> Option<Receiver<Value>> {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        if followers.len() >= MAX_FOLLOWERS {
            return None;
        }
        let (lines, receiver) = sync_channel(MAX_BEHIND);
        followers.push(Follower { lines, left_out: 0 });
        self.is_followed.store(true, Ordering::Release);
        Some(receiver)
    }

    /// Tells those who follow; the line is made only if there are any. It never waits for them.
    pub(crate) fn tell(&self, line: impl FnOnce() -> Value) {
        if !self.is_followed.load(Ordering::Acquire) {
            return;
        }
        let line = line();
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain_mut(|follower| {
            let mut line = line.clone();
            if follower.left_out > 0 {
                line["leftout"] = follower.left_out.into();
            }
            match follower.lines.try_send(line) {
                Ok(()) => follower.left_out = 0,
                Err(TrySendError::Full(_)) => follower.left_out += 1,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            true
        });
        self.is_followed.store(!followers.is_empty(), Ordering::Release);
    }
}
