//! A stream with a protocol machine on it, in an event loop: TCP, UNIX sockets and serial lines alike.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::ops::ControlFlow;
use std::time::Instant;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use protogen_core::llp::{Event, Link};

use crate::event_loop::{Drained, EventLoop, Interest, Token, drain, push};

/// How much is read from one connection before the others have a turn, in bytes.
const TURN: usize = 256 << 10;
/// Written bytes are kept until half the buffer is theirs.
const COMPACT: usize = 64 << 10;

/// What bytes can cross without waiting.
pub trait Stream: Read + Write + Source {
    /// Says once that nothing more will be written, where the medium can say so.
    ///
    /// # Errors
    /// What the system says.
    fn finish(&mut self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

impl Stream for UnixStream {
    fn finish(&mut self) -> io::Result<()> {
        self.shutdown(Shutdown::Write)
    }
}

/// A stream and its machine.
///
/// After whatever happened, call [`next`](Connection::next) until there is nothing more, then
/// [`flush`](Connection::flush). What waits to be written is bounded by the machine: it takes no more than its own
/// settings allow.
pub struct Connection<S = TcpStream> {
    stream: S,
    /// The machine.
    pub link: Box<dyn Link>,
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
    dialogue: Option<String>,
}

impl<S> fmt::Debug for Connection<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("token", &self.token).finish_non_exhaustive()
    }
}

impl<S: Stream> Connection<S> {
    /// Takes a stream that does not block into the loop under `token`, whose timer becomes the machine's.
    ///
    /// # Errors
    /// When the stream cannot be registered.
    pub fn new(stream: S, link: Box<dyn Link>, token: Token, events: &EventLoop) -> io::Result<Self> {
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
            dialogue: None,
        };
        events.registry().register(&mut connection.stream, token, Interest::READABLE)?;
        Ok(connection)
    }

    /// Writes every piece read or written to the log at level debug, under this name. The dialogue of a line holds
    /// patient data.
    pub fn log_dialogue(&mut self, name: &str) {
        self.dialogue = Some(name.to_owned());
    }

    /// The stream.
    pub fn stream(&mut self) -> &mut S {
        &mut self.stream
    }

    /// Reads what there is and feeds the machine; false if there was nothing.
    ///
    /// # Errors
    /// What the system says; the connection is of no more use.
    pub fn readable(&mut self, events: &mut EventLoop, buffer: &mut [u8], now: Instant) -> io::Result<bool> {
        let Connection { stream, link, dialogue, .. } = self;
        let mut came = false;
        let drained = drain(stream, buffer, TURN, |bytes| {
            came = true;
            if let Some(name) = dialogue {
                log::debug!("{name}: < {}", Shown(bytes));
            }
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
    #[allow(clippy::should_implement_trait)] // it may have more after a `None`
    pub fn next(&mut self) -> Option<Event> {
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
    pub fn settle(&mut self, now: Instant) -> bool {
        let tell = self.peer_ended && !self.told_end;
        if tell {
            self.told_end = true;
            self.link.handle_eof(now);
        }
        tell
    }

    /// Nothing more can come or go.
    #[must_use]
    pub fn is_over(&self) -> bool {
        (self.over || self.told_end) && self.out.is_empty() && !self.finish
    }

    /// The machine has ended, and all that it had to say is written.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.over && self.out.is_empty() && !self.finish
    }

    /// The peer will send no more.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.peer_ended
    }

    /// Takes the end back that was read, for a line that has an end whenever nobody is on it.
    pub fn resume(&mut self) {
        self.peer_ended = false;
    }

    /// Writes what the machine wants written, and sets the machine's timer.
    ///
    /// # Errors
    /// What the system says; the connection is of no more use.
    pub fn flush(&mut self, events: &mut EventLoop) -> io::Result<()> {
        let before = self.out.len();
        self.link.poll_transmit(&mut self.out);
        if let Some(name) = self.dialogue.as_ref().filter(|_| self.out.len() > before) {
            log::debug!("{name}: > {}", Shown(&self.out[before..]));
        }
        self.collect();
        self.written += push(&mut self.stream, &self.out[self.written..])?;
        let done = self.written == self.out.len();
        if done || self.written > COMPACT.max(self.out.len() / 2) {
            self.out.drain(..self.written);
            self.written = 0;
        }
        if done && self.finish {
            self.finish = false;
            self.stream.finish()?;
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
    #[must_use]
    pub fn is_flushed(&self) -> bool {
        self.out.is_empty()
    }

    /// Takes the connection out of the loop and gives the stream back; dropped, it is closed.
    pub fn close(mut self, events: &mut EventLoop) -> S {
        // A stream that cannot be taken out is closed all the same.
        let _ = events.registry().deregister(&mut self.stream);
        events.forget(self.token);
        self.stream
    }
}

/// Bytes for the log: the control characters of the line protocols by their names.
struct Shown<'a>(&'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 32] = [
            "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO",
            "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS",
            "GS", "RS", "US",
        ];
        for byte in self.0 {
            match NAMES.get(usize::from(*byte)) {
                Some(name) => write!(f, "<{name}>")?,
                None if byte.is_ascii_graphic() || *byte == b' ' => write!(f, "{}", char::from(*byte))?,
                None => write!(f, "<{byte:02X}>")?,
            }
        }
        Ok(())
    }
}
