//! The media a line can have, as one stream.

use std::io::{self, Read, Write};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use protogen_sys::connection::Stream;
use protogen_sys::tty::{Pty, Tty};

#[derive(Debug)]
pub(crate) enum Medium {
    Tcp(TcpStream),
    Unix(UnixStream),
    Pty(Pty),
    Tty(Tty),
}

/// Does the same with whatever it is.
macro_rules! each {
    ($medium:expr, $stream:ident => $call:expr) => {
        match $medium {
            Medium::Tcp($stream) => $call,
            Medium::Unix($stream) => $call,
            Medium::Pty($stream) => $call,
            Medium::Tty($stream) => $call,
        }
    };
}

impl Read for Medium {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        each!(self, stream => stream.read(buffer))
    }
}

impl Write for Medium {
    /// To a pty that nobody has open nothing is written: the next client would take it for an answer to itself.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.has_peer() {
            return Ok(bytes.len());
        }
        each!(self, stream => stream.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        each!(self, stream => stream.flush())
    }
}

impl Source for Medium {
    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        each!(self, stream => stream.register(registry, token, interest))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        each!(self, stream => stream.reregister(registry, token, interest))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        each!(self, stream => stream.deregister(registry))
    }
}

impl Stream for Medium {
    fn finish(&mut self) -> io::Result<()> {
        each!(self, stream => stream.finish())
    }
}

impl Medium {
    /// A line of which there is one, and which stays when a client goes.
    pub(crate) fn is_device(&self) -> bool {
        matches!(self, Medium::Pty(_) | Medium::Tty(_))
    }

    /// Whether anybody is there; a serial line does not tell.
    pub(crate) fn has_peer(&self) -> bool {
        match self {
            Medium::Pty(pty) => pty.has_client(),
            _ => true,
        }
    }

    /// Whether the device has sent all it was given; from a pty that is hung up nothing more can be read.
    pub(crate) fn is_sent(&self) -> bool {
        match self {
            Medium::Tty(tty) => tty.unsent() == 0,
            Medium::Pty(pty) => pty.is_read().unwrap_or(true),
            _ => true,
        }
    }
}
