//! The side that connects and asks.

use std::time::Instant;

use super::{STX, Settings};
use crate::llp::port::Port;
use crate::llp::queue::with_final_cr;
use crate::llp::{Counters, Event, Failure, Kind, Link, NoteKind, SendError, SendId};

/// One transaction, seen from the client.
///
/// `send` takes exactly one message; [`Event::FinishOutput`] follows. The reply comes as a message that answers it, after
/// `Delivered`. A connection that ends without a reply, or a reply beyond `max_message`, is a failure.
#[derive(Debug)]
pub struct Client {
    settings: Settings,
    port: Port,
    state: State,
    reply: Vec<u8>,
    /// When the last byte came, or the message was sent.
    heard: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Unused,
    Waiting(SendId),
    Closed,
}

impl Client {
    /// The client of a fresh connection.
    pub fn new(settings: Settings) -> Self {
        Self { settings, port: Port::default(), state: State::Unused, reply: Vec::new(), heard: None }
    }

    fn close(&mut self, failure: Option<Failure>) {
        if let (State::Waiting(id), Some(why)) = (self.state, failure) {
            self.port.failed(id, why);
        }
        if self.state != State::Closed {
            self.state = State::Closed;
            self.port.event(Event::Closed);
        }
    }
}

impl Link for Client {
    fn handle_input(&mut self, input: &[u8], now: Instant) {
        if self.state == State::Closed || input.is_empty() {
            return;
        }
        self.heard = Some(now);
        self.port.counters.bytes_in += input.len() as u64;
        let length = self.reply.len() + input.len();
        if length > self.settings.max_message {
            self.port.counters.length_errors += 1;
            self.port.note(NoteKind::TooLong, 0, length as u64, &self.reply);
            return self.close(Some(Failure::BadReply));
        }
        self.reply.extend_from_slice(input);
    }

    fn handle_eof(&mut self, _now: Instant) {
        let State::Waiting(id) = self.state else {
            return self.close(None);
        };
        if self.reply.is_empty() {
            self.port.counters.network_errors += 1;
            return self.close(Some(Failure::Disconnected));
        }
        let reply = std::mem::take(&mut self.reply);
        self.port.delivered(id);
        self.port.message(reply, Some(id));
        self.close(None);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| now >= due) {
            self.port.counters.receive_timeouts += 1;
            self.close(Some(Failure::NoAnswer(1)));
        }
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.port.poll_transmit(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let waiting = matches!(self.state, State::Waiting(_));
        if waiting { self.heard.map(|heard| heard + self.settings.idle_timeout) } else { None }
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.port.poll_event()
    }

    fn send(&mut self, message: &[u8], _kind: Kind, now: Instant) -> Result<SendId, SendError> {
        if self.state != State::Unused {
            return Err(SendError::Closed);
        }
        if message.is_empty() {
            return Err(SendError::Empty);
        }
        if message.len() > self.settings.max_message {
            return Err(SendError::TooLong(self.settings.max_message));
        }
        // Without a token of our own, an STX near the front would be taken for the end of one.
        let front = message.iter().take(super::TOKEN_WINDOW).take_while(|b| **b != crate::llp::mllp::CR);
        if let (true, Some(offset)) = (self.settings.token.is_empty(), front.clone().position(|b| *b == STX))
        {
            return Err(SendError::Forbidden { offset, byte: STX });
        }
        if !self.settings.token.is_empty() {
            self.port.transmit(&self.settings.token);
            self.port.transmit(&[STX]);
        }
        self.port.transmit(&with_final_cr(message));
        self.port.counters.blocks_out += 1;
        self.port.event(Event::FinishOutput);
        let id = SendId(0);
        self.state = State::Waiting(id);
        self.heard = Some(now);
        Ok(id)
    }

    fn accept(&mut self, _now: Instant) {}

    fn refuse(&mut self, _now: Instant) {}

    fn cancel(&mut self, id: SendId, _now: Instant) -> bool {
        let waiting = self.state == State::Waiting(id);
        if waiting {
            self.close(Some(Failure::Cancelled));
        }
        waiting
    }

    fn is_idle(&self) -> bool {
        !matches!(self.state, State::Waiting(_))
    }

    fn counters(&self) -> &Counters {
        &self.port.counters
    }
}
