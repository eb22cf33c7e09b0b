//! Repeats: a message that was answered AA and comes again, because its sender did not get the answer.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use protogen_core::hl7::{AckCode, Message};

use crate::decide::Event;
use crate::journal::{ANSWERED, FORWARD_ANSWERED, FORWARDED, Journal, RECEIVED};

/// So many messages are remembered at least, and twice as many at most; the oldest are forgotten first.
pub(crate) const MANY: usize = 200_000;

/// So many messages may have been in work when the gateway was killed; further ones are handled anew.
const MANY_TAKEN: usize = 10_000;

/// What is known of the control id of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing.
    New,
    /// The same bytes were answered AA.
    Repeat,
    /// Other bytes had this control id.
    OtherBytes,
    /// CareVue took the same bytes, as this event, and the gateway was killed before it answered.
    Taken(Event),
}

/// The messages that were answered AA: some 32 bytes for each, taken from the start, so that the memory does not grow.
#[derive(Debug)]
pub(crate) struct Repeats {
    /// Two of them, so that one hash alone does not decide: one for the key, one for the bytes.
    hashers: [RandomState; 2],
    /// The last ones, up to [`MANY`]; then they become the earlier ones.
    last: HashMap<Key, Known>,
    earlier: HashMap<Key, Known>,
    /// What was in work when the gateway was killed, and had been taken by CareVue.
    taken: HashMap<Key, (Known, Event)>,
}

/// A hash of MSH-3, MSH-4 and MSH-10.
pub(crate) type Key = u64;

#[derive(Debug, Clone, Copy)]
struct Known {
    /// A hash of all bytes.
    bytes: u64,
    /// When it was answered, in seconds since 1970.
    time: u64,
}

impl Default for Repeats {
    fn default() -> Repeats {
        let last = HashMap::with_capacity(MANY);
        let hashers = [RandomState::new(), RandomState::new()];
        Repeats { hashers, last, earlier: HashMap::new(), taken: HashMap::new() }
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
            repeats.find_taken(&directory, &names, oldest);
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
            }
        }
        repeats
    }

    /// Finds what has an answer of CareVue and none of ours. A message in several parts is left out: how many there
    /// were to be is not known.
    fn find_taken(&mut self, directory: &Path, names: &HashSet<String>, oldest: SystemTime) {
        for name in names.iter().filter_map(|name| name.strip_prefix(FORWARD_ANSWERED)) {
            if names.contains(&format!("{ANSWERED}{name}")) || self.taken.len() >= MANY_TAKEN {
                continue;
            }
            let read = |kind: &str| fs::read(directory.join(format!("{kind}{name}"))).ok();
            let (Some(answer), Some(forwarded), Some(request)) =
                (read(FORWARD_ANSWERED), read(FORWARDED), read(RECEIVED))
            else {
                continue;
            };
            let path = directory.join(format!("{FORWARD_ANSWERED}{name}"));
            let Some(time) = modified(&path).filter(|time| *time >= oldest) else { continue };
            let positive = Message::parse(&answer).ok().and_then(|answer| AckCode::of(&answer));
            let (Ok(forwarded), Ok(message)) = (Message::parse(&forwarded), Message::parse(&request)) else {
                continue;
            };
            let kind = forwarded.header(9);
            let event = Event::of_name(kind.component(2).raw()).filter(|_| kind.component(1).raw() == b"ADT");
            if positive.is_some_and(AckCode::is_positive)
                && let (Some(event), Some(key)) = (event, self.key(&message))
            {
                let bytes = self.hashers[1].hash_one(message.bytes());
                self.taken.insert(key, (Known { bytes, time: seconds(time) }, event));
            }
        }
    }

    /// What is known of a message.
    pub(crate) fn look(&self, message: &Message, window: Duration, now: SystemTime) -> Seen {
        let Some(key) = self.key(message) else { return Seen::New };
        let is_recent = |known: &Known| seconds(now).saturating_sub(known.time) < window.as_secs();
        if let Some((known, event)) = self.taken.get(&key)
            && is_recent(known)
            && known.bytes == self.hashers[1].hash_one(message.bytes())
        {
            return Seen::Taken(*event);
        }
        let known = self.last.get(&key).or_else(|| self.earlier.get(&key));
        match known.filter(|known| is_recent(known)) {
            Some(known) if known.bytes == self.hashers[1].hash_one(message.bytes()) => Seen::Repeat,
            Some(_) => Seen::OtherBytes,
            None => Seen::New,
        }
    }

    /// A message was answered AA.
    pub(crate) fn remember(&mut self, message: &Message, now: SystemTime) {
        let Some(key) = self.key(message) else { return };
        self.taken.remove(&key);
        if self.last.len() >= MANY {
            // What is swapped in has its room already, but for the first time.
            std::mem::swap(&mut self.last, &mut self.earlier);
            self.last.clear();
            self.last.reserve(MANY);
        }
        let bytes = self.hashers[1].hash_one(message.bytes());
        self.last.insert(key, Known { bytes, time: seconds(now) });
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
        assert_eq!((repeats.last.len(), repeats.earlier.len()), (1, MANY));
    }
}
