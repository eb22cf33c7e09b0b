//! An incoming connection of the configuration.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use protogen_journal::{Reader, Refusal};

use super::answer::Manner;
use super::parked::Parked;
use super::wire::Manners;
use crate::board::Joined;
use crate::config::{Connection, Debug, Socket};
use crate::guard::Guard;
use crate::log;

/// An incoming connection.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: Arc<str>,
    pub(super) socket: Socket,
    pub(super) manner: Manner,
    pub(super) debug: Debug,
    pub(super) manners: Manners,
    pub(super) guard: Arc<Guard>,
    /// Its outgoing connections.
    pub(super) outboxes: Joined,
    /// How many messages its outgoing connections may take now.
    pub(super) room: usize,
    /// Why nothing more is taken: one of them has enough.
    pub(super) full: Option<String>,
    /// Messages that wait for room, and their senders for an answer.
    pub(super) parked: Parked,
    /// Messages that could not be stored and whose senders would not hear it.
    pub(super) again: VecDeque<Vec<u8>>,
    /// Why that is so; it was said.
    pub(super) unstored: Option<Refusal>,
    pub(super) open: usize,
    pub(super) framing_errors: u64,
    /// A message of it was stored in this turn.
    pub(super) stored: bool,
    /// Nothing more is taken: its peers get what they are owed, then they are gone.
    pub(super) leaving: bool,
}

impl Input {
    pub(super) fn new(
        connection: &Connection,
        socket: &Socket,
        guard: Arc<Guard>,
        outboxes: Joined,
    ) -> Input {
        let manner = match (socket.use_ack, connection.use_hl7) {
            (false, _) => Manner::Silent,
            (true, true) if socket.mllp2 => Manner::Release2,
            (true, true) => Manner::Hl7,
            (true, false) => Manner::Mllp,
        };
        Input {
            name: connection.name.as_str().into(),
            socket: socket.clone(),
            manner,
            debug: connection.debug.clone(),
            manners: Manners::of(connection, socket),
            guard,
            outboxes,
            room: usize::MAX,
            full: None,
            parked: Parked::default(),
            again: VecDeque::new(),
            unstored: None,
            open: 0,
            framing_errors: 0,
            stored: false,
            leaving: false,
        }
    }
}

impl Input {
    /// Looks whether its outgoing connections may take more.
    pub(super) fn look(&mut self, journal: &Reader) {
        self.room = usize::MAX;
        if self.leaving {
            self.full = None;
            return;
        }
        let mut full = None;
        for (outbox, most) in self.outboxes.now().iter() {
            let pending = journal.pending(&outbox.name);
            let room = most.saturating_sub(pending);
            self.room = self.room.min(usize::try_from(room).unwrap_or(usize::MAX));
            if room == 0 {
                full.get_or_insert_with(|| format!("{pending} messages wait for {}", outbox.name));
            }
        }
        match (&self.full, &full) {
            (None, Some(why)) => {
                log::warning!(&self.name, "nothing is taken: {why}, maxpending allows no more");
            }
            (Some(_), None) => log::warning!(&self.name, "messages are taken again"),
            _ => {}
        }
        self.full = full;
    }

    /// A message was not stored, and its sender would not hear it: it is tried again.
    pub(super) fn keep(&mut self, message: Vec<u8>, refusal: Refusal) {
        self.again.push_back(message);
        if self.unstored.replace(refusal) != Some(refusal) {
            log::error!(&self.name, "not stored: {refusal}; it is tried again, nothing is read meanwhile");
        }
    }

    /// Says when all of these are stored.
    pub(super) fn kept(&mut self) {
        if self.again.is_empty() && self.unstored.take().is_some() {
            // Whoever saw it begin sees that it is over.
            log::error!(&self.name, "stored at last; messages are read again");
        }
    }

    /// A connection is of no more use.
    pub(super) fn broken(&self, peer: &str, error: &io::Error) {
        if is_tls(error) {
            self.guard.failed.fetch_add(1, Ordering::Relaxed);
            log::error!(&self.name, "{peer}: {error}");
        } else {
            log::info!(&self.name, "{peer}: {error}");
        }
    }

    /// Whether its peers are not to be read: what they send cannot be stored, and not all of them would hear it.
    pub(super) fn is_blocked(&self) -> bool {
        !self.again.is_empty() || self.parked.is_full()
    }
}

/// Whether TLS found the fault, rather than the system.
pub(super) fn is_tls(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::TimedOut)
        && error.to_string().starts_with("TLS: ")
}
