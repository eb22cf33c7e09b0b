//! The station behind the common [`Link`] shape.

use std::time::{Duration, Instant};

use super::{Mode, Station};
use crate::llp::queue::with_final_cr;
use crate::llp::x328::token::{Token, check_text};
use crate::llp::{Counters, Event, Failure, Kind, Link, NoteKind, SendError, SendId};

impl Link for Station {
    fn handle_input(&mut self, mut input: &[u8], now: Instant) {
        if self.closed {
            return;
        }
        self.port.counters.bytes_in += input.len() as u64;
        while let Some(token) = self.reader.decode(&mut input, now) {
            self.token(token, now);
        }
        self.start_next(now);
    }

    fn handle_eof(&mut self, now: Instant) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if let Some(current) = self.current.take() {
            self.port.counters.network_errors += 1;
            self.port.failed(current.id, Failure::Disconnected);
        }
        self.queue.close(Failure::Disconnected, &mut self.port);
        self.end_slave(NoteKind::EndOfInput, Duration::ZERO, now);
        self.go_neutral(Duration::ZERO, now);
        self.held = None;
        self.port.event(Event::Closed);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.release_held(now);
        if let Some(token) = self.reader.handle_timeout(now) {
            self.token(token, now);
        }
        self.mode_timed_out(now);
        self.session_timed_out(now);
        self.start_next(now);
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.port.poll_transmit(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let busy = self.reader.is_busy();
        let neutral = matches!(self.mode, Mode::Neutral);
        let may_bid = neutral && !busy && self.held.is_none();
        let bid = if may_bid && !self.queue.is_empty() { self.quiet_until } else { None };
        // A line check, too, waits for the end of the quiet time.
        let check = if may_bid { self.check_at.max(self.check_at.and(self.quiet_until)) } else { None };
        let due = if self.in_block() { None } else { self.due };
        let held = self.held.as_ref().map(|(due, _)| *due);
        [self.reader.poll_timeout(), bid, check, due, held, self.session_until].into_iter().flatten().min()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.port.poll_event()
    }

    fn send(&mut self, message: &[u8], kind: Kind, now: Instant) -> Result<SendId, SendError> {
        self.queue.check()?;
        if message.is_empty() {
            return Err(SendError::Empty);
        }
        let message = with_final_cr(message);
        if message.len() > self.settings.max_message {
            return Err(SendError::TooLong(self.settings.max_message));
        }
        check_text(&message, &self.settings)?;
        let id = self.queue.push(message, kind);
        self.start_next(now);
        Ok(id)
    }

    fn accept(&mut self, now: Instant) {
        self.stored(true, now);
        self.start_next(now);
    }

    fn refuse(&mut self, now: Instant) {
        self.stored(false, now);
        self.start_next(now);
    }

    fn cancel(&mut self, id: SendId, now: Instant) -> bool {
        if self.queue.cancel(id) {
            self.port.failed(id, Failure::Cancelled);
        } else if self.current.as_ref().is_some_and(|current| current.id == id) {
            self.say_now(&Token::Eot);
            self.fail_current(Failure::Cancelled);
            self.go_neutral(self.settings.turnaround, now);
        } else {
            return false;
        }
        true
    }

    fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
    }

    fn is_idle(&self) -> bool {
        matches!(self.mode, Mode::Neutral) && self.queue.is_empty() && !self.reader.is_busy()
    }

    fn counters(&self) -> &Counters {
        &self.port.counters
    }
}
