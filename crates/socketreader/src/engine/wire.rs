//! A connection to a peer with what waits to be written to it.

use std::io;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use protogen_sys::event_loop::{Drained, EventLoop, Interest, Token};
use socket2::{SockRef, TcpKeepalive};

use crate::config::{Connection, Socket};
use crate::guard::Guard;
use crate::tls::Channel;

/// Written bytes are kept until half the buffer is theirs.
const COMPACT: usize = 64 << 10;
/// How often a wire that is slow on purpose writes.
const SLOW_TURN: Duration = Duration::from_millis(100);
/// The longest that a TLS handshake may take; `timeout`, where that is shorter.
const HANDSHAKE: Duration = Duration::from_secs(20);
/// How often the system asks a silent peer, and how many times, before it is given up.
const PROBE_EVERY: Duration = Duration::from_secs(15);
const PROBES: u32 = 4;

/// How a connection of the configuration deals with its sockets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Manners {
    /// Bytes a second, where `debug` says so.
    slow: Option<u32>,
    keepalive: Duration,
    handshake: Duration,
}

impl Manners {
    pub(super) fn of(connection: &Connection, socket: &Socket) -> Manners {
        Manners {
            slow: connection.debug.slow,
            keepalive: socket.keepalive,
            handshake: socket.timeout.min(HANDSHAKE),
        }
    }
}

#[derive(Debug)]
pub(super) struct Wire {
    channel: Channel,
    token: Token,
    pub(super) out: Vec<u8>,
    written: usize,
    wants_room: bool,
    /// Bytes a second, where `debug` says so, and when the next are due.
    slow: Option<u32>,
    next_turn: Option<Instant>,
    /// When the handshake must be over, while there is one.
    handshake: Option<Instant>,
}

impl Wire {
    /// Takes a connected stream into the loop.
    pub(super) fn new(
        stream: TcpStream,
        token: Token,
        manners: Manners,
        guard: &Guard,
        events: &EventLoop,
    ) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        if !manners.keepalive.is_zero() {
            // A peer that vanished without a word is found out.
            let keepalive = TcpKeepalive::new()
                .with_time(manners.keepalive.max(Duration::from_secs(1)))
                .with_interval(PROBE_EVERY)
                .with_retries(PROBES);
            SockRef::from(&stream).set_tcp_keepalive(&keepalive)?;
        }
        let tls = guard.tls().map(|context| context.begin()).transpose().map_err(io::Error::other)?;
        let handshake = tls.as_ref().map(|_| Instant::now() + manners.handshake);
        let mut channel = Channel::new(stream, tls);
        events.registry().register(channel.socket(), token, Interest::READABLE)?;
        Ok(Wire {
            channel,
            token,
            out: Vec::new(),
            written: 0,
            wants_room: false,
            slow: manners.slow,
            next_turn: None,
            handshake,
        })
    }

    /// Reads what there is, until it would block or `limit` bytes were read.
    pub(super) fn drain(
        &mut self,
        buffer: &mut [u8],
        limit: usize,
        take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> io::Result<Drained> {
        self.channel.drain(buffer, limit, take)
    }

    /// Whether messages can cross.
    pub(super) fn is_open(&self) -> bool {
        self.channel.is_open()
    }

    /// Whether the handshake has taken too long.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.handshake.is_some_and(|due| due <= now) && !self.channel.is_open()
    }

    /// How many bytes wait to be written; TLS may make it one more.
    pub(super) fn backlog(&self) -> usize {
        self.out.len() - self.written + usize::from(self.channel.has_unsent())
    }

    /// Writes what the system takes; true when nothing is left.
    pub(super) fn flush(&mut self, events: &EventLoop, now: Instant) -> io::Result<bool> {
        let end = self.end_of_turn(now);
        self.written += self.channel.push(&self.out[self.written..end])?;
        let is_open = self.channel.is_open();
        if is_open {
            self.handshake = None;
        }
        // What waits for the end of a handshake waits for bytes to read.
        let blocked = self.channel.has_unsent() || (self.written < end && is_open);
        let done = self.written == self.out.len() && !self.channel.has_unsent();
        if self.written == self.out.len() || self.written > COMPACT.max(self.out.len() / 2) {
            self.out.drain(..self.written);
            self.out.shrink_to(COMPACT);
            self.written = 0;
        }
        if blocked != self.wants_room {
            self.wants_room = blocked;
            let both = Interest::READABLE | Interest::WRITABLE;
            let interest = if blocked { both } else { Interest::READABLE };
            events.registry().reregister(self.channel.socket(), self.token, interest)?;
        }
        Ok(done)
    }

    /// Up to where may be written now.
    fn end_of_turn(&mut self, now: Instant) -> usize {
        let Some(rate) = self.slow else { return self.out.len() };
        if self.next_turn.is_some_and(|due| now < due) {
            return self.written;
        }
        let share = (u64::from(rate) * SLOW_TURN.as_millis() as u64 / 1000).max(1);
        self.next_turn = Some(now + SLOW_TURN);
        self.out.len().min(self.written + share as usize)
    }

    /// When a slow wire goes on, or a handshake has taken too long.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let slow = self.next_turn.filter(|_| self.out.len() > self.written);
        slow.into_iter().chain(self.handshake).min()
    }

    /// Says that nothing more will be written.
    pub(super) fn finish(&mut self) {
        self.channel.finish();
    }

    /// Takes the stream out of the loop and closes it.
    pub(super) fn close(mut self, events: &mut EventLoop) {
        if self.channel.is_open() && self.backlog() == 0 {
            self.channel.finish();
        }
        // A stream that cannot be taken out is closed all the same.
        let _ = events.registry().deregister(self.channel.socket());
        events.forget(self.token);
    }
}

/// Errors of accept(2) that concern only the connection that was to be accepted.
pub(super) fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
