//! Deadlines, one a token.

use std::collections::BTreeSet;
use std::time::Instant;

use mio::Token;
use rustc_hash::FxHashMap;

/// Both maps hold the same timers: one finds the next, the other the one of a token.
#[derive(Debug, Default)]
pub(super) struct Timers {
    by_time: BTreeSet<(Instant, Token)>,
    by_token: FxHashMap<Token, Instant>,
}

impl Timers {
    pub(super) fn set(&mut self, token: Token, due: Instant) {
        if let Some(old) = self.by_token.insert(token, due) {
            self.by_time.remove(&(old, token));
        }
        self.by_time.insert((due, token));
    }

    pub(super) fn clear(&mut self, token: Token) {
        if let Some(due) = self.by_token.remove(&token) {
            self.by_time.remove(&(due, token));
        }
    }

    pub(super) fn next_due(&self) -> Option<Instant> {
        self.by_time.first().map(|(due, _)| *due)
    }

    /// Takes the earliest timer that is due at `now`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<Token> {
        let (due, token) = *self.by_time.first()?;
        if due > now {
            return None;
        }
        self.clear(token);
        Some(token)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_token_has_one_timer_and_the_earliest_comes_first() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut timers = Timers::default();
        timers.set(Token(1), at(3));
        timers.set(Token(2), at(2));
        timers.set(Token(1), at(1));
        assert_eq!(timers.next_due(), Some(at(1)));
        assert_eq!(timers.take_due(at(0)), None);
        assert_eq!(timers.take_due(at(9)), Some(Token(1)));
        timers.clear(Token(2));
        timers.clear(Token(7));
        assert_eq!(timers.take_due(at(9)), None);
        assert_eq!(timers.next_due(), None);
    }

    proptest! {
        #[test]
        fn timers_are_taken_in_order_and_none_twice(steps in prop::collection::vec((0usize..8, 0u64..50, any::<bool>()), 0..100)) {
            let now = Instant::now();
            let mut timers = Timers::default();
            let mut expected = HashMap::new();
            for (token, seconds, set) in steps {
                let due = now + Duration::from_secs(seconds);
                if set {
                    timers.set(Token(token), due);
                    expected.insert(token, due);
                } else {
                    timers.clear(Token(token));
                    expected.remove(&token);
                }
            }
            let mut expected: Vec<_> = expected.into_iter().map(|(token, due)| (due, Token(token))).collect();
            expected.sort_unstable();
            let mut taken = Vec::new();
            while let Some(due) = timers.next_due() {
                taken.push((due, timers.take_due(due).unwrap()));
            }
            prop_assert_eq!(taken, expected);
        }
    }
}
