//! One connection of the line: a socket's client, or the device.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::time::Instant;

use protogen_core::llp::SendId;
use protogen_sys::connection::Connection;
use protogen_sys::event_loop::{Drained, EventLoop, drain};

use crate::medium::Medium;

pub(super) struct Client {
    pub(super) connection: Connection<Medium>,
    /// For the log.
    pub(super) name: String,
    /// When it spoke last, in words counted.
    pub(super) spoke: u64,
    /// Messages that were taken and not yet served, in order.
    pub(super) waiting: VecDeque<Vec<u8>>,
    /// So many wait at most.
    pub(super) most_waiting: usize,
    /// The protocol can refuse a message, and is always read: the line may be answering us. The other kind is not
    /// read while so many wait.
    can_refuse: bool,
    /// The transaction that has the line.
    pub(super) proximal: Option<Proximal>,
    /// It is to be closed as soon as all is written, and nothing is read any more.
    pub(super) leaving: bool,
    /// A device is closed then, whether it has sent all or not.
    pub(super) leave_until: Option<Instant>,
    /// Its end is awaited; what it still sends is thrown away.
    pub(super) hung_up: bool,
    pub(super) failed: Option<io::Error>,
    /// More can be read, and was not.
    unread: bool,
}

/// A message of the line on its way.
pub(super) struct Proximal {
    pub(super) request: Vec<u8>,
    pub(super) state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// With the destination of this token.
    Forwarded(usize),
    /// The reply is with the line.
    Replied(SendId),
}

impl Client {
    pub(super) fn new(
        connection: Connection<Medium>,
        name: String,
        spoke: u64,
        most_waiting: usize,
        can_refuse: bool,
    ) -> Client {
        Client {
            connection,
            name,
            spoke,
            waiting: VecDeque::new(),
            most_waiting,
            can_refuse,
            proximal: None,
            leaving: false,
            leave_until: None,
            hung_up: false,
            failed: None,
            unread: false,
        }
    }

    /// Reads, if what was read before has its place. A device whose client has gone is not read before that one's
    /// messages are served: what comes is from the next one.
    pub(super) fn read(&mut self, events: &mut EventLoop, buffer: &mut [u8], now: Instant) {
        if self.hung_up {
            return self.read_off(buffer);
        }
        if !self.may_read() {
            self.unread = true;
            return;
        }
        self.failed = self.connection.readable(events, buffer, now).err();
        // A pty that nobody has opened yet reads as ended, too.
        let counters = self.connection.link.counters();
        let silent = counters.bytes_in + counters.bytes_out == 0;
        if self.connection.has_ended() && silent && matches!(self.connection.stream(), Medium::Pty(_)) {
            self.connection.resume();
        }
    }

    fn read_off(&mut self, buffer: &mut [u8]) {
        let stream = self.connection.stream();
        let read = drain(stream, buffer, usize::MAX, |_| ControlFlow::Continue(()));
        if !matches!(read, Ok(Drained::WouldBlock)) {
            self.failed = Some(io::Error::other("the line was hung up"));
        }
    }

    /// Whether reading can go on that stopped before.
    pub(super) fn can_read_on(&mut self) -> bool {
        self.may_read() && std::mem::take(&mut self.unread)
    }

    fn may_read(&self) -> bool {
        let has_room = self.can_refuse || self.has_room();
        has_room && !self.leaving && !self.connection.has_ended()
    }

    /// Another message may wait.
    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < self.most_waiting
    }

    /// No message of it is under way.
    pub(super) fn is_served(&self) -> bool {
        self.proximal.is_none() && self.waiting.is_empty()
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.is_served() && self.connection.is_flushed()
    }

    /// A distal request can begin.
    pub(super) fn is_free(&self) -> bool {
        self.is_served() && !self.leaving && self.failed.is_none() && self.connection.link.is_idle()
    }
}
