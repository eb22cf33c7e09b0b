//! The side that listens and serves.

use std::time::Instant;

use super::{STX, Settings, TOKEN_WINDOW, is_token};
use crate::llp::mllp::CR;
use crate::llp::port::Port;
use crate::llp::queue::with_final_cr;
use crate::llp::{Counters, Event, Kind, Link, NoteKind, SendError, SendId};

/// One transaction, seen from the server.
///
/// The message is reported at the end of the input; then one `send` gives the reply, and [`Event::FinishOutput`] and
/// [`Event::Closed`] follow. An empty request closes the connection without a reply, and so does a connection id that
/// is none: both are what a port scanner sends. A request beyond `max_message` or one that stalls is dropped with
/// a note and closes it too.
#[derive(Debug)]
pub struct Server {
    settings: Settings,
    port: Port,
    state: State,
    request: Vec<u8>,
    token: Vec<u8>,
    /// When the last byte came; `None` before the first timer was set.
    heard: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Serving,
    Closed,
}

impl Server {
    /// The server of a connection accepted at `now`.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let (request, token) = (Vec::new(), Vec::new());
        Self { settings, port: Port::default(), state: State::Reading, request, token, heard: now }
    }

    /// The client's connection id; empty before the message was reported, and when the client gave none.
    pub fn token(&self) -> &[u8] {
        &self.token
    }

    /// Closes the connection without a reply, whatever its state.
    pub fn close(&mut self) {
        if self.state != State::Closed {
            self.state = State::Closed;
            self.port.event(Event::Closed);
        }
    }

    /// Takes the connection id off the request: what stands before an STX that comes within the first 64 bytes
    /// and before any CR. Returns false for one that is malformed.
    fn split_token(&mut self) -> bool {
        let window = &self.request[..self.request.len().min(TOKEN_WINDOW)];
        let Some(end) = window.iter().position(|b| matches!(*b, STX | CR)) else { return true };
        if window[end] == CR {
            return true;
        }
        self.token = self.request.drain(..=end).take(end).collect();
        is_token(&self.token)
    }
}

impl Link for Server {
    fn handle_input(&mut self, input: &[u8], now: Instant) {
        if self.state != State::Reading || input.is_empty() {
            return;
        }
        self.heard = now;
        self.port.counters.bytes_in += input.len() as u64;
        let length = self.request.len() + input.len();
        if length > self.settings.max_message + TOKEN_WINDOW {
            self.port.counters.length_errors += 1;
            self.port.note(NoteKind::TooLong, 0, length as u64, &self.request);
            return self.close();
        }
        self.request.extend_from_slice(input);
    }

    fn handle_eof(&mut self, _now: Instant) {
        if self.state != State::Reading {
            return;
        }
        if !self.split_token() {
            self.port.counters.other_errors += 1;
            self.port.note(NoteKind::BadToken, 0, self.request.len() as u64, &self.token);
            return self.close();
        }
        if self.request.is_empty() {
            return self.close();
        }
        if self.request.len() > self.settings.max_message {
            self.port.counters.length_errors += 1;
            self.port.note(NoteKind::TooLong, 0, self.request.len() as u64, &self.request);
            return self.close();
        }
        self.state = State::Serving;
        self.port.counters.blocks_in += 1;
        let request = std::mem::take(&mut self.request);
        self.port.message(request, None);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| now >= due) {
            self.port.counters.receive_timeouts += 1;
            self.port.note(NoteKind::Stale, 0, self.request.len() as u64, &self.request);
            self.close();
        }
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.port.poll_transmit(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        (self.state == State::Reading).then(|| self.heard + self.settings.idle_timeout)
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.port.poll_event()
    }

    fn send(&mut self, message: &[u8], _kind: Kind, _now: Instant) -> Result<SendId, SendError> {
        match self.state {
            // The request has not ended, so there is nothing to answer.
            State::Reading => return Err(SendError::Full),
            State::Closed => return Err(SendError::Closed),
            State::Serving => {}
        }
        if message.is_empty() {
            return Err(SendError::Empty);
        }
        if message.len() > self.settings.max_message {
            return Err(SendError::TooLong(self.settings.max_message));
        }
        self.port.transmit(&with_final_cr(message));
        self.port.counters.blocks_out += 1;
        self.port.sent(SendId(0));
        self.port.event(Event::FinishOutput);
        self.close();
        Ok(SendId(0))
    }

    fn connection_id(&self) -> &[u8] {
        self.token()
    }

    fn accept(&mut self, _now: Instant) {}

    fn refuse(&mut self, _now: Instant) {}

    fn cancel(&mut self, _id: SendId, _now: Instant) -> bool {
        false
    }

    fn is_idle(&self) -> bool {
        self.state == State::Closed
    }

    fn counters(&self) -> &Counters {
        &self.port.counters
    }
}
