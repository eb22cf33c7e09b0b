//! Repeats: a message that was answered AA and comes again, because its sender did not get the answer.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use protogen_core::hl7::{AckCode, Message};

use crate::journal::{ANSWERED, Journal, RECEIVED};

/// The most messages that are remembered; the oldest are forgotten first.
pub(crate) const MOST: usize = 200_000;

/// What is known of the control id of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    /// Nothing.
    New,
    /// The same bytes were answered AA.
    Repeat,
    /// Other bytes had this control id.
    OtherBytes,
}

/// The messages that were answered AA: 32 bytes or so for each.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    /// Two keys each, so that one hash alone does not decide.
    hashers: [RandomState; 2],
    known: HashMap<Mark, (Mark, SystemTime)>,
    order: VecDeque<(SystemTime, Mark)>,
}

pub(crate) type Mark = (u64, u64);

impl Repeats {
    /// Reads what was answered within the window from the journal.
    pub(crate) fn read(journal: &Journal, window: Duration, now: SystemTime) -> Repeats {
        let mut repeats = Repeats::default();
        let Some(oldest) = now.checked_sub(window).filter(|_| !window.is_zero()) else { return repeats };
        let mut files = Vec::new();
        for day in journal.days().into_iter().rev() {
            let directory = journal.directory().join(&day);
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            let mut answers: Vec<_> =
                names.filter(|name| name.starts_with(ANSWERED)).map(|name| directory.join(name)).collect();
            answers.sort();
            let all_old = answers.last().is_none_or(|last| modified(last).is_none_or(|time| time < oldest));
            files.extend(answers.into_iter().rev());
            if all_old || files.len() > MOST {
                break;
            }
        }
        files.truncate(MOST);
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

    /// What is known of a message.
    pub(crate) fn look(&mut self, message: &Message, window: Duration, now: SystemTime) -> Seen {
        self.forget(window, now);
        let Some(key) = self.key(message) else { return Seen::New };
        match self.known.get(&key) {
            Some((bytes, _)) if *bytes == self.mark(message.bytes()) => Seen::Repeat,
            Some(_) => Seen::OtherBytes,
            None => Seen::New,
        }
    }

    /// A message was answered AA.
    pub(crate) fn remember(&mut self, message: &Message, now: SystemTime) {
        let Some(key) = self.key(message) else { return };
        self.known.insert(key, (self.mark(message.bytes()), now));
        self.order.push_back((now, key));
        while self.order.len() > MOST {
            self.forget_first();
        }
    }

    fn forget(&mut self, window: Duration, now: SystemTime) {
        let is_old = |time: &SystemTime| now.duration_since(*time).is_ok_and(|age| age >= window);
        while self.order.front().is_some_and(|(time, _)| is_old(time)) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        let Some((time, key)) = self.order.pop_front() else { return };
        // It may have been remembered anew since.
        if self.known.get(&key).is_some_and(|(_, last)| *last == time) {
            self.known.remove(&key);
        }
    }

    /// MSH-3, MSH-4 and MSH-10; a message without control id is never a repeat.
    pub(crate) fn key(&self, message: &Message) -> Option<Mark> {
        let id = message.control_id();
        (!id.is_empty()).then(|| {
            let parts = (message.header(3).raw(), message.header(4).raw(), id);
            (self.hashers[0].hash_one(parts), self.hashers[1].hash_one(parts))
        })
    }

    fn mark(&self, bytes: &[u8]) -> Mark {
        (self.hashers[0].hash_one(bytes), self.hashers[1].hash_one(bytes))
    }
}

/// The messages in work. A sender that gave up waiting sends again while the first is still carried out: whether that was
/// a repeat is known when the first is answered.
#[derive(Debug, Default)]
pub(crate) struct InWork {
    keys: Mutex<HashSet<Mark>>,
    ended: Condvar,
}

impl InWork {
    /// Does something while no other message of this key is in work.
    pub(crate) fn alone<T>(&self, key: Option<Mark>, work: impl FnOnce() -> T) -> T {
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
struct Entered<'a>(&'a InWork, Mark);

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.0.keys.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.1);
        self.0.ended.notify_all();
    }
}

fn modified(path: &std::path::Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(repeats: &mut Repeats, text: &str, seconds: u64) -> Seen {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        repeats.look(&Message::parse(text.as_bytes()).unwrap(), Duration::from_secs(10), now)
    }

    #[test]
    fn a_repeat_has_the_sender_the_id_and_the_bytes() {
        let mut repeats = Repeats::default();
        let first = "MSH|^~\\&|A|B|||||ADT^A01|7|P|2.1\rPID|1\r";
        assert_eq!(look(&mut repeats, first, 0), Seen::New);
        repeats.remember(&Message::parse(first.as_bytes()).unwrap(), SystemTime::UNIX_EPOCH);
        assert_eq!(look(&mut repeats, first, 9), Seen::Repeat);
        assert_eq!(look(&mut repeats, &first.replace("PID|1", "PID|2"), 9), Seen::OtherBytes);
        assert_eq!(look(&mut repeats, &first.replace("|B|", "|C|"), 9), Seen::New);
        assert_eq!(look(&mut repeats, &first.replace("|7|", "|8|"), 9), Seen::New);
        assert_eq!(look(&mut repeats, first, 10), Seen::New);
        assert!(repeats.known.is_empty() && repeats.order.is_empty());
    }
}
