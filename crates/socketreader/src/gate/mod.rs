//! Between the journal and the receiver of an outgoing connection: which messages it gets, and in which form.
//!
//! The gate reads the messages in their order, in the thread that reads the journal for the connection. What is not
//! to be delivered comes out as well, with what is to be recorded of it: the connection settles it in its turn, so that
//! nothing overtakes a message that still waits.

mod command;
mod pipe;
mod repeats;
mod trial;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use protogen_core::hl7::Message;
use protogen_journal::{JournalError, Outcome, OutputReader, Reader, Stored};

use crate::board::{Outbox, Trouble};
use crate::config::{self, Connection};
use pipe::{Pipe, Piped};
use repeats::Repeats;
pub(crate) use trial::Trial;

/// Why a message that the filter does not want is not delivered.
const FILTER: &str = "its filter does not match";

/// A message that has come to the gate.
#[derive(Debug)]
pub(crate) enum Passed {
    /// It is to be delivered.
    Wanted(Stored),
    /// It is settled without a receiver, in its turn.
    Unwanted(Unwanted),
}

/// What is recorded of a message that is not delivered.
#[derive(Debug)]
pub(crate) struct Unwanted {
    pub(crate) stored: Stored,
    pub(crate) outcome: Outcome,
    pub(crate) note: Vec<u8>,
}

impl Passed {
    pub(crate) fn stored(&self) -> &Stored {
        match self {
            Passed::Wanted(stored) | Passed::Unwanted(Unwanted { stored, .. }) => stored,
        }
    }
}

/// Why there is no message now, although one waits.
#[derive(Debug)]
pub(crate) enum GateError {
    Journal(JournalError),
    /// The command of `pipe` failed, which was told: try again after so long.
    Later(Duration),
    /// The caller wanted to wait no longer.
    Stopped,
}

impl fmt::Display for GateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GateError::Journal(error) => write!(f, "cannot read the journal: {error}"),
            GateError::Later(pause) => write!(f, "tried again in {} s", pause.as_secs()),
            GateError::Stopped => f.write_str("interrupted"),
        }
    }
}

impl From<JournalError> for GateError {
    fn from(error: JournalError) -> GateError {
        GateError::Journal(error)
    }
}

enum Fate {
    AsItCame,
    Replaced(Vec<u8>),
    Settled(Outcome, Vec<u8>),
}

/// Gives the messages of one outgoing connection, each once.
#[derive(Debug)]
pub(crate) struct Gate {
    name: String,
    journal: Reader,
    messages: OutputReader,
    rules: config::Gate,
    repeats: Option<Repeats>,
    pipe: Option<Pipe>,
    /// Read, and not passed yet because of an error.
    held: Option<Stored>,
    /// As many may wait.
    max_pending: u64,
    outbox: Arc<Outbox>,
    /// The journal could not be read last, which was told.
    is_unreadable: bool,
}

impl Gate {
    /// The gate of an outgoing connection.
    ///
    /// # Errors
    /// The journal has no such output.
    pub(crate) fn new(
        journal: Reader,
        connection: &Connection,
        outbox: &Arc<Outbox>,
    ) -> std::io::Result<Gate> {
        let name = connection.name.clone();
        let missing = || std::io::Error::other(format!("the journal has no output {name}"));
        let messages = journal.output(&name).ok_or_else(missing)?;
        let rules = connection.gate.clone();
        let repeats = Some(rules.dedupe).filter(|window| !window.is_zero()).map(Repeats::new);
        let pipe = rules.pipe.clone().map(|pipe| Pipe::new(pipe, Arc::clone(outbox)));
        let max_pending = connection.max_pending;
        let outbox = Arc::clone(outbox);
        let (held, is_unreadable) = (None, false);
        Ok(Gate { name, journal, messages, rules, repeats, pipe, held, max_pending, outbox, is_unreadable })
    }

    /// The next message; `None` when there is none now. Where it has to wait for a command, it asks `stop` time and
    /// again whether to give up.
    ///
    /// # Errors
    /// [`GateError`]; a further call tries the same message again.
    pub(crate) fn next(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Passed>, GateError> {
        let next = self.pass(stop);
        match &next {
            Err(error @ GateError::Journal(_)) => {
                self.is_unreadable = true;
                self.outbox.failed(error.to_string());
                self.outbox.raise(Trouble::Unreadable, || error.to_string());
            }
            _ if std::mem::take(&mut self.is_unreadable) => self.outbox.clear(Trouble::Unreadable),
            _ => {}
        }
        next
    }

    fn pass(&mut self, stop: &dyn Fn() -> bool) -> Result<Option<Passed>, GateError> {
        let next = match self.held.take() {
            Some(held) => Some(held),
            None => self.messages.next()?,
        };
        let Some(mut stored) = next else { return Ok(None) };
        match self.judge(&stored, stop) {
            Ok(Fate::AsItCame) => {}
            Ok(Fate::Replaced(bytes)) => stored.bytes = bytes,
            Ok(Fate::Settled(outcome, note)) => {
                return Ok(Some(Passed::Unwanted(Unwanted { stored, outcome, note })));
            }
            Err(error) => {
                self.held = Some(stored);
                return Err(error);
            }
        }
        Ok(Some(Passed::Wanted(stored)))
    }

    fn judge(&mut self, stored: &Stored, stop: &dyn Fn() -> bool) -> Result<Fate, GateError> {
        if let Some(why) = self.reason_against(stored)? {
            return Ok(Fate::Settled(Outcome::Filtered, why.into_bytes()));
        }
        let Some(pipe) = &mut self.pipe else { return Ok(Fate::AsItCame) };
        match pipe.pass(stored, stop) {
            Piped::Replaced(bytes) => Ok(Fate::Replaced(bytes)),
            Piped::Settled(outcome, note) => Ok(Fate::Settled(outcome, note)),
            Piped::Later(pause) => Err(GateError::Later(pause)),
            Piped::Stopped => Err(GateError::Stopped),
        }
    }

    /// Why a message is not to be delivered.
    fn reason_against(&mut self, stored: &Stored) -> Result<Option<String>, JournalError> {
        if stored.again {
            // An operator who names a message and a connection wants it sent.
            return Ok(None);
        }
        if let Some(filter) = &self.rules.filter
            && !Message::parse(&stored.bytes).is_ok_and(|message| filter.matches(&message))
        {
            return Ok(Some(FILTER.to_owned()));
        }
        let Some(repeats) = &mut self.repeats else { return Ok(None) };
        let original = repeats.original(stored, &self.journal, &self.name)?;
        Ok(original.map(|original| format!("repeats message {original}")))
    }

    /// Begins again with the first message that is not settled.
    pub(crate) fn rewind(&mut self) {
        self.messages.rewind();
        self.held = None;
        self.repeats.iter_mut().for_each(Repeats::clear);
        self.pipe.iter_mut().for_each(Pipe::rewind);
    }

    /// As [`OutputReader::next_number`].
    pub(crate) fn next_number(&self) -> u64 {
        self.messages.next_number()
    }

    /// As [`Reader::sync_time`].
    pub(crate) fn sync_time(&self) -> Duration {
        self.journal.sync_time()
    }

    /// Whether senders are held back, or soon will be, as too many messages wait.
    pub(crate) fn is_crowded(&self) -> bool {
        self.journal.pending(&self.name) > self.max_pending / 2
    }
}
