//! One transaction with a program that serves ILLP: a connection, the message, the answer. Blocks; every wait ends.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use protogen_core::llp::illp::{Client, Settings};
use protogen_core::llp::{Event, Failure, Kind, Link, SendError};

use crate::services::{self, Place, ServiceError};

/// How long a server may take to close a connection without a message.
const PROBE: Duration = Duration::from_secs(2);
/// The shortest time that can be waited: the system takes none for no limit.
const LEAST: Duration = Duration::from_millis(1);

/// A server, and how long it is waited for.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it listens.
    pub place: Place,
    /// The connection id it gets; empty for none.
    pub token: Vec<u8>,
    /// For finding its addresses and connecting to one of them.
    pub connect: Duration,
    /// For the whole exchange after connecting.
    pub answer: Duration,
    /// An answer that takes longer may still come, or its server be dead: each time so long has passed it is asked
    /// whether it serves, by a connection without a message, which a server closes. Not for one that serves a single
    /// connection at a time.
    pub probe: Option<Duration>,
    /// The longest message and the longest answer, in bytes.
    pub max_message: usize,
}

/// An exchange without an answer. Whether the server has the message is not known, unless [`Error::was_sent`] is false.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The message is none that ILLP can carry.
    Unsendable(SendError),
    /// The server cannot be reached.
    Unreachable(ServiceError),
    /// The name server did not say in time where the server is.
    NoAddress {
        /// The server.
        place: Place,
        /// How long it was waited for.
        after: Duration,
    },
    /// The connection broke.
    Lost {
        /// The server.
        place: Place,
        /// What the system said.
        source: io::Error,
    },
    /// It ended without an answer.
    Failed {
        /// The server.
        place: Place,
        /// In which way.
        why: Failure,
    },
    /// No answer came, and it does not serve other connections either.
    Dead {
        /// The server.
        place: Place,
        /// How long it was waited for.
        after: Duration,
    },
    /// Nothing came in time.
    Silent {
        /// The server.
        place: Place,
        /// How long it was waited for.
        after: Duration,
    },
}

impl Error {
    /// Whether the server may have the message.
    #[must_use]
    pub fn was_sent(&self) -> bool {
        !matches!(self, Error::Unsendable(_) | Error::Unreachable(_) | Error::NoAddress { .. })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Unsendable(error) => error.fmt(f),
            Error::Unreachable(error) => error.fmt(f),
            Error::NoAddress { place, after } => {
                write!(f, "{place}: its address is not known after {} s", after.as_secs_f64())
            }
            Error::Lost { place, source } => write!(f, "{place}: {source}"),
            Error::Failed { place, why: Failure::Disconnected } => {
                write!(f, "{place}: it closed the connection without an answer")
            }
            Error::Failed { place, why } => write!(f, "{place}: {why}"),
            Error::Dead { place, after } => {
                write!(f, "{place}: no answer after {:.1} s, and it serves nobody else", after.as_secs_f64())
            }
            Error::Silent { place, after } => {
                write!(f, "{place}: no answer within {} s", after.as_secs_f64())
            }
        }
    }
}

impl std::error::Error for Error {}

impl Server {
    /// Sends a message and waits for the answer.
    ///
    /// # Errors
    /// Why there is no answer.
    pub fn exchange(&self, message: &[u8]) -> Result<Vec<u8>, Error> {
        let mut link = self.begin(message).map_err(Error::Unsendable)?;
        let mut out = Vec::new();
        link.poll_transmit(&mut out);
        let mut stream = self.connect()?;
        let end = Instant::now() + self.answer;
        self.write(&mut stream, &out, end)?;
        self.read(&mut stream, &mut link, end)
    }

    /// Whether ILLP can carry this message at all.
    ///
    /// # Errors
    /// Why not; trying again does not help.
    pub fn can_send(&self, message: &[u8]) -> Result<(), SendError> {
        self.begin(message).map(drop)
    }

    /// The client's half of an exchange, with the message in it.
    fn begin(&self, message: &[u8]) -> Result<Client, SendError> {
        let settings =
            Settings { token: self.token.clone(), max_message: self.max_message, idle_timeout: self.answer };
        let mut link = Client::new(settings);
        link.send(message, Kind::Request, Instant::now())?;
        Ok(link)
    }

    /// The addresses are looked up on a thread: a name server that is gone may take its time.
    fn connect(&self) -> Result<TcpStream, Error> {
        let end = Instant::now() + self.connect;
        let (sender, found) = channel();
        let place = self.place.clone();
        thread::spawn(move || sender.send(place.to_connect()));
        match found.recv_timeout(self.connect) {
            Ok(found) => connect_to(&found.map_err(Error::Unreachable)?, end),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Err(Error::NoAddress { place: self.place.clone(), after: self.connect })
            }
        }
    }

    /// Whether the server at this address closes a connection without a message, as it must.
    fn serves(address: SocketAddr) -> bool {
        let end = Instant::now() + PROBE;
        let asked = TcpStream::connect_timeout(&address, PROBE).and_then(|mut stream| {
            stream.shutdown(Shutdown::Write)?;
            let left = end.saturating_duration_since(Instant::now()).max(LEAST);
            stream.set_read_timeout(Some(left))?;
            stream.read(&mut [0; 64])
        });
        match asked {
            Ok(_) => true,
            // Whoever resets a connection is there.
            Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
        }
    }

    fn write(&self, stream: &mut TcpStream, mut out: &[u8], end: Instant) -> Result<(), Error> {
        while !out.is_empty() {
            stream.set_write_timeout(Some(self.left(end)?)).map_err(self.lost())?;
            match stream.write(out) {
                Ok(count) => out = &out[count..],
                Err(error) if is_momentary(&error) => {}
                Err(error) => return Err(self.lost()(error)),
            }
        }
        stream.shutdown(Shutdown::Write).map_err(self.lost())
    }

    fn read(&self, stream: &mut TcpStream, link: &mut Client, end: Instant) -> Result<Vec<u8>, Error> {
        let mut buffer = vec![0; 16 << 10];
        let begun = Instant::now();
        let mut look = self.probe.map(|probe| begun + probe);
        loop {
            while let Some(event) = link.poll_event() {
                match event {
                    Event::Message { message, .. } => return Ok(message),
                    Event::Failed(_, why) => return Err(Error::Failed { place: self.place.clone(), why }),
                    _ => {}
                }
            }
            let left = self.left(end)?;
            let until_look =
                look.map_or(left, |look| look.saturating_duration_since(Instant::now()).max(LEAST));
            stream.set_read_timeout(Some(left.min(until_look))).map_err(self.lost())?;
            match stream.read(&mut buffer) {
                Ok(0) => link.handle_eof(Instant::now()),
                Ok(count) => link.handle_input(&buffer[..count], Instant::now()),
                Err(error) if is_momentary(&error) => {
                    if look.is_some_and(|look| Instant::now() >= look) {
                        if !Server::serves(stream.peer_addr().map_err(self.lost())?) {
                            return Err(Error::Dead { place: self.place.clone(), after: begun.elapsed() });
                        }
                        look = self.probe.map(|probe| Instant::now() + probe);
                    }
                }
                Err(error) => return Err(self.lost()(error)),
            }
        }
    }

    /// The time left until then.
    fn left(&self, end: Instant) -> Result<Duration, Error> {
        match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(Error::Silent { place: self.place.clone(), after: self.answer }),
            left => Ok(left),
        }
    }

    fn lost(&self) -> impl Fn(io::Error) -> Error {
        |source| Error::Lost { place: self.place.clone(), source }
    }
}

/// Each address gets an equal share of the time that is left.
fn connect_to(addresses: &[SocketAddr], end: Instant) -> Result<TcpStream, Error> {
    let mut outcome = services::connect(&[], LEAST);
    for (n, address) in addresses.iter().enumerate() {
        let others = u32::try_from(addresses.len() - n).unwrap_or(u32::MAX);
        let share = end.saturating_duration_since(Instant::now()) / others;
        outcome = services::connect(&[*address], share.max(LEAST));
        if outcome.is_ok() {
            break;
        }
    }
    outcome.map_err(Error::Unreachable)
}

fn is_momentary(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}
