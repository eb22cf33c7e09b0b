//! What an answer says about the message that was sent.

use std::collections::VecDeque;

use protogen_core::hl7::{AckCode, Message, Mode, Outcome};

use super::answer::first_segment;
use crate::config::{MatchAck, Refusal};

/// How many delivered messages are remembered, to recognize a late second answer.
const REMEMBERED: usize = 16;

/// What an outgoing connection waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Expected {
    /// Nothing: written is delivered.
    Nothing,
    /// A commit block of MLLP.
    Commit,
    /// An HL7 acknowledgment that names this control id.
    Hl7(Vec<u8>),
}

/// What an answer means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The message is delivered.
    Accepted,
    /// It is refused.
    Refused(Refusal),
    /// The answer is another message's, or none at all: the right one is still awaited. Says what is wrong.
    Foreign(String),
    /// A second answer to a message delivered before.
    Late(AckCode),
}

/// What a message that is sent makes the sender wait for.
pub(super) fn expected(message: &[u8], use_hl7: bool, use_ack: bool) -> Expected {
    if !use_ack {
        return Expected::Nothing;
    }
    if !use_hl7 {
        return Expected::Commit;
    }
    match Message::parse(first_segment(message)) {
        // MSH-15 and MSH-16 both NE, and the like: no answer to a message that is accepted.
        Ok(header) if Mode::of(&header).due(Outcome::Accepted).is_none() => Expected::Nothing,
        Ok(header) => Expected::Hl7(header.control_id().to_vec()),
        // A message without an MSH that can be read has no control id.
        Err(_) => Expected::Hl7(Vec::new()),
    }
}

/// Judges HL7 answers.
#[derive(Debug)]
pub(super) struct Judge {
    matching: MatchAck,
    /// Control ids of the last messages that were delivered.
    delivered: VecDeque<Vec<u8>>,
}

impl Judge {
    pub(super) fn new(matching: MatchAck) -> Judge {
        Judge { matching, delivered: VecDeque::new() }
    }

    /// This message is delivered.
    pub(super) fn delivered(&mut self, control_id: Vec<u8>) {
        if self.delivered.len() == REMEMBERED {
            self.delivered.pop_front();
        }
        self.delivered.push_back(control_id);
    }

    /// What `answer` says about the message with this control id.
    pub(super) fn judge(&self, answer: &[u8], control_id: &[u8]) -> Verdict {
        let Ok(answer) = Message::parse(answer) else {
            return Verdict::Foreign("the answer has no MSH segment that can be read".to_owned());
        };
        let Some(code) = AckCode::of(&answer) else {
            let found = answer.field(*b"MSA", 1).raw().escape_ascii().to_string();
            return Verdict::Foreign(format!("MSA-1 is \"{found}\", expected AA, AE, AR, CA, CE or CR"));
        };
        let named = answer.field(*b"MSA", 2).raw();
        let fits = match self.matching {
            MatchAck::Strict => named == control_id,
            MatchAck::Present => named.is_empty() || named == control_id,
            MatchAck::Off => true,
        };
        if fits {
            return if code.is_positive() {
                Verdict::Accepted
            } else {
                Verdict::Refused(Refusal::Code(code))
            };
        }
        if self.delivered.iter().any(|id| id == named) {
            return Verdict::Late(code);
        }
        let (named, sent) = (named.escape_ascii(), control_id.escape_ascii());
        Verdict::Foreign(format!("MSA-2 is \"{named}\", expected \"{sent}\""))
    }
}
