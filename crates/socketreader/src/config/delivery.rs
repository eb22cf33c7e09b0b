//! What an outgoing socket connection does with the answers of its receiver.

use std::time::Duration;

use protogen_core::hl7::AckCode;

/// What follows from a negative answer (`onae`, `onar`, `oncommiterror`, `oncommitreject`, `onnak`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRefusal {
    /// The message is sent again until it is taken, with growing pauses.
    Retry,
    /// It becomes a dead letter after `retries` attempts; at once for AE and CR, which judge its content.
    Dead,
    /// The queue stops until somebody resumes it.
    Stop,
}

/// How strictly MSA-2 must name the message (`matchack`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MatchAck {
    /// It must be the MSH-10 that was sent.
    Strict,
    /// It must be, if there is one.
    Present,
    /// It is not looked at.
    Off,
}

/// A negative answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// AE, AR, CE or CR.
    Code(AckCode),
    /// The negative commit block.
    Nak,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Refusal::Code(code) => write!(f, "{code}"),
            Refusal::Nak => f.write_str("NAK"),
        }
    }
}

/// The policy of an outgoing socket connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    pub(super) on_ae: OnRefusal,
    pub(super) on_ar: OnRefusal,
    pub(super) on_commit_error: OnRefusal,
    pub(super) on_commit_reject: OnRefusal,
    pub(super) on_nak: OnRefusal,
    /// How often a message is tried that is refused for reasons outside its content.
    pub retries: u32,
    /// After so many dead letters in a row the queue is held; 0 never holds it.
    pub breaker: u32,
    /// How strictly answers are matched.
    pub match_ack: MatchAck,
    /// The longest pause between two attempts, to connect or to deliver.
    pub max_pause: Duration,
    /// How long the receiver may be away before somebody is called; zero is for ever.
    pub down_time: Duration,
}

impl Policy {
    /// What follows from this answer, and whether it is final for the message after one attempt.
    #[must_use]
    pub fn on(&self, refusal: Refusal) -> OnRefusal {
        match refusal {
            Refusal::Code(AckCode::AE) => self.on_ae,
            Refusal::Code(AckCode::CE) => self.on_commit_error,
            Refusal::Code(AckCode::CR) => self.on_commit_reject,
            Refusal::Code(_) => self.on_ar,
            Refusal::Nak => self.on_nak,
        }
    }

    /// How many attempts a message gets that is refused like this: AE and CR judge the content, and the same content
    /// will not fare better.
    #[must_use]
    pub fn attempts(&self, refusal: Refusal) -> u32 {
        match refusal {
            Refusal::Code(AckCode::AE | AckCode::CR) => 1,
            _ => self.retries,
        }
    }
}
