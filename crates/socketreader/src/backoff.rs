//! Growing pauses between attempts.

use std::time::Duration;

/// 1 s, doubled after each failure up to 30 s: a peer that comes back is served soon, one that stays away costs nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    next: Duration,
    most: Duration,
}

const FIRST: Duration = Duration::from_secs(1);
const MOST: Duration = Duration::from_secs(30);

impl Default for Backoff {
    fn default() -> Backoff {
        Backoff { next: FIRST, most: MOST }
    }
}

impl Backoff {
    /// With another longest pause; a shorter one than the first is both.
    pub(crate) fn up_to(most: Duration) -> Backoff {
        Backoff { next: FIRST.min(most), most }
    }

    /// How long to wait now.
    pub(crate) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.most);
        pause
    }

    /// It went well: the next failure begins with the short pause again.
    pub(crate) fn reset(&mut self) {
        self.next = FIRST.min(self.most);
    }
}
