//! The master's rules: what to make of a reply to a block, or of none.

use super::blocks::Cut;
use super::token::{Token, ack_number};
use super::{Ack, Numbering, Settings, TimeoutAction};
use crate::llp::Failure;

/// The sending side of a session, from the first block on.
#[derive(Debug)]
pub(super) struct Master {
    /// The number of the block that is on its way; 1 for the first of the session.
    number: u8,
    pub(super) cut: Cut,
    /// Messages sent in this session, the current one included.
    pub(super) messages: u32,
    /// How often this block was sent again.
    retries: u32,
    /// How often this block's reply was asked for.
    enquiries: u32,
    /// Our ENQ is what the next reply answers.
    asked: bool,
    /// The last valid reply was a reverse interrupt.
    after_rint: bool,
    /// The slave wants the line.
    pub(super) interrupted: bool,
    /// The last trouble was a NAK, not silence.
    refused: bool,
}

/// What the master does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Wait on.
    Wait,
    /// The block has arrived.
    Acknowledged,
    /// Send the block again.
    Resend,
    /// Ask for the last reply.
    Enquire,
    /// The slave has broken off.
    Interrupted,
    /// End the session, and report this.
    GiveUp(Failure),
}

impl Master {
    pub(super) fn new(cut: Cut) -> Self {
        Self {
            number: 1,
            cut,
            messages: 1,
            retries: 0,
            enquiries: 0,
            asked: false,
            after_rint: false,
            interrupted: false,
            refused: false,
        }
    }

    pub(super) fn number(&self) -> u8 {
        self.number
    }

    /// Goes on to the next block; numbers run on through all messages of a session.
    pub(super) fn advance(&mut self, cut: Cut) {
        self.number = (self.number + 1) % 8;
        self.cut = cut;
        self.retries = 0;
        self.enquiries = 0;
        self.refused = false;
    }

    pub(super) fn reply(&mut self, token: &Token, settings: &Settings) -> Step {
        match token {
            Token::Ack(number) => self.acknowledgment(*number, settings),
            Token::Rint if settings.rint => self.reverse_interrupt(settings),
            Token::Nak => {
                self.refused = true;
                self.resend(settings)
            }
            Token::Eot => Step::Interrupted,
            // An ENQ too: it is a damaged reply, or a peer that lost the session and will answer our next ENQ.
            _ => Step::Wait,
        }
    }

    fn acknowledgment(&mut self, number: Option<u8>, settings: &Settings) -> Step {
        let ours = ack_number(self.number, settings.ack);
        let before = ack_number((self.number + 7) % 8, settings.ack);
        if number == ours && !(self.asked && self.is_ambiguous(settings)) {
            self.after_rint = false;
            return self.acknowledged();
        }
        // Only an answer to our ENQ says that the block is missing; otherwise this is a reply that came late.
        if self.asked && (number == ours || number == before) { self.resend(settings) } else { Step::Wait }
    }

    /// Whether our acknowledgment, as an answer to ENQ, may mean something else: any ACK does if it carries no
    /// number, and ACK 0 is also how a peer that lost the session greets a new one. Then the block goes out again,
    /// for a slave in session will know it by its number.
    fn is_ambiguous(&self, settings: &Settings) -> bool {
        match ack_number(self.number, settings.ack) {
            None => true,
            Some(number) => number == 0 && settings.numbering == Numbering::BlockAndLength,
        }
    }

    /// Counts as an acknowledgment. Slaves never send two in a row, so that a second one, asked for by ENQ, is
    /// the old one repeated: the block is missing.
    fn reverse_interrupt(&mut self, settings: &Settings) -> Step {
        match (self.after_rint, self.asked) {
            (true, true) => self.resend(settings),
            (true, false) => Step::Wait,
            (false, _) => {
                self.after_rint = true;
                self.interrupted = true;
                self.acknowledged()
            }
        }
    }

    fn acknowledged(&mut self) -> Step {
        self.asked = false;
        Step::Acknowledged
    }

    fn resend(&mut self, settings: &Settings) -> Step {
        self.asked = false;
        if self.retries >= settings.block_retries {
            return Step::GiveUp(self.failure());
        }
        self.retries += 1;
        self.enquiries = 0;
        Step::Resend
    }

    /// Timer A has run out.
    pub(super) fn timeout(&mut self, settings: &Settings) -> Step {
        if settings.timeout_action == TimeoutAction::Resend || settings.ack == Ack::Plain {
            self.refused = false;
            return self.resend(settings);
        }
        if self.enquiries >= settings.enq_retries {
            self.refused = false;
            return Step::GiveUp(self.failure());
        }
        self.enquiries += 1;
        self.asked = true;
        Step::Enquire
    }

    fn failure(&self) -> Failure {
        if self.refused { Failure::Refused(None) } else { Failure::NoAnswer(self.retries + 1) }
    }
}
