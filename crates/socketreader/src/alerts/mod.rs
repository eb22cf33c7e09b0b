//! Calls somebody when something needs a person, so that nobody has to watch a screen.
//!
//! A thread looks every second at what the connections say of themselves, at the journal and at the disk. What is new
//! is logged and told; [`subject`] decides how often, [`text`] says what, since when, and what to do.

mod call;
mod condition;
mod subject;
mod text;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use protogen_journal::{OutputStats, Reader};
use protogen_sys::access::available_space;

use crate::bell::Bell;
use crate::board::{Board, Outbox, Raised, Trouble};
use crate::config::{Config, Connection};
use crate::guard::Guards;
use crate::log;
use condition::{Condition, Kind};
use subject::Subject;

/// What a certificate's warning on the board begins with; its connection and its end follow.
const CERTIFICATE: &str = "certificate";
/// The pause between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks for the oldest message of a queue that moves: it has to be searched for.
const SEARCH: Duration = Duration::from_secs(10);
/// A sync that took too long counts for so long.
const SLOW_FOR: Duration = Duration::from_secs(60);

/// The thread that watches; dropped, it ends. A command that it has just called is not waited for.
#[derive(Debug)]
pub(crate) struct Alerts {
    bell: Arc<Bell>,
    _thread: JoinHandle<()>,
}

impl Drop for Alerts {
    fn drop(&mut self) {
        self.bell.stop();
    }
}

/// Starts watching.
///
/// # Errors
/// What the system says about a further thread.
pub(crate) fn start(board: &Arc<Board>, guards: &Arc<Mutex<Guards>>, journal: Reader) -> io::Result<Alerts> {
    let bell = Arc::new(Bell::default());
    let mut watch = Watch::new(Arc::clone(board), Arc::clone(guards), journal);
    let rung = Arc::clone(&bell);
    let work = move || {
        while rung.pause(LOOK) {
            watch.look(Instant::now());
        }
    };
    let thread = std::thread::Builder::new().name("alerts".to_owned()).spawn(work)?;
    Ok(Alerts { bell, _thread: thread })
}

struct Watch {
    config: Arc<Config>,
    board: Arc<Board>,
    guards: Arc<Mutex<Guards>>,
    journal: Reader,
    statedir: PathBuf,
    /// By the connection's name; [`log::GENERAL`] is the whole process.
    subjects: HashMap<String, Subject>,
    oldest: HashMap<String, Oldest>,
    /// When a sync was too slow the last time.
    slow: Option<Instant>,
}

/// The oldest message of an output, as of the last search.
struct Oldest {
    cursor: Option<u64>,
    /// Its number, and when it came.
    message: Option<(u64, SystemTime)>,
    searched: Instant,
    /// Why it was not found, and since when.
    unreadable: Option<Raised>,
}

impl Watch {
    fn new(board: Arc<Board>, guards: Arc<Mutex<Guards>>, journal: Reader) -> Watch {
        let config = board.config();
        let statedir = config.general.statedir.path.clone();
        Watch {
            config,
            board,
            guards,
            journal,
            statedir,
            subjects: HashMap::new(),
            oldest: HashMap::new(),
            slow: None,
        }
    }

    fn look(&mut self, now: Instant) {
        self.config = self.board.config();
        let config = Arc::clone(&self.config);
        for output in self.journal.stats().outputs {
            let Some(connection) = config.connections.iter().find(|one| one.name == output.name) else {
                continue;
            };
            let Some(outbox) = self.board.outbox(&output.name) else { continue };
            let conditions = self.conditions(connection, &outbox, &output, now);
            let oldest = self.oldest.get(&output.name).and_then(|oldest| oldest.message);
            let waiting = Some((output.pending, oldest.map(|(_, came)| came)));
            self.tell(&connection.name, conditions, outbox.dead(), waiting, now);
        }
        self.look_at_the_disk(now);
        self.look_at_certificates();
        let warnings = self.board.warnings().into_iter();
        let conditions = warnings.map(|(what, raised)| Condition::of(Kind::Process(what), raised)).collect();
        self.tell(log::GENERAL, conditions, 0, None, now);
    }

    /// What needs a person about an outgoing connection.
    fn conditions(
        &mut self,
        connection: &Connection,
        outbox: &Outbox,
        output: &OutputStats,
        now: Instant,
    ) -> Vec<Condition> {
        let look = outbox.look();
        let oldest = self.oldest(connection, output, look.troubles.contains_key(&Trouble::Held), now);
        let mut found = Vec::new();
        // What was short is told all the same; a receiver that was away for a moment is not worth it.
        let past = outbox.take_past().into_iter().filter(|(trouble, _)| *trouble != Trouble::Down);
        let mut troubles: BTreeMap<Trouble, Raised> = past.collect();
        troubles.extend(look.troubles);
        for (trouble, mut raised) in troubles {
            let kind = Kind::of(trouble);
            if kind == Kind::Held {
                // The one that is tried again and again.
                raised.message = oldest.map(|(number, _)| number);
            }
            // A receiver that is away matters when something waits for it, and not at once.
            if kind == Kind::Down {
                let limit = connection.kind.socket().map_or(Duration::ZERO, |socket| socket.policy.down_time);
                let is_long = raised.since.elapsed().is_ok_and(|away| away >= limit);
                if limit.is_zero() || output.pending == 0 || !is_long {
                    continue;
                }
            }
            found.push(Condition::of(kind, raised));
        }
        if let Some((pause, message)) = look.pause.and_then(|pause| Some((pause.clone(), pause.message()?))) {
            let text = format!("stopped: {}", pause.by);
            found.push(Condition { kind: Kind::Stopped, since: pause.since, text, message: Some(message) });
        }
        // Whoever does not deliver now has not said it.
        let unreadable = self.oldest.get(&output.name).and_then(|oldest| oldest.unreadable.clone());
        if let Some(raised) = unreadable.filter(|_| !found.iter().any(|one| one.kind == Kind::Unreadable)) {
            found.push(Condition::of(Kind::Unreadable, raised));
        }
        if let Some((_, came)) = oldest
            && !connection.max_age.is_zero()
            && came.elapsed().is_ok_and(|age| age >= connection.max_age)
        {
            let text = format!("a message has waited longer than {} s", connection.max_age.as_secs());
            found.push(Condition { kind: Kind::Old, since: came, text, message: None });
        }
        found
    }

    /// The oldest message that waits, where somebody wants to know.
    fn oldest(
        &mut self,
        connection: &Connection,
        output: &OutputStats,
        is_held: bool,
        now: Instant,
    ) -> Option<(u64, SystemTime)> {
        if (connection.max_age.is_zero() && !is_held) || output.pending == 0 {
            self.oldest.remove(&output.name);
            return None;
        }
        let known = self.oldest.get(&output.name);
        let is_known = known.is_some_and(|known| {
            known.cursor == output.cursor && known.message.is_some() || now - known.searched < SEARCH
        });
        if !is_known {
            // What cannot be read now is looked for again.
            let before = known.and_then(|known| known.unreadable.clone());
            let mut reader = self.journal.output(&output.name)?;
            let (message, unreadable) = match reader.next() {
                Ok(next) => (next.map(|stored| (stored.sequence, stored.time)), None),
                Err(error) => {
                    let text = format!("cannot read the journal: {error}");
                    let raised = || Raised { since: SystemTime::now(), text, message: None };
                    (None, Some(before.unwrap_or_else(raised)))
                }
            };
            let oldest = Oldest { cursor: output.cursor, message, searched: now, unreadable };
            self.oldest.insert(output.name.clone(), oldest);
        }
        self.oldest.get(&output.name)?.message
    }

    /// Those that end within 30 days, until they are renewed or their connection is gone. Another end is another alert.
    fn look_at_certificates(&self) {
        let guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let now = SystemTime::now();
        let ending: BTreeMap<String, String> = guards
            .iter()
            .filter_map(|(name, guard)| Some((name, guard.tls()?.ending(now)?)))
            .map(|(name, text)| (format!("{CERTIFICATE} {name}: {text}"), format!("[{name}] {text}")))
            .collect();
        for (what, text) in &ending {
            self.board.warn(what, || text.clone());
        }
        for what in self.board.warnings().into_keys() {
            if what.starts_with(CERTIFICATE) && !ending.contains_key(&what) {
                self.board.unwarn(&what);
            }
        }
    }

    fn look_at_the_disk(&mut self, now: Instant) {
        let (low, slow) = (self.config.general.disk_low, self.config.general.slow_sync);
        let statedir = self.statedir.display();
        if low > 0
            && let Ok(room) = available_space(&self.statedir)
        {
            // Not on and off around the limit.
            if room < low {
                self.board.warn("disk", || {
                    format!(
                        "{statedir}: only {} MiB of room are left: remove what is not needed there, or lower keep and keepsize",
                        room >> 20
                    )
                });
            } else if room - low > low / 10 {
                self.board.unwarn("disk");
            }
        }
        let longest = self.journal.take_slowest_sync();
        if !slow.is_zero() && longest > slow {
            self.slow = Some(now);
            self.board.warn("sync", || {
                format!(
                    "{statedir}: storing a group of messages took {:.1} s: senders wait so long for their answers; look at the disk (iostat, dmesg)",
                    longest.as_secs_f64()
                )
            });
        } else if self.slow.is_some_and(|last| now - last >= SLOW_FOR) {
            self.slow = None;
            self.board.unwarn("sync");
        }
    }

    /// Logs what is new, and calls if it is time.
    fn tell(
        &mut self,
        name: &str,
        conditions: Vec<Condition>,
        dead: u64,
        waiting: Option<(u64, Option<SystemTime>)>,
        now: Instant,
    ) {
        let subject = self.subjects.entry(name.to_owned()).or_default();
        let turn = subject.turn(conditions, dead, now, self.config.general.mail_interval);
        for condition in &turn.news {
            log::error!(name, "{}", condition.text);
        }
        let (Some(call), Some(alert)) = (turn.call, &self.config.general.alert) else { return };
        let letter = text::Letter { config: &self.config, name, call: &call, waiting };
        match call::call(alert, &letter.subject(), &letter.text()) {
            Ok(()) => {
                log::info!(name, "told: {}", letter.subject());
                subject.succeeded();
            }
            Err(why) => {
                // It may have taken long.
                let pause = subject.failed(call, Instant::now());
                log::error!(name, "nobody could be told: {why}; tried again in {} s", pause.as_secs());
            }
        }
    }
}
