//! Between the journal and the receiver of an outgoing connection: which messages it gets.
//!
//! The gate reads the messages in their order, in the thread that reads the journal for the connection. What is not
//! to be delivered comes out as well, with what is to be recorded of it: the connection settles it in its turn, so that
//! nothing overtakes a message that still waits.

use protogen_core::hl7::Message;
use protogen_journal::{JournalError, Outcome, OutputReader, Stored};

use crate::config;

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

/// Gives the messages of one outgoing connection, each once.
#[derive(Debug)]
pub(crate) struct Gate {
    messages: OutputReader,
    rules: config::Gate,
}

impl Gate {
    pub(crate) fn new(messages: OutputReader, rules: config::Gate) -> Gate {
        Gate { messages, rules }
    }

    /// The next message; `None` when there is none now.
    ///
    /// # Errors
    /// As [`OutputReader::next`]. A further call tries the same again.
    pub(crate) fn next(&mut self) -> Result<Option<Passed>, JournalError> {
        Ok(self.messages.next()?.map(|stored| self.judge(stored)))
    }

    fn judge(&self, stored: Stored) -> Passed {
        // An operator who names a message and a connection wants it sent.
        let filter = self.rules.filter.as_ref().filter(|_| !stored.again);
        let is_wanted = filter
            .is_none_or(|filter| Message::parse(&stored.bytes).is_ok_and(|message| filter.matches(&message)));
        match is_wanted {
            true => Passed::Wanted(stored),
            false => filtered(stored, FILTER.to_owned()),
        }
    }

    /// Begins again with the first message that is not settled.
    pub(crate) fn rewind(&mut self) {
        self.messages.rewind();
    }

    /// As [`OutputReader::next_number`].
    pub(crate) fn next_number(&self) -> u64 {
        self.messages.next_number()
    }
}

fn filtered(stored: Stored, why: String) -> Passed {
    Passed::Unwanted(Unwanted { stored, outcome: Outcome::Filtered, note: why.into_bytes() })
}
