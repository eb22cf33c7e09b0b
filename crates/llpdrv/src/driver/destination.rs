//! TO: one ILLP connection a message.

use std::io;
use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use protogen_core::llp::{Event, Kind, Link, illp};
use protogen_sys::connection::Connection;
use protogen_sys::event_loop::{EventLoop, Interest, Token};

use super::Driver;
use crate::settings::Settings;

/// A message on its way to TO.
pub(super) struct Destination {
    /// The line client whose message it is.
    pub(super) client: usize,
    token: usize,
    request: Vec<u8>,
    addresses: Vec<SocketAddr>,
    /// The address that is tried now, or next.
    address: usize,
    retries: u32,
    state: State,
    /// The connection broke.
    broken: Option<io::Error>,
    settings: Settings,
}

enum State {
    /// Waits before the next attempt.
    Pausing,
    /// The connection is being made.
    Connecting(TcpStream),
    Connected(Connection<TcpStream>),
    /// No connection could be made; why the last attempt failed.
    Unreachable(String),
}

impl Destination {
    fn new(
        client: usize,
        token: usize,
        request: Vec<u8>,
        addresses: Vec<SocketAddr>,
        settings: Settings,
    ) -> Self {
        let (retries, state) = (settings.connect_retries, State::Pausing);
        Destination { client, token, request, addresses, address: 0, retries, state, broken: None, settings }
    }

    /// Nothing was sent yet: it can be given up without a doubt.
    pub(super) fn is_unsent(&self) -> bool {
        !matches!(self.state, State::Connected(_))
    }

    fn connect(&mut self, events: &mut EventLoop, now: Instant) {
        let address = self.addresses[self.address];
        let connecting = TcpStream::connect(address).and_then(|mut stream| {
            let both = Interest::READABLE | Interest::WRITABLE;
            events.registry().register(&mut stream, Token(self.token), both)?;
            Ok(stream)
        });
        match connecting {
            Ok(stream) => {
                self.state = State::Connecting(stream);
                events.set_timer(Token(self.token + 1), now + self.settings.connect_timeout);
            }
            Err(error) => self.not_connected(&error, events, now),
        }
    }

    /// The next address at once, and all of them again after a pause.
    fn not_connected(&mut self, error: &io::Error, events: &mut EventLoop, now: Instant) {
        let why = format!("{}: {error}", self.addresses[self.address]);
        log::debug!("not connected to {why}");
        self.address = (self.address + 1) % self.addresses.len();
        events.forget(Token(self.token));
        if self.address != 0 {
            return self.connect(events, now);
        }
        if self.retries == 0 {
            self.state = State::Unreachable(why);
            return events.clear_timer(Token(self.token + 1));
        }
        self.retries -= 1;
        self.state = State::Pausing;
        events.set_timer(Token(self.token + 1), now + self.settings.connect_pause);
    }

    /// The pause is over, or the connection took too long.
    pub(super) fn time_is_up(&mut self, events: &mut EventLoop, now: Instant) {
        match &self.state {
            State::Pausing => self.connect(events, now),
            State::Connecting(_) => {
                let error = io::Error::new(io::ErrorKind::TimedOut, "no connection in time");
                self.not_connected(&error, events, now);
            }
            _ => {}
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let State::Connected(connection) = &mut self.state {
            connection.link.handle_timeout(now);
        }
    }

    pub(super) fn read(&mut self, events: &mut EventLoop, buffer: &mut [u8], now: Instant) {
        if let State::Connected(connection) = &mut self.state {
            match connection.readable(events, buffer, now) {
                Ok(_) => drop(connection.settle(now)),
                // What came before is a part of a reply, and no reply.
                Err(error) => self.broken = Some(error),
            }
        }
    }

    /// The connection is made or has failed.
    pub(super) fn writable(&mut self, events: &mut EventLoop, now: Instant) {
        let State::Connecting(stream) = &mut self.state else { return };
        let failed = match stream.take_error() {
            Ok(error) => error,
            Err(error) => Some(error),
        };
        let failed = failed.or_else(|| stream.peer_addr().err());
        match failed {
            Some(error) if error.kind() == io::ErrorKind::NotConnected => {}
            Some(error) => self.not_connected(&error, events, now),
            None => self.connected(events, now),
        }
    }

    fn connected(&mut self, events: &mut EventLoop, now: Instant) {
        let State::Connecting(mut stream) = std::mem::replace(&mut self.state, State::Pausing) else {
            return;
        };
        events.clear_timer(Token(self.token + 1));
        let mut link = illp::Client::new(self.settings.illp_client());
        let sent = link.send(&self.request, Kind::Request, now).map_err(io::Error::other);
        let connection = sent.and_then(|_| {
            stream.set_nodelay(true)?;
            events.registry().deregister(&mut stream)?;
            Connection::new(stream, Box::new(link), Token(self.token), events)
        });
        match connection {
            Ok(connection) => self.state = State::Connected(connection),
            Err(error) => self.state = State::Unreachable(error.to_string()),
        }
    }
}

/// How the transaction with TO ended.
enum Outcome {
    Reply(Vec<u8>),
    Failed(String),
}

impl Driver {
    /// Sends a message to TO; gives the token of the connection.
    pub(super) fn forward(&mut self, client: usize, request: Vec<u8>, now: Instant) -> usize {
        let token = self.new_token();
        let settings = self.config.settings.clone();
        let mut destination = Destination::new(client, token, request, self.to.clone(), settings);
        destination.connect(&mut self.events, now);
        self.destinations.insert(token, destination);
        self.touched.insert(token);
        token
    }

    pub(super) fn settle_destination(&mut self, i: usize, now: Instant) {
        let Driver { destinations, events, .. } = self;
        let Some(destination) = destinations.get_mut(&i) else { return };
        let outcome = match &mut destination.state {
            State::Unreachable(why) => {
                log::error!("the destination cannot be reached: {why}");
                Some(Outcome::Failed("the destination cannot be reached".into()))
            }
            State::Connected(connection) => {
                let flushed = connection.flush(events).err();
                outcome(connection, destination.broken.take().or(flushed))
            }
            State::Pausing | State::Connecting(_) => None,
        };
        let Some(outcome) = outcome else { return };
        let client = destination.client;
        self.drop_destination(i);
        match outcome {
            Outcome::Reply(reply) => self.reply(client, &reply, now),
            Outcome::Failed(why) => self.reject_proximal(client, &why, now),
        }
    }

    pub(super) fn drop_destination(&mut self, i: usize) {
        self.events.forget(Token(i + 1));
        let Some(destination) = self.destinations.remove(&i) else { return };
        match destination.state {
            State::Connected(connection) => drop(connection.close(&mut self.events)),
            _ => self.events.forget(Token(i)),
        }
    }
}

fn outcome(connection: &mut Connection<TcpStream>, broken: Option<io::Error>) -> Option<Outcome> {
    let no_answer = |why: &dyn std::fmt::Display| {
        log::error!("the destination gave no answer: {why}");
        Some(Outcome::Failed("the destination gave no answer".into()))
    };
    while let Some(event) = connection.next() {
        match event {
            Event::Message { message, .. } => return Some(Outcome::Reply(message)),
            Event::Failed(_, why) => return no_answer(&why),
            Event::Note(note) => log::warn!("TO: {note}"),
            _ => {}
        }
    }
    broken.and_then(|error| no_answer(&error))
}
