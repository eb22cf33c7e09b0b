//! A TCP connection with a protocol machine on it, in an event loop.

use mio::net::TcpStream;
use protogen_core::llp::{Event, Link};
use protogen_sys::event_loop::{Drained, EventLoop, Interest, Token, drain, push};
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::time::Instant;

/// How much is read from one connection before the others have a turn.
const TURN: usize = 256 << 10;
/// Written bytes are kept until half the buffer is theirs.
const COMPACT: usize = 64 << 10;

pub(crate) struct Connection {
    stream: TcpStream,
    pub(crate) link: Box<dyn Link>,
    token: Token,
    happened: VecDeque<Event>,
    out: Vec<u8>,
    written: usize,
    finish: bool,
    wants_room: bool,
    /// The peer will send no more; the machine was told; the machine has ended.
    peer_ended: bool,
    told_end: bool,
    over: bool,
}

impl Connection {
    /// Takes a connected stream into the loop under `token`.
    pub(crate) fn new(
        stream: TcpStream,
        link: Box<dyn Link>,
        token: Token,
        events: &EventLoop,
    ) -> io::Result<Self> {
        let mut connection = Connection {
            stream,
            link,
            token,
            happened: VecDeque::new(),
            out: Vec::new(),
            written: 0,
            finish: false,
            wants_room: false,
            peer_ended: false,
            told_end: false,
            over: false,
        };
        connection.stream.set_nodelay(true)?;
        events.registry().register(&mut connection.stream, token, Interest::READABLE)?;
        Ok(connection)
    }

    /// Reads what there is and feeds the machine; false if there was nothing.
    pub(crate) fn readable(
        &mut self,
        events: &mut EventLoop,
        buffer: &mut [u8],
        now: Instant,
    ) -> io::Result<bool> {
        let link = &mut self.link;
        let mut came = false;
        let drained = drain(&mut self.stream, buffer, TURN, |bytes| {
            came = true;
            link.handle_input(bytes, now);
            ControlFlow::Continue(())
        })?;
        match drained {
            Drained::WouldBlock => {}
            Drained::Stopped => events.revisit(self.token),
            Drained::End => self.peer_ended = true,
        }
        Ok(came || self.peer_ended)
    }

    /// What happened, until there is nothing more.
    pub(crate) fn next(&mut self) -> Option<Event> {
        self.collect();
        self.happened.pop_front()
    }

    /// Takes what concerns the connection itself, and keeps the rest for [`next`](Self::next).
    fn collect(&mut self) {
        while let Some(event) = self.link.poll_event() {
            match event {
                Event::FinishOutput => self.finish = true,
                Event::Closed => self.over = true,
                event => self.happened.push_back(event),
            }
        }
    }

    /// Tells the machine that the peer will send no more; to be called when what came before is answered, for a peer
    /// may close its half right behind its message. True if the machine may have something to say to it.
    pub(crate) fn settle(&mut self, now: Instant) -> bool {
        let tell = self.peer_ended && !self.told_end;
        if tell {
            self.told_end = true;
            self.link.handle_eof(now);
        }
        tell
    }

    /// Nothing more can come or go.
    pub(crate) fn is_over(&self) -> bool {
        (self.over || self.told_end) && self.out.is_empty() && !self.finish
    }

    /// The peer will send no more.
    pub(crate) fn has_ended(&self) -> bool {
        self.peer_ended
    }

    /// Writes what the machine wants written, and sets the machine's timer.
    pub(crate) fn flush(&mut self, events: &mut EventLoop) -> io::Result<()> {
        self.link.poll_transmit(&mut self.out);
        self.collect();
        self.written += push(&mut self.stream, &self.out[self.written..])?;
        let done = self.written == self.out.len();
        if done || self.written > COMPACT.max(self.out.len() / 2) {
            self.out.drain(..self.written);
            self.written = 0;
        }
        if done && self.finish {
            self.finish = false;
            self.stream.shutdown(Shutdown::Write)?;
        }
        if done == self.wants_room {
            self.wants_room = !done;
            let both = Interest::READABLE | Interest::WRITABLE;
            let interest = if self.wants_room { both } else { Interest::READABLE };
            events.registry().reregister(&mut self.stream, self.token, interest)?;
        }
        events.update_timer(self.token, self.link.poll_timeout());
        Ok(())
    }

    /// Everything that was to be written has been given to the system.
    pub(crate) fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes the connection out of the loop and closes it.
    pub(crate) fn close(mut self, events: &mut EventLoop) {
        // A stream that cannot be taken out is closed all the same.
        let _ = events.registry().deregister(&mut self.stream);
        events.forget(self.token);
    }
}
