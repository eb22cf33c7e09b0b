//! Which messages are repeats of others: the same sender, the same control id, the same bytes, within a window.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;
use std::time::{Duration, SystemTime};

use memchr::memchr2;
use protogen_core::hl7::Message;
use protogen_journal::{Entry, JournalError, Outcome, Reader, Stored};

/// The most messages that are remembered, about 100 bytes each; beyond that the oldest are forgotten.
const REMEMBERED: usize = 100_000;

/// The messages that went through within the window, as the journal knows them.
#[derive(Debug)]
pub(super) struct Repeats {
    window: Duration,
    /// Two hashes with keys of their own: nobody can make two messages look the same.
    hashers: [RandomState; 2],
    last: HashMap<u128, Seen>,
    /// The same in the order of their numbers, and some that are gone.
    order: VecDeque<(Seen, u128)>,
    /// The journal was asked what went through before.
    is_filled: bool,
}

#[derive(Debug, Clone, Copy)]
struct Seen {
    sequence: u64,
    time: SystemTime,
}

impl Repeats {
    pub(super) fn new(window: Duration) -> Repeats {
        Repeats {
            window,
            hashers: [RandomState::new(), RandomState::new()],
            last: HashMap::new(),
            order: VecDeque::new(),
            is_filled: false,
        }
    }

    /// The number of the message that this one repeats; else it is remembered.
    ///
    /// The first after [`clear`](Repeats::clear) makes it read in the journal what went through before.
    ///
    /// # Errors
    /// What the journal says about reading; a further call tries again.
    pub(super) fn original(
        &mut self,
        stored: &Stored,
        journal: &Reader,
        output: &str,
    ) -> Result<Option<u64>, JournalError> {
        if !self.is_filled {
            self.fill(stored, journal, output)?;
            self.is_filled = true;
        }
        Ok(self.look(stored))
    }

    /// Forgets everything: what became of messages may have changed.
    pub(super) fn clear(&mut self) {
        self.last.clear();
        self.order.clear();
        self.is_filled = false;
    }

    /// All messages before the first that waits are settled: those that went through are remembered again.
    fn fill(&mut self, first: &Stored, journal: &Reader, output: &str) -> Result<(), JournalError> {
        self.clear();
        let stats = journal.stats();
        let inputs = stats.outputs.into_iter().find(|one| one.name == output).map(|one| one.inputs);
        let inputs = inputs.unwrap_or_default();
        let since = first.time.checked_sub(self.window).unwrap_or(SystemTime::UNIX_EPOCH);
        journal.history_since(since, |entry| {
            match entry {
                Entry::Stored(stored)
                    if stored.sequence < first.sequence && inputs.contains(&stored.connection) =>
                {
                    self.look(&stored);
                }
                // It went nowhere, so nothing repeats it.
                Entry::Settled {
                    sequence,
                    output: name,
                    outcome: Outcome::Filtered | Outcome::Dropped,
                    ..
                } if name == output => {
                    self.forget(sequence);
                }
                _ => {}
            }
            ControlFlow::<()>::Continue(())
        })?;
        Ok(())
    }

    fn look(&mut self, stored: &Stored) -> Option<u64> {
        if !has_control_id(&stored.bytes) {
            return None;
        }
        // The fields that must be the same are among the bytes.
        let [one, other] = &self.hashers;
        let print = u128::from(one.hash_one(&stored.bytes)) << 64 | u128::from(other.hash_one(&stored.bytes));
        let seen = Seen { sequence: stored.sequence, time: stored.time };
        match self.last.get(&print) {
            // Looked at again.
            Some(before) if before.sequence == seen.sequence => return None,
            Some(before) if before.sequence < seen.sequence && !self.is_over(*before, seen) => {
                return Some(before.sequence);
            }
            _ => {}
        }
        while let Some((oldest, print)) = self.order.front().copied()
            && (self.order.len() >= REMEMBERED || self.is_over(oldest, seen))
        {
            self.order.pop_front();
            self.remove(print, oldest.sequence);
        }
        self.last.insert(print, seen);
        self.order.push_back((seen, print));
        None
    }

    /// Whether the window has passed between two messages. It has not, where the clock was set back.
    fn is_over(&self, before: Seen, seen: Seen) -> bool {
        seen.time.duration_since(before.time).is_ok_and(|passed| passed > self.window)
    }

    fn forget(&mut self, sequence: u64) {
        let place = self.order.binary_search_by_key(&sequence, |(seen, _)| seen.sequence);
        if let Some((seen, print)) = place.ok().and_then(|place| self.order.get(place)) {
            self.remove(*print, seen.sequence);
        }
    }

    fn remove(&mut self, print: u128, sequence: u64) {
        if self.last.get(&print).is_some_and(|seen| seen.sequence == sequence) {
            self.last.remove(&print);
        }
    }
}

/// Without one nobody can tell a repeat from a further message.
fn has_control_id(message: &[u8]) -> bool {
    let header = &message[..memchr2(b'\r', b'\n', message).unwrap_or(message.len())];
    Message::parse(header).is_ok_and(|header| !header.control_id().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    use protogen_journal::{Journal, Message, Output, Settings};
    use protogen_testkit::Dir;

    const START: u64 = 1_000_000;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(START + seconds)
    }

    /// Messages at these seconds, through a journal.
    fn stored(messages: &[(&str, u64)]) -> Vec<Stored> {
        let dir = Dir::new();
        let outputs = vec![Output { name: "out".into(), inputs: vec!["in".into()] }];
        let settings = Settings { outputs, ..Settings::default() };
        let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
        let producer = journal.producer(|| {});
        for (bytes, seconds) in messages {
            let bytes = bytes.as_bytes().to_vec();
            producer.store(&[Message { connection: "in".into(), time: at(*seconds), bytes }]);
        }
        let mut output = journal.reader().output("out").unwrap();
        messages.iter().map(|_| output.next().unwrap().unwrap()).collect()
    }

    #[test]
    fn a_repeat_is_the_same_bytes_within_the_window_of_one_that_went_through() {
        let a = "MSH|^~\\&|S|F|||||ADT|1|P\rPID|1\r";
        let other = "MSH|^~\\&|S|F|||||ADT|1|P\rPID|2\r";
        let nameless = "MSH|^~\\&|S|F|||||ADT||P\r";
        let messages = [
            (a, 0),
            (a, 10),
            (other, 10),
            (a, 11),
            (a, 20),
            (nameless, 20),
            (nameless, 20),
            ("x", 20),
            ("x", 20),
            (a, 5),
        ];
        let mut repeats = Repeats::new(Duration::from_secs(10));
        let found: Vec<Option<u64>> = stored(&messages).iter().map(|stored| repeats.look(stored)).collect();
        // The window begins with the one that went through, not with its repeats; a clock set back changes nothing.
        let expected = [None, Some(1), None, None, Some(4), None, None, None, None, Some(4)];
        assert_eq!(found, expected);
        // One that is seen again, because what waits was looked up anew, is no repeat of itself.
        let first = &stored(&messages)[0];
        let mut repeats = Repeats::new(Duration::from_secs(10));
        assert_eq!((repeats.look(first), repeats.look(first)), (None, None));
    }

    #[test]
    fn no_more_is_remembered_than_the_bound() {
        let template = stored(&[("MSH|^~\\&|S|F|||||ADT|1|P\r", 0)]).remove(0);
        let message = |number: usize| {
            let mut stored = template.clone();
            stored.sequence = number as u64 + 1;
            stored.bytes = format!("MSH|^~\\&|S|F|||||ADT|{}|P\r", number % (REMEMBERED + 10)).into_bytes();
            stored
        };
        let mut repeats = Repeats::new(Duration::from_secs(10));
        assert!((0..REMEMBERED + 10).all(|number| repeats.look(&message(number)).is_none()));
        assert_eq!((repeats.order.len(), repeats.last.len()), (REMEMBERED, REMEMBERED));
        assert!(repeats.look(&message(REMEMBERED + 10)).is_none(), "the oldest is forgotten");
        assert!(repeats.look(&message(2 * REMEMBERED + 19)).is_some(), "the newest is not");
    }
}
