//! What needs a person.

use std::time::SystemTime;

use crate::board::{Raised, Trouble};

/// The kinds of it, the gravest first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// An answer has stopped the connection (`onae = stop` and the like).
    Stopped,
    /// The journal cannot be read where its messages are.
    Unreadable,
    /// Too many dead letters in a row.
    Held,
    /// The receiver is away, and messages wait.
    Down,
    /// Files cannot be written.
    Unwritable,
    /// The command of `pipe` fails.
    Pipe,
    /// A message has been waiting too long.
    Old,
    /// The receiver closes without an answer to the same message.
    Unanswered,
    /// The receiver answers other messages than it was sent.
    Mismatched,
    /// Something of the whole process, by its name on the board.
    Process(String),
}

impl Kind {
    /// What a trouble of a connection is here.
    pub(super) fn of(trouble: Trouble) -> Kind {
        match trouble {
            Trouble::Down => Kind::Down,
            Trouble::Held => Kind::Held,
            Trouble::Unanswered => Kind::Unanswered,
            Trouble::Mismatched => Kind::Mismatched,
            Trouble::Unwritable => Kind::Unwritable,
            Trouble::Pipe => Kind::Pipe,
            Trouble::Unreadable => Kind::Unreadable,
        }
    }

    /// In a subject line.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Kind::Stopped => "stopped",
            Kind::Unreadable => "cannot read the journal",
            Kind::Held => "queue held",
            Kind::Down => "no receiver",
            Kind::Unwritable => "cannot write files",
            Kind::Pipe => "pipe fails",
            Kind::Old => "messages wait too long",
            Kind::Unanswered => "no answer",
            Kind::Mismatched => "answers to other messages",
            Kind::Process(what) => match what.as_str() {
                "disk" => "disk nearly full",
                "sync" => "disk slow",
                what if what.starts_with(super::CERTIFICATE) => "certificate ends",
                _ => "needs attention",
            },
        }
    }
}

/// Something that is so, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    pub(super) kind: Kind,
    pub(super) since: SystemTime,
    /// What is known of it; nothing of a message's content.
    pub(super) text: String,
    /// The message that it is about.
    pub(super) message: Option<u64>,
}

impl Condition {
    pub(super) fn of(kind: Kind, raised: Raised) -> Condition {
        Condition { kind, since: raised.since, text: raised.text, message: raised.message }
    }
}
