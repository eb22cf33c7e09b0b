//! An outgoing connection, as others see it: what is wrong with it, whether it is paused, who wakes it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use protogen_sys::event_loop::Waker;

use crate::bell::Bell;

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
    /// The journal cannot be read where its messages are.
    Unreadable,
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
            Trouble::Unreadable => "unreadable",
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
    pub(super) fn new(name: &str) -> Outbox {
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

    /// Without the file: [`Board::set_pause`](super::Board::set_pause) is what survives a restart.
    pub(crate) fn set_pause(&self, pause: Option<Pause>) {
        self.paused.store(pause.is_some(), Ordering::Release);
        self.lock().pause = pause;
        self.wake();
    }
}
