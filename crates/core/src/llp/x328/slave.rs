//! The slave's rules: what to answer to a token.

use super::Settings;
use super::token::{Block, Token, ack_number};
use crate::llp::NoteKind;

/// The receiving side of a session, from the answered bid on.
#[derive(Debug)]
pub(super) struct Slave {
    /// Names the session to the program's answers, which may come after its end.
    pub(super) session: u64,
    /// The number of the next block.
    expected: u8,
    /// The message so far.
    pub(super) partial: Vec<u8>,
    /// What a repeated block is answered with; none before the first.
    last_ack: Option<Token>,
    last_reply: Token,
    /// A whole message is with the program, and its last block unanswered.
    pub(super) storing: bool,
    /// The last reply was repeated since the last block.
    repeated: bool,
    /// We bid as well, and gave way.
    yielded: bool,
}

/// What the slave does next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing.
    Silence,
    /// This token.
    Reply(Token),
    /// An acknowledgment, with this number, or a reverse interrupt.
    Acknowledge(u8),
    /// NAK, and a note of what is wrong.
    Refuse(NoteKind),
    /// Give the message to the program; the answer comes from there.
    Store(Vec<u8>),
    /// Break off: the message is too long.
    BreakOff,
    /// The session is over.
    End,
    /// Both sides gave way to each other: start again.
    Restart,
}

impl Slave {
    pub(super) fn new(session: u64, greeting: Token, yielded: bool) -> Self {
        Self {
            session,
            expected: 1,
            partial: Vec::new(),
            last_ack: None,
            last_reply: greeting,
            storing: false,
            repeated: false,
            yielded,
        }
    }

    /// Remembers what was said, for the master may ask for it again.
    pub(super) fn said(&mut self, reply: &Token) {
        if matches!(reply, Token::Ack(_) | Token::Rint) {
            self.last_ack = Some(reply.clone());
        }
        self.last_reply = reply.clone();
    }

    /// Reverse interrupts are never sent twice running.
    pub(super) fn may_interrupt(&self) -> bool {
        self.last_ack != Some(Token::Rint)
    }

    /// The number of the block accepted last.
    pub(super) fn accepted(&self) -> u8 {
        (self.expected + 7) % 8
    }

    /// Returns the answer, and what to note besides.
    pub(super) fn handle(&mut self, token: Token, settings: &Settings) -> (Answer, Option<NoteKind>) {
        match token {
            Token::Eot => (Answer::End, None),
            // The master waits for us to store; whatever it repeats meanwhile gets that one answer.
            _ if self.storing => (Answer::Silence, None),
            Token::Enq => {
                self.repeated = true;
                (Answer::Reply(self.last_reply.clone()), None)
            }
            Token::Block(block) => self.block(block, settings),
            Token::Damaged(kind) => (Answer::Refuse(kind), None),
            Token::Aborted => (Answer::Refuse(NoteKind::BlockAborted), None),
            Token::Stale => (Answer::Silence, Some(NoteKind::Stale)),
            Token::Ack(_) if self.yielded && self.last_ack.is_none() => (Answer::Restart, None),
            Token::Ack(_) | Token::Nak | Token::Rint => (Answer::Silence, Some(NoteKind::StrayReply)),
        }
    }

    fn block(&mut self, block: Block, settings: &Settings) -> (Answer, Option<NoteKind>) {
        if let Some(number) = block.number
            && number != self.expected
        {
            let repetition = number == self.accepted();
            return match &self.last_ack {
                Some(ack) if repetition => (Answer::Reply(ack.clone()), Some(NoteKind::Duplicate)),
                _ => (Answer::Refuse(NoteKind::BadNumber), None),
            };
        }
        let mut note = None;
        if self.begins_anew(&block, settings) {
            self.partial.clear();
            note = Some(NoteKind::MessageAborted);
        }
        self.repeated = false;
        if self.partial.len() + block.text.len() > settings.max_message {
            return (Answer::BreakOff, note);
        }
        let number = self.expected;
        self.expected = (self.expected + 1) % 8;
        if !block.last {
            self.partial.extend_from_slice(&block.text);
            return (Answer::Acknowledge(number), note);
        }
        let message = if self.partial.is_empty() {
            block.text
        } else {
            self.partial.extend_from_slice(&block.text);
            std::mem::take(&mut self.partial)
        };
        if message.is_empty() {
            return (Answer::Acknowledge(number), Some(NoteKind::EmptyFrame));
        }
        self.storing = true;
        (Answer::Store(message), note)
    }

    /// An EOT was lost, and a new bid taken for a question after the last reply: possible where that reply was
    /// ACK 0. Then the master is in a new session and we are not. It shows when a message begins like the one in hand.
    fn begins_anew(&self, block: &Block, settings: &Settings) -> bool {
        let greeted = self.last_reply == Token::Ack(ack_number(0, settings.ack));
        let beginning = self.partial.get(..4);
        self.repeated && greeted && beginning.is_some_and(|b| block.text.starts_with(b))
    }
}
