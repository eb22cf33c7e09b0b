//! A TCP connection with what waits to be written to it.

use std::io;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use protogen_sys::event_loop::{EventLoop, Interest, Token, push};

/// Written bytes are kept until half the buffer is theirs.
const COMPACT: usize = 64 << 10;
/// How often a wire that is slow on purpose writes.
const SLOW_TURN: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    token: Token,
    pub(super) out: Vec<u8>,
    written: usize,
    wants_room: bool,
    /// Bytes a second, where `debug` says so, and when the next are due.
    slow: Option<u32>,
    next_turn: Option<Instant>,
}

impl Wire {
    /// Takes a connected stream into the loop.
    pub(super) fn new(
        mut stream: TcpStream,
        token: Token,
        slow: Option<u32>,
        events: &EventLoop,
    ) -> io::Result<Wire> {
        stream.set_nodelay(true)?;
        // A peer that vanished without a word is found out within the system's time.
        socket2::SockRef::from(&stream).set_keepalive(true)?;
        events.registry().register(&mut stream, token, Interest::READABLE)?;
        Ok(Wire { stream, token, out: Vec::new(), written: 0, wants_room: false, slow, next_turn: None })
    }

    /// How many bytes wait to be written.
    pub(super) fn backlog(&self) -> usize {
        self.out.len() - self.written
    }

    /// Writes what the system takes; true when nothing is left.
    pub(super) fn flush(&mut self, events: &mut EventLoop, now: Instant) -> io::Result<bool> {
        let end = self.end_of_turn(now);
        self.written += push(&mut self.stream, &self.out[self.written..end])?;
        let blocked = self.written < end;
        let done = self.written == self.out.len();
        if done || self.written > COMPACT.max(self.out.len() / 2) {
            self.out.drain(..self.written);
            self.out.shrink_to(COMPACT);
            self.written = 0;
        }
        if blocked != self.wants_room {
            self.wants_room = blocked;
            let both = Interest::READABLE | Interest::WRITABLE;
            let interest = if blocked { both } else { Interest::READABLE };
            events.registry().reregister(&mut self.stream, self.token, interest)?;
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

    /// When a slow wire goes on.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next_turn.filter(|_| self.backlog() > 0)
    }

    /// Takes the stream out of the loop and closes it.
    pub(super) fn close(mut self, events: &mut EventLoop) {
        // A stream that cannot be taken out is closed all the same.
        let _ = events.registry().deregister(&mut self.stream);
        events.forget(self.token);
    }
}

/// Errors of accept(2) that concern only the connection that was to be accepted.
pub(super) fn is_the_peers(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionReset, Interrupted};
    matches!(error.kind(), ConnectionAborted | ConnectionReset | Interrupted)
}
