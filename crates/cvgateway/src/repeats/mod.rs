//! Repeats: a message that was answered AA and comes again, because its sender did not get the answer.

mod in_work;
mod read;

pub(crate) use in_work::InWork;

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, SystemTime};

use protogen_core::hl7::Message;

use crate::decide::Event;

/// So many messages are remembered at least, and twice as many at most; the oldest are forgotten first.
const MANY: usize = 200_000;

/// So many messages that were begun and not answered AA are known at least, and twice as many at most; the oldest are
/// forgotten first.
const MANY_BEGUN: usize = 10_000;

/// What is known of the control id of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing.
    New,
    /// The same bytes were answered AA.
    Repeat,
    /// Other bytes had this control id.
    OtherBytes,
    /// The same bytes came so far, and had no AA.
    Begun(Progress),
}

/// How far a message came on its way to CareVue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// CareVue took the ADT message as this event, and the gateway was killed before it answered.
    pub(crate) taken: Option<Event>,
    /// The parts of an ORU that CareVue took, by the suffix of their files; the empty one is the whole.
    pub(crate) parts: BTreeSet<String>,
    /// An admission was sent, and CareVue's answer is not known: it may have taken it.
    pub(crate) may_be_admitted: bool,
}

/// The messages that were answered AA: some 50 bytes for each. The room of the table is reserved from the start, and becomes
/// resident within some thousand messages; then the memory does not grow.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// Two of them, so that one hash alone does not decide: one for the key, one for the bytes.
    hashers: [RandomState; 2],
    /// The last ones, up to [`MANY`]; then they become the earlier ones.
    last: Generation,
    earlier: Generation,
    /// What was not answered AA although CareVue may have it, and when that was.
    begun: HashMap<Whole, (Progress, u64)>,
}

/// A hash of MSH-3, MSH-4 and MSH-10.
pub(crate) type Key = u64;

/// The key, and a hash of all bytes.
type Whole = (Key, u64);

/// Messages and when they were answered, in seconds since 1970.
#[derive(Debug, Default)]
struct Generation {
    answered: HashMap<Whole, u64>,
    /// Their control ids, whatever the bytes.
    ids: HashMap<Key, u64>,
}

impl Generation {
    /// Nothing, with the room for all.
    fn clear(&mut self) {
        self.answered.clear();
        self.answered.reserve(MANY);
        self.ids.clear();
        self.ids.reserve(MANY);
    }
}

impl Default for Repeats {
    fn default() -> Repeats {
        let mut last = Generation::default();
        last.clear();
        let hashers = [RandomState::new(), RandomState::new()];
        Repeats { hashers, last, earlier: Generation::default(), begun: HashMap::new() }
    }
}

impl Repeats {
    /// A message was not answered AA, and came so far.
    pub(crate) fn begun(&mut self, message: &Message, progress: Progress, now: SystemTime) {
        let Some(whole) = self.whole(message).filter(|_| progress != Progress::default()) else { return };
        if self.begun.len() >= 2 * MANY_BEGUN && !self.begun.contains_key(&whole) {
            // Half of them at once: to look for the oldest one each time would take too long.
            let mut all: Vec<(u64, Whole)> =
                self.begun.iter().map(|(whole, (_, time))| (*time, *whole)).collect();
            all.select_nth_unstable(MANY_BEGUN);
            for (_, whole) in &all[..MANY_BEGUN] {
                self.begun.remove(whole);
            }
        }
        let (known, time) = self.begun.entry(whole).or_default();
        known.parts.extend(progress.parts);
        known.may_be_admitted |= progress.may_be_admitted;
        known.taken = progress.taken.or(known.taken);
        *time = seconds(now);
    }

    /// What is known of a message.
    pub(crate) fn look(&self, message: &Message, window: Duration, now: SystemTime) -> Seen {
        let Some(whole) = self.whole(message) else { return Seen::New };
        let is_recent = |time: &&u64| seconds(now).saturating_sub(**time) < window.as_secs();
        let generations = [&self.last, &self.earlier];
        if generations.iter().find_map(|known| known.answered.get(&whole)).filter(is_recent).is_some() {
            return Seen::Repeat;
        }
        match self.begun.get(&whole).filter(|(_, time)| is_recent(&time)) {
            Some((progress, _)) => Seen::Begun(progress.clone()),
            None if generations
                .iter()
                .find_map(|known| known.ids.get(&whole.0))
                .filter(is_recent)
                .is_some() =>
            {
                Seen::OtherBytes
            }
            None => Seen::New,
        }
    }

    /// A message was answered AA.
    pub(crate) fn remember(&mut self, message: &Message, now: SystemTime) {
        let Some(whole) = self.whole(message) else { return };
        self.begun.remove(&whole);
        if self.last.answered.len() >= MANY {
            // What is swapped in has its room already, but for the first time.
            std::mem::swap(&mut self.last, &mut self.earlier);
            self.last.clear();
        }
        self.last.answered.insert(whole, seconds(now));
        self.last.ids.insert(whole.0, seconds(now));
    }

    /// The key and a hash of all bytes.
    fn whole(&self, message: &Message) -> Option<Whole> {
        Some((self.key(message)?, self.hashers[1].hash_one(message.bytes())))
    }

    /// MSH-3, MSH-4 and MSH-10; a message without control id is never a repeat.
    pub(crate) fn key(&self, message: &Message) -> Option<Key> {
        let id = message.control_id();
        let parts = (message.header(3).raw(), message.header(4).raw(), id);
        (!id.is_empty()).then(|| self.hashers[0].hash_one(parts))
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(repeats: &Repeats, text: &str, seconds: u64) -> Seen {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        repeats.look(&Message::parse(text.as_bytes()).unwrap(), Duration::from_secs(10), now)
    }

    #[test]
    fn a_repeat_has_the_sender_the_id_and_the_bytes() {
        let mut repeats = Repeats::default();
        let first = "MSH|^~\\&|A|B|||||ADT^A01|7|P|2.1\rPID|1\r";
        assert_eq!(look(&repeats, first, 0), Seen::New);
        repeats.remember(&Message::parse(first.as_bytes()).unwrap(), SystemTime::UNIX_EPOCH);
        assert_eq!(look(&repeats, first, 9), Seen::Repeat);
        assert_eq!(look(&repeats, &first.replace("PID|1", "PID|2"), 9), Seen::OtherBytes);
        assert_eq!(look(&repeats, &first.replace("|B|", "|C|"), 9), Seen::New);
        assert_eq!(look(&repeats, &first.replace("|7|", "|8|"), 9), Seen::New);
        assert_eq!(look(&repeats, first, 10), Seen::New);
        // Other bytes under the same id do not take its place.
        repeats.remember(
            &Message::parse(first.replace("PID|1", "PID|2").as_bytes()).unwrap(),
            SystemTime::UNIX_EPOCH,
        );
        assert_eq!(look(&repeats, first, 9), Seen::Repeat);
    }

    #[test]
    fn the_oldest_are_forgotten_first() {
        let mut repeats = Repeats::default();
        let text = |n: usize| format!("MSH|^~\\&|A|B|||||ADT^A01|{n}|P|2.1\r");
        for n in 0..2 * MANY + 1 {
            repeats.remember(&Message::parse(text(n).as_bytes()).unwrap(), SystemTime::UNIX_EPOCH);
        }
        for (n, seen) in
            [(0, Seen::New), (MANY - 1, Seen::New), (MANY, Seen::Repeat), (2 * MANY, Seen::Repeat)]
        {
            assert_eq!(look(&repeats, &text(n), 0), seen, "{n}");
        }
        assert_eq!((repeats.last.answered.len(), repeats.earlier.answered.len()), (1, MANY));
    }

    /// The oldest of those that were begun are forgotten, also where all are of one second.
    #[test]
    fn what_was_begun_is_bounded() {
        for is_slow in [true, false] {
            let mut repeats = Repeats::default();
            let text = |n: usize| format!("MSH|^~\\&|A|B|||||ADT^A01|{n}|P|2.1\r");
            let progress = Progress { may_be_admitted: true, ..Progress::default() };
            for n in 0..2 * MANY_BEGUN + 1 {
                let time = SystemTime::UNIX_EPOCH + Duration::from_millis(if is_slow { n as u64 } else { 0 });
                repeats.begun(&Message::parse(text(n).as_bytes()).unwrap(), progress.clone(), time);
            }
            assert_eq!(repeats.begun.len(), MANY_BEGUN + 1);
            let last = text(2 * MANY_BEGUN);
            assert_eq!(look(&repeats, &last, 5), Seen::Begun(progress.clone()));
            assert_eq!(look(&repeats, &last, 31), Seen::New);
            if is_slow {
                assert_eq!(look(&repeats, &text(0), 5), Seen::New);
            }
        }
    }
}
