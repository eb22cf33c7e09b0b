//! Between the journal and the receiver of an outgoing connection: which messages it gets.
//!
//! The gate reads the messages in their order, in the thread that reads the journal for the connection. What is not
//! to be delivered comes out as well, with what is to be recorded of it: the connection settles it in its turn, so that
//! nothing overtakes a message that still waits.

mod repeats;

use protogen_core::hl7::Message;
use protogen_journal::{JournalError, Outcome, OutputReader, Reader, Stored};

use crate::config::{self, Connection};
use repeats::Repeats;

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

    fn filtered(stored: Stored, why: String) -> Passed {
        Passed::Unwanted(Unwanted { stored, outcome: Outcome::Filtered, note: why.into_bytes() })
    }
}

/// Gives the messages of one outgoing connection, each once.
#[derive(Debug)]
pub(crate) struct Gate {
    name: String,
    journal: Reader,
    messages: OutputReader,
    rules: config::Gate,
    repeats: Option<Repeats>,
    /// Read, and not passed yet because of an error.
    held: Option<Stored>,
}

impl Gate {
    /// The gate of an outgoing connection.
    ///
    /// # Errors
    /// The journal has no such output.
    pub(crate) fn new(journal: Reader, connection: &Connection) -> std::io::Result<Gate> {
        let name = connection.name.clone();
        let missing = || std::io::Error::other(format!("the journal has no output {name}"));
        let messages = journal.output(&name).ok_or_else(missing)?;
        let rules = connection.gate.clone();
        let repeats = Some(rules.dedupe).filter(|window| !window.is_zero()).map(Repeats::new);
        Ok(Gate { name, journal, messages, rules, repeats, held: None })
    }

    /// The next message; `None` when there is none now.
    ///
    /// # Errors
    /// As [`OutputReader::next`]. A further call tries the same again.
    pub(crate) fn next(&mut self) -> Result<Option<Passed>, JournalError> {
        let next = match self.held.take() {
            Some(held) => Some(held),
            None => self.messages.next()?,
        };
        let Some(stored) = next else { return Ok(None) };
        match self.reason_against(&stored) {
            Ok(Some(why)) => Ok(Some(Passed::filtered(stored, why))),
            Ok(None) => Ok(Some(Passed::Wanted(stored))),
            Err(error) => {
                self.held = Some(stored);
                Err(error)
            }
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
    }

    /// As [`OutputReader::next_number`].
    pub(crate) fn next_number(&self) -> u64 {
        self.messages.next_number()
    }
}
