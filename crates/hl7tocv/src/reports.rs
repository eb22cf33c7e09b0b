//! What the administrator is told of a queue: one mail in a quarter of an hour at most, with everything since the last.
//!
//! What is to be told stands in a file of the spool area until it was mailed, so that runs of a minute share one mail.
//! A report names a message by its id and its files; its content is mailed only where the site has it so.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use protogen_sys::carevue;
use protogen_sys::durable;
use protogen_sys::files::{RealFiles, read_bounded};
use protogen_sys::lock::Lock;
use protogen_sys::log::printable;
use protogen_sys::mail::Mailer;
use protogen_sys::site::{Site, host_name};

use crate::settings::Queue;

/// At most one mail, and one system message, a queue in this time.
const QUIET: Duration = Duration::from_secs(900);
/// The most reports that wait for a mail; more are counted.
const MOST: usize = 100;
/// The longest report, in characters.
const MAX_REPORT: usize = 500;
/// The most that is read of the file, in bytes.
const MAX_FILE: usize = 1 << 20;
/// What a mail, or a system message, may take: a run with a dead gateway has to end.
const TIME: Duration = Duration::from_secs(8);
/// How long another program that reports on the queue is waited for.
const WAIT: Duration = Duration::from_secs(2);

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The queue is blocked.
    Blocked,
    /// A message was refused.
    Refused,
    /// The run lock is held too long.
    Held,
}

/// Reports on one queue.
#[derive(Debug)]
pub(crate) struct Reports<'a> {
    site: &'a Site,
    queue: &'a Queue,
    path: PathBuf,
}

/// What the file says.
#[derive(Debug, Default, PartialEq, Eq)]
struct State {
    /// The last mail and the last system message, in seconds since 1970; 0 for never.
    mailed: u64,
    shown: u64,
    /// How many reports found no room.
    more: u64,
    waiting: Vec<Report>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Report {
    kind: Kind,
    time: u64,
    /// The message's name, where it is about one.
    name: String,
    text: String,
}

impl<'a> Reports<'a> {
    pub(crate) fn new(site: &'a Site, queue: &'a Queue) -> Reports<'a> {
        Reports { site, queue, path: site.spool(&format!(".hl7tocv.{}", file_name(&queue.name))) }
    }

    /// Keeps a report for the next mail. The same one, while it waits, is kept once.
    pub(crate) fn add(&self, kind: Kind, name: &str, text: &str) {
        let text: String = printable(&format_args!("{text}")).chars().take(MAX_REPORT).collect();
        let report = Report { kind, time: now(), name: name.replace(['\t', '\n'], "?"), text };
        self.change(|state| {
            if state.waiting.iter().any(|other| other.kind == kind && other.name == report.name) {
                return;
            }
            match state.waiting.len() < MOST {
                true => state.waiting.push(report),
                false => state.more += 1,
            }
        });
    }

    /// Mails what waits, unless a mail was sent lately. A mail that cannot be sent is a warning, and is tried again.
    pub(crate) fn mail_if_due(&self) {
        let mut mail = None;
        self.change(|state| {
            if !state.waiting.is_empty() && is_over(state.mailed) {
                mail = Some(self.compose(state));
                // Before it is sent: two runs at once must not both do it.
                state.mailed = now();
            }
        });
        let Some((subject, text, told)) = mail else { return };
        match self.send(&subject, &text) {
            Ok(()) => self.change(|state| {
                state.waiting.retain(|report| !told.waiting.contains(report));
                state.more = state.more.saturating_sub(told.more);
            }),
            Err(why) => {
                log::warn!("{}: no mail to the administrator: {why}", self.queue.name);
                self.change(|state| state.mailed = told.mailed);
            }
        }
    }

    /// Shows the queue's system message at CareVue, unless that was done lately.
    pub(crate) fn show_if_due(&self) {
        let mut due = false;
        self.change(|state| {
            due = is_over(state.shown);
            if due {
                state.shown = now();
            }
        });
        if !due {
            return;
        }
        if let Err(error) = carevue::show_system_message(self.site, &self.queue.manner.system_message, TIME) {
            log::warn!("{}: no system message at CareVue: {error}", self.queue.name);
        }
    }

    /// On a thread: a mail server may be slow in more than one way.
    fn send(&self, subject: &str, text: &str) -> Result<(), String> {
        let to = self.site.admin().map_err(|error| error.to_string())?;
        let mailer = Mailer::from_environment().map_err(|error| error.to_string())?.with_timeout(TIME);
        let (subject, text) = (subject.to_owned(), text.to_owned());
        let (sender, sent) = channel();
        thread::spawn(move || sender.send(mailer.send(&to, &subject, &text)));
        match sent.recv_timeout(TIME) {
            Ok(sent) => sent.map_err(|error| error.to_string()),
            Err(_) => Err(format!("not sent within {} s", TIME.as_secs())),
        }
    }

    /// Changes the file. Where that cannot be done it is told once too often, or not at all; the log has it anyway.
    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut lock = self.path.clone().into_os_string();
        lock.push(".lock");
        let lock = Lock::take_within(Path::new(&lock), WAIT);
        if let Err(error) = &lock {
            log::warn!("{}: {error}", self.queue.name);
        }
        let mut state = State::parse(&read_bounded(&self.path, MAX_FILE).unwrap_or_default());
        let before = state.format();
        change(&mut state);
        let after = state.format();
        if before != after
            && let Err(error) = durable::write(&RealFiles, &self.path, after.as_bytes())
        {
            log::warn!("{}: {error}", self.queue.name);
        }
    }

    fn compose(&self, state: &State) -> (String, String, State) {
        let name = &self.queue.name;
        let count = state.waiting.len() as u64 + state.more;
        let is_blocked = state.waiting.iter().any(|report| report.kind == Kind::Blocked);
        let subject = match is_blocked {
            true => format!("HL7 queue {name} is blocked"),
            false => format!("HL7 queue {name}: {count} {}", if count == 1 { "report" } else { "reports" }),
        };
        let mut text = format!("Queue {name} on {}, in {}:\n\n", host_name(), self.queue.spool.display());
        for report in &state.waiting {
            let _ = writeln!(text, "{} {}", time(report.time), report.text);
        }
        if state.more > 0 {
            let _ = writeln!(text, "and {} more, which the log has", state.more);
        }
        if is_blocked {
            text.push_str("\nNothing is sent until an operator has seen to it.");
        }
        let _ = write!(text, "\nTo see to it, at a terminal: {}\n", self.queue.operator_command());
        let _ = writeln!(text, "Reports of {} minutes are mailed together.", QUIET.as_secs() / 60);
        if self.queue.manner.mail_message {
            self.append_messages(state, &mut text);
        }
        let waiting = state.waiting.clone();
        (subject, text, State { waiting, mailed: state.mailed, shown: state.shown, more: state.more })
    }

    fn append_messages(&self, state: &State, text: &mut String) {
        for report in state.waiting.iter().filter(|report| report.kind == Kind::Refused) {
            let Ok(Some(bytes)) = crate::delivery::read(&self.queue.spool.join(&report.name)) else {
                continue;
            };
            let readable = String::from_utf8_lossy(&bytes).replace("\r\n", "\n").replace('\r', "\n");
            let _ = write!(text, "\n{}:\n{}\n", report.name, readable.trim_end());
        }
    }
}

impl State {
    fn parse(file: &[u8]) -> State {
        let text = String::from_utf8_lossy(file);
        let mut lines = text.lines();
        let mut numbers =
            lines.next().unwrap_or_default().split('\t').map(|number| number.parse().unwrap_or(0));
        let mut number = || numbers.next().unwrap_or(0);
        let (mailed, shown, more) = (number(), number(), number());
        State { mailed, shown, more, waiting: lines.filter_map(Report::parse).take(MOST).collect() }
    }

    fn format(&self) -> String {
        let mut text = format!("{}\t{}\t{}\n", self.mailed, self.shown, self.more);
        for Report { kind, time, name, text: told } in &self.waiting {
            let _ = writeln!(text, "{}\t{time}\t{name}\t{told}", kind.word());
        }
        text
    }
}

impl Report {
    fn parse(line: &str) -> Option<Report> {
        let mut fields = line.splitn(4, '\t');
        let kind = Kind::of_word(fields.next()?)?;
        let time = fields.next()?.parse().ok()?;
        Some(Report { kind, time, name: fields.next()?.to_owned(), text: fields.next()?.to_owned() })
    }
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Blocked, Kind::Refused, Kind::Held];

    fn word(self) -> &'static str {
        match self {
            Kind::Blocked => "blocked",
            Kind::Refused => "refused",
            Kind::Held => "held",
        }
    }

    fn of_word(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.word() == word)
    }
}

/// A queue's name as part of a file's name.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "_-.".contains(c) { c } else { '+' };
    // The end of a path says more than its beginning.
    let name: Vec<char> = name.chars().map(plain).collect();
    name[name.len().saturating_sub(200)..].iter().collect()
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Whether the quiet time since then is over. A clock that was set back ends it, too.
fn is_over(then: u64) -> bool {
    now().abs_diff(then) >= QUIET.as_secs()
}

fn time(seconds: u64) -> String {
    let time = i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    time.map_or_else(|| "-".to_owned(), |time| format!("{time:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_as_it_was_written() {
        let report = |kind, name: &str, text: &str| Report {
            kind,
            time: 1_795_459_200,
            name: name.into(),
            text: text.into(),
        };
        let waiting =
            vec![report(Kind::Blocked, "", "a\u{fffd}b, c"), report(Kind::Refused, "N 1", "AE x\\ty")];
        let state = State { mailed: 5, shown: 6, more: 7, waiting };
        assert_eq!(State::parse(state.format().as_bytes()), state);
        for text in ["", "x", "1\n\n\t\t\nrefused\tx\ty\tz\nother\t1\ta\tb"] {
            assert!(State::parse(text.as_bytes()).waiting.is_empty(), "{text:?}");
        }
        assert_eq!(time(1_795_459_200), "2026-11-23T18:40:00Z");
    }

    #[test]
    fn a_queue_has_a_file_of_its_own() {
        assert_eq!(file_name("ABL/060_IOP"), "ABL+060_IOP");
        assert_eq!(file_name(&"x".repeat(300)).len(), 200);
    }
}
