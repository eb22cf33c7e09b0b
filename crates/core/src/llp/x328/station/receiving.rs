//! The station as slave: what is answered when, and the program that stores the messages.

use std::time::{Duration, Instant};

use super::{Mode, Station};
use crate::llp::x328::slave::Answer;
use crate::llp::x328::token::{Token, ack_number};
use crate::llp::{Note, NoteKind};

impl Station {
    pub(super) fn slave_token(&mut self, token: Token, now: Instant) {
        // A reply is on its way already, later than the peer thought.
        if self.held.is_some() && token == Token::Enq {
            return;
        }
        let Mode::Slave(slave) = &mut self.mode else { return };
        self.port.counters.blocks_in += u64::from(matches!(token, Token::Block(_)));
        let (answer, note) = slave.handle(token, &self.settings);
        if let Some(kind) = note {
            self.note(kind);
        }
        self.answer(answer, now);
    }

    pub(super) fn answer(&mut self, answer: Answer, now: Instant) {
        let Mode::Slave(slave) = &mut self.mode else { return };
        match answer {
            // Storing has a timer of its own, which the master's impatience does not stretch.
            Answer::Silence if slave.storing => return,
            Answer::Silence => {}
            Answer::Reply(token) => self.say(&token, now),
            Answer::Acknowledge(number) => self.acknowledge(number, now),
            Answer::Refuse(kind) => {
                slave.said(&Token::Nak);
                self.note(kind);
                self.say(&Token::Nak, now);
            }
            Answer::Store(message) => {
                self.offered.push_back(slave.session);
                self.port.message(message, None);
            }
            Answer::BreakOff => {
                self.port.counters.length_errors += 1;
                self.note(NoteKind::TooLong);
                return self.break_off(now);
            }
            Answer::End => return self.end_slave(NoteKind::MessageAborted, Duration::ZERO, now),
            Answer::Restart => {
                let spread = self.spread();
                return self.end_slave(NoteKind::Contention, spread, now);
            }
        }
        self.due = Some(now + self.settings.timer_d);
    }

    pub(super) fn acknowledge(&mut self, number: u8, now: Instant) {
        let Mode::Slave(slave) = &mut self.mode else { return };
        let urgent = self.settings.rint && self.queue.has_urgent() && slave.may_interrupt();
        let reply = if urgent { Token::Rint } else { Token::Ack(ack_number(number, self.settings.ack)) };
        slave.said(&reply);
        self.say(&reply, now);
    }

    /// Termination interrupt: we cannot go on.
    pub(super) fn break_off(&mut self, now: Instant) {
        self.say(&Token::Eot, now);
        self.end_slave(NoteKind::MessageAborted, self.settings.turnaround, now);
    }

    pub(super) fn end_slave(&mut self, kind: NoteKind, quiet: Duration, now: Instant) {
        if let Mode::Slave(slave) = &mut self.mode {
            let partial = std::mem::take(&mut slave.partial);
            if !partial.is_empty() {
                let shown = &partial[..partial.len().min(Note::SHOWN)];
                self.port.note(kind, self.reader.offset, partial.len() as u64, shown);
            }
            self.go_neutral(quiet, now);
        }
    }

    pub(super) fn slave_timed_out(&mut self, now: Instant) {
        let Mode::Slave(slave) = &self.mode else { return };
        self.port.counters.receive_timeouts += 1;
        if slave.storing {
            self.note(NoteKind::NotStored);
            self.break_off(now);
        } else {
            self.end_slave(NoteKind::MessageAborted, Duration::ZERO, now);
        }
    }

    /// The program's word on the oldest message it was given.
    pub(super) fn stored(&mut self, stored: bool, now: Instant) {
        let session = self.offered.pop_front();
        match &mut self.mode {
            Mode::Slave(slave)
                if slave.storing && session == Some(slave.session) && self.offered.is_empty() =>
            {
                slave.storing = false;
                let number = slave.accepted();
                if stored {
                    self.acknowledge(number, now);
                    self.due = Some(now + self.settings.timer_d);
                } else {
                    self.break_off(now);
                }
            }
            _ => self.note(NoteKind::LateAnswer),
        }
    }
}
