//! How streams come about: listening sockets, and connections that we make.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream};
use protogen_sys::event_loop::{EventLoop, Interest};

use super::dial::{Dialled, Dialler};
use super::token::Owner;
use super::wire::is_the_peers;
use crate::backoff::Backoff;
use crate::config::Connection;
use crate::guard::Guard;
use crate::log;

/// The most connections accepted before other events have a turn.
const ACCEPT_TURN: usize = 256;
/// The pause after the system had no room for a connection.
const NO_ROOM: Duration = Duration::from_secs(1);

/// A socket connection of the configuration, with what was opened for it before it is served.
#[derive(Debug)]
pub(crate) struct Entrance {
    pub(crate) connection: Arc<Connection>,
    /// Bound and listening; none where we connect.
    pub(crate) listeners: Vec<std::net::TcpListener>,
    pub(crate) guard: Arc<Guard>,
}

/// A stream that has come about for a connection.
pub(super) struct Opened {
    /// The connection's number.
    pub(super) number: usize,
    pub(super) stream: TcpStream,
    /// Its address.
    pub(super) peer: String,
}

struct Door {
    connection: Arc<Connection>,
    guard: Arc<Guard>,
    redial: Backoff,
    /// It is served no longer.
    is_shut: bool,
}

/// The listening sockets and the connections in the making of one event loop. Connections have numbers in the order in which
/// they were added; none is used twice.
pub(super) struct Doors {
    doors: Vec<Door>,
    /// Each with its connection's number; `None` when closed.
    listeners: Vec<Option<(usize, TcpListener)>>,
    dialler: Dialler,
}

impl Doors {
    pub(super) fn new(events: &EventLoop) -> Doors {
        Doors { doors: Vec::new(), listeners: Vec::new(), dialler: Dialler::new(events.waker()) }
    }

    /// Adds a connection, and gives its number.
    pub(super) fn add(&mut self, entrance: Entrance, events: &EventLoop) -> io::Result<usize> {
        let Entrance { connection, listeners, guard } = entrance;
        let number = self.doors.len();
        self.doors.push(Door { connection, guard, redial: Backoff::default(), is_shut: false });
        for socket in listeners {
            let mut socket = TcpListener::from_std(socket);
            let token = Owner::Listener(self.listeners.len()).token();
            events.registry().register(&mut socket, token, Interest::READABLE)?;
            self.listeners.push(Some((number, socket)));
        }
        Ok(number)
    }

    /// Accepts nobody for this connection any more, and makes it no more.
    pub(super) fn shut_one(&mut self, number: usize, events: &mut EventLoop) {
        if let Some(door) = self.doors.get_mut(number) {
            door.is_shut = true;
        }
        events.clear_timer(Owner::Dial(number).token());
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if let Some((_, mut socket)) = listener.take_if(|(of, _)| *of == number) {
                // It is closed in a moment anyway.
                let _ = events.registry().deregister(&mut socket);
                events.forget(Owner::Listener(index).token());
            }
        }
    }

    /// Accepts who waits at a listening socket.
    pub(super) fn accept(
        &mut self,
        listener: usize,
        events: &mut EventLoop,
        now: Instant,
        mut open: impl FnMut(Opened, &mut EventLoop),
    ) {
        let Some(Some((number, socket))) = self.listeners.get(listener) else { return };
        let Door { connection, guard, .. } = &self.doors[*number];
        for _ in 0..ACCEPT_TURN {
            match socket.accept() {
                Ok((_, peer))
                    if connection.debug.drop > 0 && fastrand::u8(0..100) < connection.debug.drop =>
                {
                    log::info!(&connection.name, "{peer}: cut, as debug says");
                }
                Ok((_, peer)) if !guard.admits(peer.ip()) => refused(connection, peer.ip()),
                Ok((stream, peer)) => {
                    open(Opened { number: *number, stream, peer: peer.to_string() }, events);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    // Out of file descriptors, as a rule: the peer waits in the system's queue.
                    log::error!(&connection.name, "cannot accept a connection: {error}");
                    events.set_timer(Owner::Listener(listener).token(), now + NO_ROOM);
                    return;
                }
            }
        }
        events.revisit(Owner::Listener(listener).token());
    }

    /// Accepts nobody any more.
    pub(super) fn shut(&mut self, events: &EventLoop) {
        for (_, socket) in self.listeners.iter_mut().flatten() {
            // It is closed in a moment anyway.
            let _ = events.registry().deregister(socket);
        }
    }

    /// Begins to connect; [`dialled`](Doors::dialled) has the result.
    pub(super) fn dial(&self, number: usize) {
        let door = self.doors.get(number).filter(|door| !door.is_shut);
        if let Some(socket) = door.and_then(|door| door.connection.kind.socket()) {
            self.dialler.dial(number, socket.place(), socket.timeout);
        }
    }

    /// Connects after a pause.
    pub(super) fn dial_after(&self, number: usize, pause: Duration, events: &mut EventLoop, now: Instant) {
        match pause {
            Duration::ZERO => self.dial(number),
            pause => events.set_timer(Owner::Dial(number).token(), now + pause),
        }
    }

    /// Connects once more, after a pause that grows from attempt to attempt; says how long it is.
    pub(super) fn dial_again(&mut self, number: usize, events: &mut EventLoop, now: Instant) -> Duration {
        let pause = self.doors[number].redial.pause();
        if !self.doors[number].is_shut {
            self.dial_after(number, pause, events, now);
        }
        pause
    }

    /// The connection is of use: the next pause is a short one again.
    pub(super) fn is_of_use(&mut self, number: usize) {
        self.doors[number].redial.reset();
    }

    /// What has become of an attempt to connect, and for which connection.
    pub(super) fn dialled(&mut self) -> Option<(usize, Result<Opened, String>)> {
        loop {
            let Dialled { connection: number, stream } = self.dialler.result()?;
            if self.doors.get(number).is_none_or(|door| door.is_shut) {
                // Nobody wants it any more.
                continue;
            }
            let opened = stream.and_then(|stream| {
                stream.set_nonblocking(true).map_err(|error| error.to_string())?;
                let peer = stream.peer_addr().map_err(|error| error.to_string())?.to_string();
                Ok(Opened { number, stream: TcpStream::from_std(stream), peer })
            });
            return Some((number, opened));
        }
    }
}

fn refused(connection: &Connection, peer: IpAddr) {
    log::error!(&connection.name, "{peer}: refused, it is not in allow");
}
