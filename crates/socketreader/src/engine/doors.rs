//! How streams come about: listening sockets, and connections that we make.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use protogen_sys::event_loop::{EventLoop, Interest};

use super::dial::{Dialled, Dialler};
use super::token::Owner;
use super::wire::is_the_peers;
use crate::backoff::Backoff;
use crate::config::Config;
use crate::log;

/// The most connections accepted before other events have a turn.
const ACCEPT_TURN: usize = 256;
/// The pause after the system had no room for a connection.
const NO_ROOM: Duration = Duration::from_secs(1);

/// A listening socket, bound before anything else was started, and which connection of the configuration it belongs to.
pub(crate) struct Listener {
    pub(crate) connection: usize,
    pub(crate) socket: std::net::TcpListener,
}

/// A stream that has come about for a connection of the configuration.
pub(super) struct Opened {
    pub(super) connection: usize,
    pub(super) stream: TcpStream,
    /// Its address.
    pub(super) peer: String,
}

/// The listening sockets and the connections in the making of one event loop.
pub(super) struct Doors {
    config: Arc<Config>,
    listeners: Vec<(usize, TcpListener)>,
    dialler: Dialler,
    redial: Vec<Backoff>,
}

impl Doors {
    pub(super) fn new(
        config: Arc<Config>,
        listeners: Vec<Listener>,
        events: &EventLoop,
    ) -> io::Result<Doors> {
        let mut doors = Doors {
            redial: vec![Backoff::default(); config.connections.len()],
            config,
            listeners: Vec::new(),
            dialler: Dialler::new(events.waker()),
        };
        for Listener { connection, socket } in listeners {
            let mut socket = TcpListener::from_std(socket);
            let token = Owner::Listener(doors.listeners.len()).token();
            events.registry().register(&mut socket, token, Interest::READABLE)?;
            doors.listeners.push((connection, socket));
        }
        Ok(doors)
    }

    /// Accepts who waits at a listening socket.
    pub(super) fn accept(
        &mut self,
        number: usize,
        events: &mut EventLoop,
        now: Instant,
        mut open: impl FnMut(Opened, &mut EventLoop),
    ) {
        let Some((connection, socket)) = self.listeners.get(number) else { return };
        let settings = &self.config.connections[*connection];
        for _ in 0..ACCEPT_TURN {
            match socket.accept() {
                Ok((_, peer)) if settings.debug.drop > 0 && fastrand::u8(0..100) < settings.debug.drop => {
                    log::info!(&settings.name, "{peer}: cut, as debug says");
                }
                Ok((stream, peer)) => {
                    open(Opened { connection: *connection, stream, peer: peer.to_string() }, events);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    // Out of file descriptors, as a rule: the peer waits in the system's queue.
                    log::error!(&settings.name, "cannot accept a connection: {error}");
                    events.set_timer(Owner::Listener(number).token(), now + NO_ROOM);
                    return;
                }
            }
        }
        events.revisit(Owner::Listener(number).token());
    }

    /// Accepts nobody any more.
    pub(super) fn shut(&mut self, events: &EventLoop) {
        for (_, socket) in &mut self.listeners {
            // It is closed in a moment anyway.
            let _ = events.registry().deregister(socket);
        }
    }

    /// Begins to connect; [`dialled`](Doors::dialled) has the result.
    pub(super) fn dial(&self, connection: usize) {
        let connection_of = self.config.connections.get(connection);
        if let Some(socket) = connection_of.and_then(|connection| connection.kind.socket()) {
            self.dialler.dial(connection, socket.place(), socket.timeout);
        }
    }

    /// Connects after a pause.
    pub(super) fn dial_after(
        &self,
        connection: usize,
        pause: Duration,
        events: &mut EventLoop,
        now: Instant,
    ) {
        match pause {
            Duration::ZERO => self.dial(connection),
            pause => events.set_timer(Owner::Dial(connection).token(), now + pause),
        }
    }

    /// Connects once more, after a pause that grows from attempt to attempt; says how long it is.
    pub(super) fn dial_again(&mut self, connection: usize, events: &mut EventLoop, now: Instant) -> Duration {
        let pause = self.redial[connection].pause();
        self.dial_after(connection, pause, events, now);
        pause
    }

    /// The connection is of use: the next pause is a short one again.
    pub(super) fn is_of_use(&mut self, connection: usize) {
        self.redial[connection].reset();
    }

    /// What has become of an attempt to connect, and for which connection.
    pub(super) fn dialled(&mut self) -> Option<(usize, Result<Opened, String>)> {
        let Dialled { connection, stream } = self.dialler.result()?;
        let opened = stream.and_then(|stream| {
            stream.set_nonblocking(true).map_err(|error| error.to_string())?;
            let peer = stream.peer_addr().map_err(|error| error.to_string())?.to_string();
            Ok(Opened { connection, stream: TcpStream::from_std(stream), peer })
        });
        Some((connection, opened))
    }
}
