//! What follows from the answers of a command that messages go through, and from its failures.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protogen_core::hl7::{AckCode, Message};
use protogen_journal::{Outcome, Stored};

use super::command::{Answer, Child, NoAnswer};
use crate::backoff::Backoff;
use crate::board::{Outbox, Trouble};
use crate::config;
use crate::log;

/// After so many failures on one message somebody is told.
const TRIES: u32 = 3;
/// Why a message that the command drops is not delivered.
pub(super) const DROPPED: &str = "its pipe dropped it";

/// What the command makes of a message.
pub(super) enum Piped {
    /// This is sent in its place.
    Replaced(Vec<u8>),
    Settled(Outcome, Vec<u8>),
    /// It failed, or is left alone for so long.
    Later(Duration),
    /// The caller wants to wait no longer.
    Stopped,
}

/// The command of one outgoing connection.
#[derive(Debug)]
pub(super) struct Pipe {
    child: Child,
    breaker: u32,
    outbox: Arc<Outbox>,
    /// Failures in a row.
    failures: u32,
    backoff: Backoff,
    not_before: Option<Instant>,
    dead_in_a_row: u32,
}

impl Pipe {
    pub(super) fn new(settings: config::Pipe, outbox: Arc<Outbox>) -> Pipe {
        Pipe {
            breaker: settings.breaker,
            child: Child::new(&outbox.name, settings),
            outbox,
            failures: 0,
            backoff: Backoff::default(),
            not_before: None,
            dead_in_a_row: 0,
        }
    }

    /// Asks the command, unless it failed a moment ago.
    pub(super) fn pass(&mut self, stored: &Stored, stop: &dyn Fn() -> bool) -> Piped {
        let left = self.not_before.map(|due| due.saturating_duration_since(Instant::now()));
        if let Some(left) = left.filter(|left| !left.is_zero()) {
            return Piped::Later(left);
        }
        let answer = match self.child.ask(&stored.bytes, stop) {
            Ok(Answer::Message(answer)) => answer,
            Ok(Answer::Nothing) => {
                self.works();
                self.dead_in_a_row = 0;
                return Piped::Settled(Outcome::Filtered, DROPPED.into());
            }
            Err(NoAnswer::Unframed(why)) => {
                return Piped::Settled(Outcome::Dead, format!("cannot be framed for its pipe: {why}").into());
            }
            Err(NoAnswer::Stopped) => return Piped::Stopped,
            Err(NoAnswer::Failed(why)) => return self.failed(stored, &why),
        };
        match refusal(&answer, &stored.bytes) {
            None => {
                self.works();
                self.dead_in_a_row = 0;
                Piped::Replaced(answer)
            }
            // The content is at fault. But a command whose own database is down must not empty the queue.
            Some(AckCode::AE | AckCode::CR) if self.breaker == 0 || self.dead_in_a_row < self.breaker => {
                self.works();
                self.dead_in_a_row = self.dead_in_a_row.saturating_add(1);
                Piped::Settled(Outcome::Dead, answer)
            }
            Some(code @ (AckCode::AE | AckCode::CR)) => {
                let why = format!("it answered {code}, after {} dead letters in a row", self.dead_in_a_row);
                self.failed(stored, &why)
            }
            Some(code) if code.is_positive() => {
                self.failed(stored, &format!("it answered {code}, not with the message to be sent"))
            }
            Some(code) => self.failed(stored, &format!("it answered {code}")),
        }
    }

    /// What waits was changed: it may be another message that comes next.
    pub(super) fn rewind(&mut self) {
        self.not_before = None;
        self.failures = 0;
    }

    fn works(&mut self) {
        self.not_before = None;
        self.failures = 0;
        self.backoff.reset();
        self.outbox.clear(Trouble::Pipe);
    }

    /// The message stays in hand, and nothing overtakes it.
    fn failed(&mut self, stored: &Stored, why: &str) -> Piped {
        self.failures = self.failures.saturating_add(1);
        let pause = self.backoff.pause();
        self.not_before = Some(Instant::now() + pause);
        let (sequence, named) = (stored.sequence, log::Named(&stored.bytes));
        log::error!(
            &self.outbox.name,
            "pipe: {why}; message {sequence} is given to it again in {} s: {named}",
            pause.as_secs()
        );
        self.outbox.failed(format!("pipe: {why}: message {sequence}: {named}"));
        if self.failures == TRIES {
            // It may have been told of another message before.
            self.outbox.clear(Trouble::Pipe);
            self.outbox.raise_about(Trouble::Pipe, Some(sequence), || {
                format!("pipe: {why}; message {sequence} is held, after {TRIES} attempts: {named}")
            });
        }
        Piped::Later(pause)
    }
}

/// The code of an answer that is no message to be sent, but acknowledges the one that was given.
pub(super) fn refusal(answer: &[u8], given: &[u8]) -> Option<AckCode> {
    let answer = Message::parse(answer).ok()?;
    let code = AckCode::of(&answer)?;
    let given = Message::parse(given).ok();
    let id = given.as_ref().map(Message::control_id).unwrap_or_default();
    // An acknowledgment that is itself on its way through names another message.
    (answer.field(*b"MSA", 2).raw() == id).then_some(code)
}
