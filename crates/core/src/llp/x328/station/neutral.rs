//! The neutral station: bids, of the peer and its own, and what happens when they meet.

use std::time::{Duration, Instant};

use super::{Mode, Station};
use crate::llp::x328::Priority;
use crate::llp::x328::slave::Slave;
use crate::llp::x328::token::{Token, ack_number};
use crate::llp::{Failure, NoteKind};

impl Station {
    pub(super) fn neutral_token(&mut self, token: &Token, now: Instant) {
        match token {
            Token::Enq => {
                self.greet(false, now);
            }
            // The echo of a session that ended differently for the two sides.
            Token::Eot => {}
            Token::Ack(_) | Token::Nak | Token::Rint => self.note(NoteKind::StrayReply),
            // Without a session a block is not answered (the sender's timer A will run out).
            Token::Block(_) | Token::Aborted | Token::Damaged(_) | Token::Stale => self.note(NoteKind::Junk),
        }
        self.restart_line_check(now);
    }

    /// Answers a bid: ACK 0 and a session, or NAK when we are not ready. Says whether there is a session.
    pub(super) fn greet(&mut self, yielded: bool, now: Instant) -> bool {
        if !self.ready || self.offered.len() >= self.settings.queue {
            self.say(&Token::Nak, now);
            return false;
        }
        let greeting = Token::Ack(ack_number(0, self.settings.ack));
        self.say(&greeting, now);
        self.begin_session(now);
        self.mode = Mode::Slave(Slave::new(self.sessions, greeting, yielded));
        self.due = Some(now + self.settings.timer_d);
        true
    }

    pub(super) fn begin_session(&mut self, now: Instant) {
        self.bids = 0;
        self.sessions += 1;
        self.port.counters.sessions += 1;
        self.session_until = self.settings.timer_c.map(|c| now + c);
        self.check_at = None;
    }

    pub(super) fn go_neutral(&mut self, quiet: Duration, now: Instant) {
        self.mode = Mode::Neutral;
        self.due = None;
        self.session_until = None;
        self.quiet_until = Some(now + quiet);
        self.restart_line_check(now);
    }

    pub(super) fn restart_line_check(&mut self, now: Instant) {
        let neutral = matches!(self.mode, Mode::Neutral);
        self.check_at = if neutral { self.settings.timer_e.map(|e| now + e) } else { None };
    }

    /// Neutral, quiet long enough, and nobody in the middle of a word: bid, if there is a message or a line check due.
    pub(super) fn start_next(&mut self, now: Instant) {
        let free = matches!(self.mode, Mode::Neutral) && !self.reader.is_busy() && self.held.is_none();
        let quiet = self.quiet_until.is_none_or(|until| now >= until);
        let check = self.check_at.is_some_and(|at| now >= at);
        if self.closed || !free || !quiet || (self.queue.is_empty() && !check) {
            return;
        }
        self.current = self.queue.pop();
        self.quiet_until = None;
        self.check_at = None;
        let tries = std::mem::take(&mut self.bids) + 1;
        self.mode = Mode::Bidding { tries, refused: false, contended: false };

        self.ask(now);
    }

    pub(super) fn bid_reply(&mut self, token: &Token, now: Instant) {
        let greeting = Token::Ack(ack_number(0, self.settings.ack));
        match token {
            token if *token == greeting => self.begin_master(now),
            Token::Enq => self.contention(now),
            // Our last EOT was lost: the peer still answers in the session before. Timer A will bid again.
            Token::Ack(_) | Token::Rint => self.say_now(&Token::Eot),
            Token::Nak | Token::Eot => {
                if let Mode::Bidding { refused, .. } = &mut self.mode {
                    *refused = true;
                }
            }
            Token::Block(_) | Token::Aborted | Token::Damaged(_) | Token::Stale => self.note(NoteKind::Junk),
        }
    }

    /// Both sides bid. The high one goes on, the low one gives way.
    pub(super) fn contention(&mut self, now: Instant) {
        self.note(NoteKind::Contention);
        if self.settings.priority == Priority::High {
            if let Mode::Bidding { contended, .. } = &mut self.mode {
                *contended = true;
            }
        } else if self.greet(true, now)
            && let Some(current) = self.current.take()
        {
            self.queue.put_back(current);
        }
    }

    pub(super) fn bid_timed_out(&mut self, now: Instant) {
        let Mode::Bidding { tries, refused, contended } = &mut self.mode else { return };
        self.port.counters.connect_timeouts += 1;
        if *tries < self.settings.bids && *contended {
            // The peer did not give way either: both are high. Whoever waits longer becomes the slave.
            self.bids = *tries;
            if let Some(current) = self.current.take() {
                self.queue.put_back(current);
            }
            let spread = self.spread();
            return self.go_neutral(spread, now);
        }
        if *tries < self.settings.bids {
            *tries += 1;
            *refused = false;
            return self.ask(now);
        }
        let why = if *refused { Failure::Refused(None) } else { Failure::NoAnswer(*tries) };
        if self.current.is_none() {
            self.note(NoteKind::LineDown);
        }
        self.say_now(&Token::Eot);
        self.fail_current(why);
        self.go_neutral(self.settings.pause, now);
    }
}
