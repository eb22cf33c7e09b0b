//! One client of `hl7 listen`: its connection and the answers that wait for their time.

use crate::net::{Connection, Protocol};
use protogen_core::llp::Kind;
use protogen_sys::event_loop::{EventLoop, Token};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::time::Instant;

/// Answers that may wait for their time; the connection is not read while there are so many.
const MAX_WAITING: usize = 1_000;

pub(super) struct Client {
    pub(super) connection: Connection,
    pub(super) peer: SocketAddr,
    timer: Token,
    waiting: VecDeque<(Instant, Vec<u8>)>,
    /// No answer will come: the connection is to be closed.
    pub(super) dropped: bool,
}

impl Client {
    pub(super) fn new(connection: Connection, peer: SocketAddr, timer: Token) -> Self {
        Client { connection, peer, timer, waiting: VecDeque::new(), dropped: false }
    }

    pub(super) fn answer_later(&mut self, due: Instant, answer: Vec<u8>) {
        self.waiting.push_back((due, answer));
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MAX_WAITING
    }

    pub(super) fn has_answers(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Sends the answers whose time has come and sets the timer for the next.
    pub(super) fn answer_due(&mut self, events: &mut EventLoop, now: Instant) {
        while self.waiting.front().is_some_and(|(due, _)| *due <= now) {
            let Some((_, answer)) = self.waiting.pop_front() else { break };
            if let Err(error) = self.connection.link.send(&answer, Kind::Reply, now) {
                eprintln!("hl7: {}: the answer was not sent: {error}", self.peer);
            }
        }
        events.update_timer(self.timer, self.waiting.front().map(|(due, _)| *due));
    }

    /// Tells the machine of the end of the input once all answers are out; ILLP's message ends by it.
    pub(super) fn settle(&mut self, protocol: Protocol, now: Instant) -> bool {
        (protocol == Protocol::Illp || self.waiting.is_empty()) && self.connection.settle(now)
    }

    pub(super) fn is_over(&self) -> bool {
        self.dropped || (self.waiting.is_empty() && self.connection.is_over())
    }

    pub(super) fn flush(&mut self, events: &mut EventLoop) -> io::Result<()> {
        self.connection.flush(events)
    }
}
