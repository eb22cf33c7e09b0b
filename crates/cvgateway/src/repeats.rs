//! Repeats: a message that was answered AA and comes again, because its sender did not get the answer.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use protogen_core::hl7::{AckCode, Message};

use crate::decide::Event;
use crate::journal::{ANSWERED, FORWARD_ANSWERED, FORWARDED, Journal, RECEIVED};
use crate::transaction::{Judged, judge_answer};

/// So many messages are remembered at least, and twice as many at most; the oldest are forgotten first.
pub(crate) const MANY: usize = 200_000;

/// So many messages that were begun and not answered AA are known; the oldest are forgotten first.
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

/// The messages that were answered AA: some 50 bytes for each, taken from the start, so that the memory does not grow.
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
    /// Reads what was answered within the window from the journal.
    pub(crate) fn read(journal: &Journal, window: Duration, now: SystemTime) -> Repeats {
        let mut repeats = Repeats::default();
        let Some(oldest) = now.checked_sub(window).filter(|_| !window.is_zero()) else { return repeats };
        let mut files = Vec::new();
        for day in journal.days().into_iter().rev() {
            let directory = journal.directory().join(&day);
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            let names: HashSet<String> =
                entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
            for stem in names.iter().filter_map(|name| name.strip_prefix(RECEIVED)) {
                if !names.contains(&format!("{ANSWERED}{stem}")) {
                    repeats.find_begun(&directory, stem, false, oldest);
                }
            }
            let mut answers: Vec<_> = names
                .iter()
                .filter(|name| name.starts_with(ANSWERED))
                .map(|name| directory.join(name))
                .collect();
            answers.sort();
            let all_old = answers.last().is_none_or(|last| modified(last).is_none_or(|time| time < oldest));
            files.extend(answers.into_iter().rev());
            if all_old || files.len() > MANY {
                break;
            }
        }
        files.truncate(MANY);
        for path in files.iter().rev() {
            let Some(time) = modified(path).filter(|time| *time >= oldest) else { continue };
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let request = path.with_file_name(name.replacen(ANSWERED, RECEIVED, 1));
            let (Ok(answer), Ok(request)) = (fs::read(path), fs::read(request)) else { continue };
            let positive = Message::parse(&answer).ok().and_then(|answer| AckCode::of(&answer));
            if positive.is_some_and(AckCode::is_positive)
                && let Ok(message) = Message::parse(&request)
            {
                repeats.remember(&message, time);
            } else if let (Some(directory), Some(stem)) = (path.parent(), name.strip_prefix(ANSWERED)) {
                repeats.find_begun(directory, stem, true, oldest);
            }
        }
        repeats
    }

    /// Finds how far a message came that has no AA of ours: what CareVue took of it, and an admission whose effect is not
    /// known. `stem` names its files behind their kind.
    fn find_begun(&mut self, directory: &Path, stem: &str, is_answered: bool, oldest: SystemTime) {
        let path = directory.join(format!("{RECEIVED}{stem}"));
        let Some(time) = modified(&path).filter(|time| *time >= oldest) else { return };
        let Ok(request) = fs::read(&path) else { return };
        let Ok(message) = Message::parse(&request) else { return };
        // No more parts than orders and patients.
        let most = message.named(*b"OBR").count() + message.named(*b"PID").count();
        let suffixes = std::iter::once(String::new()).chain((1..=most).map(|n| format!(".{n}")));
        let mut progress = Progress::default();
        for suffix in suffixes {
            let read = |kind: &str| fs::read(directory.join(format!("{kind}{stem}{suffix}"))).ok();
            let Some(forwarded) = read(FORWARDED) else { continue };
            let Ok(forwarded) = Message::parse(&forwarded) else { continue };
            let kind = forwarded.header(9);
            let event = Event::of_name(kind.component(2).raw()).filter(|_| kind.component(1).raw() == b"ADT");
            let judged = read(FORWARD_ANSWERED).map(|answer| judge_answer(&answer, forwarded.control_id()));
            match (judged, event) {
                (Some(Judged::Taken), Some(event)) if !is_answered => progress.taken = Some(event),
                (Some(Judged::Taken), None) => drop(progress.parts.insert(suffix)),
                (None | Some(Judged::Unclear(_)), Some(Event::A01)) => progress.may_be_admitted = true,
                _ => {}
            }
        }
        self.begun(&message, progress, time);
    }

    /// A message was not answered AA, and came so far.
    pub(crate) fn begun(&mut self, message: &Message, progress: Progress, now: SystemTime) {
        let Some(whole) = self.whole(message).filter(|_| progress != Progress::default()) else { return };
        if self.begun.len() >= MANY_BEGUN
            && !self.begun.contains_key(&whole)
            && let Some(oldest) =
                self.begun.iter().min_by_key(|(_, (_, time))| *time).map(|(whole, _)| *whole)
        {
            self.begun.remove(&oldest);
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

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
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
}
