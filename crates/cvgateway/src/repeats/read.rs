//! What the journal tells of the messages before the start.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use protogen_core::hl7::{AckCode, Message};

use super::{MANY, Progress, Repeats};
use crate::decide::Event;
use crate::journal::{ANSWERED, FORWARD_ANSWERED, FORWARDED, Journal, RECEIVED};
use crate::transaction::{Judged, judge_answer};

impl Repeats {
    /// Reads the last [`MANY`] messages that came within the window.
    pub(crate) fn read(journal: &Journal, window: Duration, now: SystemTime) -> Repeats {
        let mut repeats = Repeats::default();
        let Some(oldest) = now.checked_sub(window).filter(|_| !window.is_zero()) else { return repeats };
        let (mut days, mut count) = (Vec::new(), 0);
        for name in journal.days().into_iter().rev() {
            let day = Day::list(journal.directory().join(name));
            count += day.received.len();
            let is_old =
                day.received.last().is_none_or(|last| day.time(last).is_none_or(|time| time < oldest));
            days.push(day);
            if is_old || count > MANY {
                break;
            }
        }
        let all = days.iter().rev().flat_map(|day| day.received.iter().map(move |stem| (day, stem)));
        for (day, stem) in all.skip(count.saturating_sub(MANY)) {
            repeats.read_one(day, stem, oldest);
        }
        repeats
    }

    /// What is to be known of one message; nothing of most that had no AA, so that little is read of them.
    fn read_one(&mut self, day: &Day, stem: &str, oldest: SystemTime) {
        let answer = if day.answered.contains(stem) { day.read(ANSWERED, stem, "") } else { None };
        let code = answer.as_deref().and_then(|answer| AckCode::of(&Message::parse(answer).ok()?));
        let is_taken = code.is_some_and(AckCode::is_positive);
        if !is_taken && !day.forwarded.contains_key(stem) {
            return;
        }
        let Some(time) = day.time(stem).filter(|time| *time >= oldest) else { return };
        let Some(request) = day.read(RECEIVED, stem, "") else { return };
        let Ok(message) = Message::parse(&request) else { return };
        match is_taken {
            true => self.remember(&message, time),
            false => self.begun(&message, day.progress(stem), time),
        }
    }
}

/// The files of a day. A stem is what a message's files are named behind their kind; the parts of an ORU have a suffix
/// behind that.
struct Day {
    directory: PathBuf,
    /// The stems of the messages, in order of time.
    received: Vec<String>,
    answered: HashSet<String>,
    /// The suffixes of what was sent on, by stem; the empty one is the whole.
    forwarded: HashMap<String, Vec<String>>,
}

impl Day {
    fn list(directory: PathBuf) -> Day {
        let (mut received, mut answered) = (Vec::new(), HashSet::new());
        let mut forwarded: HashMap<String, Vec<String>> = HashMap::new();
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            let Ok(name) = entry.file_name().into_string() else { continue };
            if let Some(stem) = name.strip_prefix(RECEIVED) {
                received.push(stem.to_owned());
            } else if let Some(stem) = name.strip_prefix(ANSWERED) {
                answered.insert(stem.to_owned());
            } else if let Some(rest) = name.strip_prefix(FORWARDED) {
                let (stem, suffix) = split_suffix(rest);
                forwarded.entry(stem.to_owned()).or_default().push(suffix.to_owned());
            }
        }
        received.sort();
        Day { directory, received, answered, forwarded }
    }

    /// When a message was answered, or came if it was not.
    fn time(&self, stem: &str) -> Option<SystemTime> {
        let kind = if self.answered.contains(stem) { ANSWERED } else { RECEIVED };
        fs::metadata(self.directory.join(format!("{kind}{stem}"))).ok()?.modified().ok()
    }

    fn read(&self, kind: &str, stem: &str, suffix: &str) -> Option<Vec<u8>> {
        fs::read(self.directory.join(format!("{kind}{stem}{suffix}"))).ok()
    }

    /// How far a message came that has no AA of ours: what CareVue took of it, and an admission whose effect is not
    /// known.
    fn progress(&self, stem: &str) -> Progress {
        let mut progress = Progress::default();
        for suffix in self.forwarded.get(stem).into_iter().flatten() {
            let Some(forwarded) = self.read(FORWARDED, stem, suffix) else { continue };
            let Ok(forwarded) = Message::parse(&forwarded) else { continue };
            let kind = forwarded.header(9);
            let event = Event::of_name(kind.component(2).raw()).filter(|_| kind.component(1).raw() == b"ADT");
            let answer = self.read(FORWARD_ANSWERED, stem, suffix);
            let judged = answer.map(|answer| judge_answer(&answer, forwarded.control_id()));
            match (judged, event) {
                (Some(Judged::Taken), Some(event)) if !self.answered.contains(stem) => {
                    progress.taken = Some(event);
                }
                (Some(Judged::Taken), None) => drop(progress.parts.insert(suffix.clone())),
                (None | Some(Judged::Unclear(_)), Some(Event::A01)) => progress.may_be_admitted = true,
                _ => {}
            }
        }
        progress
    }
}

/// `<time>-<count>` and what follows it: nothing, or `.` and a number. The time has a `.` too.
fn split_suffix(name: &str) -> (&str, &str) {
    let count = name.rfind('-').unwrap_or(0);
    let dot = name[count..].find('.').map_or(name.len(), |dot| count + dot);
    name.split_at(dot)
}

#[cfg(test)]
mod tests {
    use super::split_suffix;

    #[test]
    fn the_suffix_of_a_part_is_behind_the_count() {
        for (name, stem, suffix) in [
            ("20261128T080032.973201Z-000004", "20261128T080032.973201Z-000004", ""),
            ("20261128T080032.973201Z-000004.1", "20261128T080032.973201Z-000004", ".1"),
            ("20261128T080032.973201Z-1000000.12", "20261128T080032.973201Z-1000000", ".12"),
            ("", "", ""),
        ] {
            assert_eq!(split_suffix(name), (stem, suffix));
        }
    }
}
