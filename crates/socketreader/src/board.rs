//! What the outgoing connections are doing, for everybody who looks: operators, alerts, and those that obey a pause.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use protogen_sys::durable;
use protogen_sys::event_loop::Waker;
use protogen_sys::files::RealFiles;
use serde_json::{Value, json};

use crate::bell::Bell;
use crate::config::{Config, Connection};
use crate::metrics::{Meter, Meters};

/// The file of the pauses, in the state directory.
const PAUSES: &str = "pauses";
/// The most bytes of that file.
const MAX_PAUSES: usize = 4 << 20;
/// The most lines that wait for somebody who follows; further ones are counted and left out.
const MAX_BEHIND: usize = 1024;
/// The most who follow at a time.
const MAX_FOLLOWERS: usize = 16;

/// What keeps a connection from delivering, or is wrong with its receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    /// There is no receiver.
    Down,
    /// Too many dead letters in a row: one message is tried until it is taken.
    Held,
    /// The receiver has closed twice without an answer to the same message.
    Unanswered,
    /// Answers have named other messages than the one that was sent, three times.
    Mismatched,
    /// Files cannot be written.
    Unwritable,
    /// The command that messages go through fails.
    Pipe,
}

impl Trouble {
    /// Its name in output for programs.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Trouble::Down => "down",
            Trouble::Held => "held",
            Trouble::Unanswered => "unanswered",
            Trouble::Mismatched => "mismatched",
            Trouble::Unwritable => "unwritable",
            Trouble::Pipe => "pipe",
        }
    }
}

/// A pause: by an operator, or because of an answer for which the site chose `stop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pause {
    pub(crate) since: SystemTime,
    /// Who asked for it, or what stopped it.
    pub(crate) by: String,
}

/// How what stopped a connection by itself begins ([`Pause::by`]); users have no such names.
const BY_A_MESSAGE: &str = "message ";

impl Pause {
    /// An answer for which the site chose `stop`.
    pub(crate) fn after(sequence: u64, answer: impl fmt::Display) -> Pause {
        let by = format!("{BY_A_MESSAGE}{sequence} was answered {answer}");
        Pause { since: SystemTime::now(), by }
    }

    /// The message whose answer stopped the connection, if it was not an operator.
    pub(crate) fn message(&self) -> Option<u64> {
        self.by.strip_prefix(BY_A_MESSAGE)?.split(' ').next()?.parse().ok()
    }
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Raised {
    pub(crate) since: SystemTime,
    pub(crate) text: String,
    /// The message that it is about.
    pub(crate) message: Option<u64>,
}

/// An outgoing connection, as others see it.
#[derive(Debug)]
pub(crate) struct Outbox {
    pub(crate) name: Arc<str>,
    /// Rung when a message was stored, or something here has changed.
    pub(crate) bell: Arc<Bell>,
    paused: AtomicBool,
    /// What waits was changed by somebody else: it is to be looked up anew.
    stale: AtomicBool,
    /// Dead letters of this run, also those that were sent again since.
    dead: AtomicU64,
    about: Mutex<About>,
    waker: Mutex<Option<Arc<Waker>>>,
}

#[derive(Debug, Default)]
struct About {
    pause: Option<Pause>,
    troubles: BTreeMap<Trouble, Raised>,
    /// Those that have ended and were not taken yet.
    past: BTreeMap<Trouble, Raised>,
    error: Option<(SystemTime, String)>,
    peer: Option<String>,
}

/// What is known of an outgoing connection at a moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    pub(crate) pause: Option<Pause>,
    pub(crate) troubles: BTreeMap<Trouble, Raised>,
    pub(crate) error: Option<(SystemTime, String)>,
    /// Who is connected.
    pub(crate) peer: Option<String>,
}

impl Outbox {
    fn new(name: &str) -> Outbox {
        Outbox {
            name: name.into(),
            bell: Arc::default(),
            paused: AtomicBool::new(false),
            stale: AtomicBool::new(false),
            dead: AtomicU64::new(0),
            about: Mutex::default(),
            waker: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, About> {
        self.about.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loop that serves it, to be woken by changes.
    pub(crate) fn served_by(&self, waker: Arc<Waker>) {
        *self.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(waker);
    }

    /// Whether nothing more is to be sent.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.load(Ordering::Acquire)
    }

    /// Whether what waits is to be looked up anew; says so once.
    pub(crate) fn take_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire) && self.stale.swap(false, Ordering::AcqRel)
    }

    /// Whether what waits is to be looked up anew, without taking note of it.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale.load(Ordering::Acquire)
    }

    /// What waits was changed by somebody else.
    pub(crate) fn changed(&self) {
        self.stale.store(true, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        self.bell.ring();
        if let Some(waker) = &*self.waker.lock().unwrap_or_else(PoisonError::into_inner) {
            // Fails only when the loop is gone.
            let _ = waker.wake();
        }
    }

    /// Something is wrong from now on, if it was not already.
    pub(crate) fn raise(&self, trouble: Trouble, text: impl FnOnce() -> String) {
        self.raise_about(trouble, None, text);
    }

    /// The same about a message.
    pub(crate) fn raise_about(&self, trouble: Trouble, message: Option<u64>, text: impl FnOnce() -> String) {
        let raised = || Raised { since: SystemTime::now(), text: text(), message };
        self.lock().troubles.entry(trouble).or_insert_with(raised);
    }

    /// It is no longer wrong.
    pub(crate) fn clear(&self, trouble: Trouble) {
        let mut about = self.lock();
        if let Some(raised) = about.troubles.remove(&trouble) {
            about.past.entry(trouble).or_insert(raised);
        }
    }

    /// What was wrong and is over since this was asked last: for the one who must not miss what was short.
    pub(crate) fn take_past(&self) -> BTreeMap<Trouble, Raised> {
        std::mem::take(&mut self.lock().past)
    }

    /// A message has become a dead letter.
    pub(crate) fn buried(&self) {
        self.dead.fetch_add(1, Ordering::Relaxed);
    }

    /// How many messages have become dead letters in this run.
    pub(crate) fn dead(&self) -> u64 {
        self.dead.load(Ordering::Relaxed)
    }

    /// What went wrong last.
    pub(crate) fn failed(&self, text: String) {
        self.lock().error = Some((SystemTime::now(), text));
    }

    /// Who is connected now.
    pub(crate) fn connected(&self, peer: Option<String>) {
        self.lock().peer = peer;
    }

    /// What is known of it now.
    pub(crate) fn look(&self) -> Look {
        let About { pause, troubles, error, peer, .. } = &*self.lock();
        Look { pause: pause.clone(), troubles: troubles.clone(), error: error.clone(), peer: peer.clone() }
    }

    /// Without the file: [`Board::set_pause`] is what survives a restart.
    pub(crate) fn set_pause(&self, pause: Option<Pause>) {
        self.paused.store(pause.is_some(), Ordering::Release);
        self.lock().pause = pause;
        self.wake();
    }
}

/// The outgoing connections on the queue of an incoming one, each with the most messages that may wait there. They change
/// with the configuration, for all clones alike.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    outboxes: Arc<Mutex<Outboxes>>,
    /// What comes in is counted here.
    pub(crate) meter: Arc<Meter>,
}

/// Some outgoing connections, each with the most messages that may wait there.
pub(crate) type Outboxes = Arc<[(Arc<Outbox>, u64)]>;

impl Joined {
    /// As they are now.
    pub(crate) fn now(&self) -> Outboxes {
        Arc::clone(&self.outboxes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, outboxes: Outboxes) {
        *self.outboxes.lock().unwrap_or_else(PoisonError::into_inner) = outboxes;
    }
}

/// All outgoing connections, and who follows what they deliver.
#[derive(Debug)]
pub(crate) struct Board {
    config: Mutex<Arc<Config>>,
    outboxes: Mutex<Arc<[Arc<Outbox>]>>,
    pub(crate) meters: Meters,
    /// Held while the file of the pauses is written.
    file: Mutex<PathBuf>,
    followers: Mutex<Vec<Follower>>,
    is_followed: AtomicBool,
    /// What is wrong with the whole process, by a name of its own.
    warnings: Mutex<BTreeMap<String, Raised>>,
}

#[derive(Debug)]
struct Follower {
    lines: SyncSender<Value>,
    left_out: u64,
}

impl Board {
    /// The board of the outgoing connections in use, with the pauses of earlier runs.
    ///
    /// # Errors
    /// The file of the pauses cannot be read.
    pub(crate) fn open(config: &Arc<Config>) -> io::Result<Board> {
        let outputs = config.connections.iter().filter(|connection| !connection.kind.is_input());
        let file = config.general.statedir.path.join(PAUSES);
        let pauses = pauses(&file)?;
        let outboxes = outputs.map(|connection| {
            let outbox = Outbox::new(&connection.name);
            outbox.set_pause(pauses.get(&connection.name).cloned());
            Arc::new(outbox)
        });
        Ok(Board {
            config: Mutex::new(Arc::clone(config)),
            outboxes: Mutex::new(outboxes.collect()),
            meters: Meters::default(),
            file: Mutex::new(file),
            followers: Mutex::default(),
            is_followed: AtomicBool::new(false),
            warnings: Mutex::default(),
        })
    }

    /// Something of the whole process needs a person from now on: `what` names it, such as a certificate's file, and
    /// `text` says what it is and what to do.
    pub(crate) fn warn(&self, what: &str, text: impl FnOnce() -> String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let raised = || Raised { since: SystemTime::now(), text: text(), message: None };
        warnings.entry(what.to_owned()).or_insert_with(raised);
    }

    /// It no longer does.
    pub(crate) fn unwarn(&self, what: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }

    /// What needs a person now, of the whole process.
    pub(crate) fn warnings(&self) -> BTreeMap<String, Raised> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In the order of the configuration.
    pub(crate) fn outboxes(&self) -> Arc<[Arc<Outbox>]> {
        Arc::clone(&self.outboxes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration that is in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another configuration is in force. The outgoing connections that `anew` names begin anew, paused as they were.
    pub(crate) fn change(&self, config: &Arc<Config>, anew: &[String]) {
        let outputs = config.connections.iter().filter(|connection| !connection.kind.is_input());
        let outboxes = outputs.map(|connection| {
            let here = self.outbox(&connection.name);
            match here.as_ref().filter(|_| !anew.contains(&connection.name)) {
                Some(outbox) => Arc::clone(outbox),
                None => {
                    let outbox = Outbox::new(&connection.name);
                    outbox.set_pause(here.and_then(|outbox| outbox.look().pause));
                    Arc::new(outbox)
                }
            }
        });
        let outboxes = outboxes.collect();
        *self.outboxes.lock().unwrap_or_else(PoisonError::into_inner) = outboxes;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(config);
    }

    /// What an incoming connection is joined to.
    pub(crate) fn join(&self, input: &Connection) -> Joined {
        let outboxes = Arc::new(Mutex::new(self.outboxes_of(input)));
        Joined { outboxes, meter: self.meters.of(&input.name) }
    }

    /// The outgoing connections on the queue of this one.
    pub(crate) fn outboxes_of(&self, input: &Connection) -> Outboxes {
        let config = self.config();
        let outputs = config.connections.iter().filter(|output| output.queue == input.queue);
        outputs.filter_map(|output| Some((self.outbox(&output.name)?, output.max_pending))).collect()
    }

    /// The one of this name.
    pub(crate) fn outbox(&self, name: &str) -> Option<Arc<Outbox>> {
        self.outboxes().iter().find(|outbox| &*outbox.name == name).cloned()
    }

    /// Pauses a connection, or resumes it; the change survives a restart.
    ///
    /// # Errors
    /// What the system says about the file; the change holds until the end of this run then.
    pub(crate) fn set_pause(&self, outbox: &Outbox, pause: Option<Pause>) -> io::Result<()> {
        let file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        outbox.set_pause(pause);
        let outboxes = self.outboxes();
        let pauses = outboxes.iter().filter_map(|outbox| {
            let Pause { since, by } = outbox.lock().pause.clone()?;
            let since = Timestamp::try_from(since).unwrap_or_default().to_string();
            Some((outbox.name.to_string(), json!({ "since": since, "by": by })))
        });
        save(&file, &pauses.collect::<serde_json::Map<_, _>>().into())
    }

    /// Follows what is delivered from now on; `None` when too many do.
    pub(crate) fn follow(&self) -> Option<Receiver<Value>> {
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        if followers.len() >= MAX_FOLLOWERS {
            return None;
        }
        let (lines, receiver) = sync_channel(MAX_BEHIND);
        followers.push(Follower { lines, left_out: 0 });
        self.is_followed.store(true, Ordering::Release);
        Some(receiver)
    }

    /// Tells those who follow; the line is made only if there are any. It never waits for them.
    pub(crate) fn tell(&self, line: impl FnOnce() -> Value) {
        if !self.is_followed.load(Ordering::Acquire) {
            return;
        }
        let line = line();
        let mut followers = self.followers.lock().unwrap_or_else(PoisonError::into_inner);
        followers.retain_mut(|follower| {
            let mut line = line.clone();
            if follower.left_out > 0 {
                line["leftout"] = follower.left_out.into();
            }
            match follower.lines.try_send(line) {
                Ok(()) => follower.left_out = 0,
                Err(TrySendError::Full(_)) => follower.left_out += 1,
                Err(TrySendError::Disconnected(_)) => return false,
            }
            true
        });
        self.is_followed.store(!followers.is_empty(), Ordering::Release);
    }
}

fn save(file: &Path, pauses: &Value) -> io::Result<()> {
    durable::write(&RealFiles, file, format!("{pauses:#}\n").as_bytes()).map_err(io::Error::other)
}

/// The pauses that a file holds, by connection.
pub(crate) fn pauses_in(statedir: &Path) -> io::Result<BTreeMap<String, Pause>> {
    pauses(&statedir.join(PAUSES))
}

fn pauses(file: &Path) -> io::Result<BTreeMap<String, Pause>> {
    let broken = |why: String| io::Error::other(format!("{}: {why}; remove it", file.display()));
    let bytes = match protogen_sys::files::read_bounded(file, MAX_PAUSES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        bytes => bytes?,
    };
    let all: Value = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    let Value::Object(all) = all else { return Err(broken("holds no pauses".to_owned())) };
    let pauses = all.into_iter().map(|(name, pause)| {
        let since: Timestamp = pause["since"].as_str().unwrap_or_default().parse().unwrap_or_default();
        let since = UNIX_EPOCH + Duration::from_millis(since.as_millisecond().try_into().unwrap_or(0));
        let by = pause["by"].as_str().unwrap_or_default().to_owned();
        (name, Pause { since, by })
    });
    Ok(pauses.collect())
}
