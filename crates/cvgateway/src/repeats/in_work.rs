//! The messages in work.

use std::collections::HashSet;
use std::sync::{Condvar, Mutex, PoisonError};

use super::Key;

/// The messages in work. A sender that gave up waiting sends again while the first is still carried out: whether that was
/// a repeat is known when the first is answered.
#[derive(Debug, Default)]
pub(crate) struct InWork {
    keys: Mutex<HashSet<Key>>,
    ended: Condvar,
}

impl InWork {
    /// Does something while no other message of this key is in work.
    pub(crate) fn alone<T>(&self, key: Option<Key>, work: impl FnOnce() -> T) -> T {
        let Some(key) = key else { return work() };
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut keys =
            self.ended.wait_while(keys, |keys| keys.contains(&key)).unwrap_or_else(PoisonError::into_inner);
        keys.insert(key);
        drop(keys);
        let _entry = Entered(self, key);
        work()
    }
}

/// A key in work, until dropped.
struct Entered<'a>(&'a InWork, Key);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
        self.0.ended.notify_all();
    }
}
