//! The station as master: block after block, and what the replies make of it.

use std::time::Instant;

use super::{Mode, Station};
use crate::llp::x328::blocks::Cut;
use crate::llp::x328::master::{Master, Step};
use crate::llp::x328::token::{Token, encode_block};
use crate::llp::{Failure, NoteKind};

impl Station {
    pub(super) fn begin_master(&mut self, now: Instant) {
        self.begin_session(now);
        match &self.current {
            // The line check has found the peer.
            None => {
                self.say_now(&Token::Eot);
                self.go_neutral(self.settings.turnaround, now);
            }
            Some(current) => {
                let cut = Cut::at(0, &current.message, &self.settings);
                self.mode = Mode::Master(Master::new(cut));
                self.transmit_block(now);
            }
        }
    }

    pub(super) fn transmit_block(&mut self, now: Instant) {
        let (Mode::Master(master), Some(current)) = (&self.mode, &self.current) else { return };
        let (text, last) = (master.cut.text(&current.message), master.cut.is_last(&current.message));
        encode_block(master.number(), text, last, &self.settings, &mut self.block);
        self.port.transmit(&self.block);
        self.port.counters.blocks_out += 1;
        self.due = Some(self.reply_due(self.block.len(), now));
    }

    pub(super) fn master_reply(&mut self, token: &Token, now: Instant) {
        if let Mode::Master(master) = &mut self.mode {
            let step = master.reply(token, &self.settings);
            if *token == Token::Nak {
                self.note(NoteKind::Nak);
            }
            self.take_step(step, now);
        }
    }

    pub(super) fn master_timed_out(&mut self, now: Instant) {
        if let Mode::Master(master) = &mut self.mode {
            let step = master.timeout(&self.settings);
            self.port.counters.receive_timeouts += 1;
            self.note(NoteKind::NoAnswer);
            self.take_step(step, now);
        }
    }

    pub(super) fn take_step(&mut self, step: Step, now: Instant) {
        match step {
            Step::Wait => {}
            Step::Acknowledged => self.next_block(now),
            Step::Resend => {
                self.port.counters.retries += 1;
                self.transmit_block(now);
            }
            Step::Enquire => self.ask(now),
            Step::Interrupted => self.interrupted(now),
            Step::GiveUp(why) => {
                self.say_now(&Token::Eot);
                self.fail_current(why);
                self.go_neutral(self.settings.pause, now);
            }
        }
    }

    pub(super) fn next_block(&mut self, now: Instant) {
        let (Mode::Master(master), Some(current)) = (&mut self.mode, &self.current) else { return };
        if !master.cut.is_last(&current.message) {
            master.advance(master.cut.next(&current.message, &self.settings));
            return self.transmit_block(now);
        }
        self.port.delivered(current.id);
        self.current = None;
        let may_go_on = !master.interrupted && master.messages < self.settings.session_messages;
        if may_go_on && let Some(next) = self.queue.pop() {
            master.messages += 1;
            master.advance(Cut::at(0, &next.message, &self.settings));
            self.current = Some(next);
            return self.transmit_block(now);
        }
        // A slave that asked for the line gets time to bid for it.
        let quiet = if master.interrupted { self.settings.timer_a } else { self.settings.turnaround };
        self.say_now(&Token::Eot);
        self.go_neutral(quiet, now);
    }

    /// Termination interrupt: the block was not accepted, the session is over, the whole message is tried later.
    pub(super) fn interrupted(&mut self, now: Instant) {
        if let Some(mut current) = self.current.take() {
            if current.tries < self.settings.session_retries {
                current.tries += 1;
                self.port.counters.retries += 1;
                self.note(NoteKind::MessageAborted);
                self.queue.put_back(current);
            } else {
                self.port.failed(current.id, Failure::Interrupted);
            }
        }
        self.go_neutral(self.settings.pause, now);
    }
}
