//! The line's front: who connects, who goes, and what is opened again.

use std::io;
use std::time::{Duration, Instant};

use anyhow::Result;
use mio::event::Source;
use mio::net::{TcpListener, UnixListener};
use protogen_core::llp::{Link, hllp, mllp, mllp2, x328};
use protogen_sys::connection::{Connection, Stream};
use protogen_sys::event_loop::{Interest, Token};
use protogen_sys::unix_socket::UnixSocket;

use super::client::{Client, State};
use super::{Driver, LINE, REOPEN};
use crate::args::From;
use crate::bind::{Line, open_tty};
use crate::medium::Medium;
use crate::settings::Protocol;

/// How often it is looked whether a device has sent all before it is closed, and for how long.
const SENT_PAUSE: Duration = Duration::from_millis(10);
const SENT_LIMIT: Duration = Duration::from_secs(30);
/// How long a client that was hung up on may take to hang up too.
const LINGER: Duration = Duration::from_secs(2);

/// What the line is.
pub(super) enum Front {
    Tcp(Vec<TcpListener>),
    /// The socket's file goes with the guard.
    Unix {
        listener: UnixListener,
        _guard: UnixSocket,
    },
    /// The pause before the next attempt to open it.
    Device(Duration),
    /// Nothing, before the line is taken.
    Down,
}

impl Driver {
    pub(super) fn take_line(&mut self, line: Line) -> Result<()> {
        let registry = self.events.registry();
        let device = Front::Device(self.config.settings.reopen_pause);
        self.front = match line {
            Line::Tcp(listeners) => {
                let mut own = Vec::new();
                for (n, listener) in listeners.into_iter().enumerate() {
                    let mut listener = TcpListener::from_std(listener);
                    listener.register(registry, Token(LINE + n), Interest::READABLE)?;
                    own.push(listener);
                }
                Front::Tcp(own)
            }
            Line::Unix(socket) => {
                let mut listener = UnixListener::from_std(socket.listener()?);
                listener.register(registry, Token(LINE), Interest::READABLE)?;
                Front::Unix { listener, _guard: socket }
            }
            Line::Pty(pty) => {
                self.take_client(Medium::Pty(pty), self.config.from.to_string(), Instant::now())?;
                device
            }
            Line::Tty(tty) => {
                self.take_client(Medium::Tty(tty), self.config.from.to_string(), Instant::now())?;
                device
            }
        };
        Ok(())
    }

    /// Where the line is.
    pub(super) fn line_place(&self) -> String {
        let Front::Tcp(listeners) = &self.front else { return self.config.from.to_string() };
        let addresses = listeners.iter().filter_map(|listener| listener.local_addr().ok());
        addresses.map(|address| address.to_string()).collect::<Vec<_>>().join(" and ")
    }

    pub(super) fn stop_listening(&mut self) {
        match &mut self.front {
            Front::Tcp(listeners) => listeners.clear(),
            Front::Unix { listener, .. } => {
                let _ = listener.deregister(self.events.registry());
            }
            Front::Device(_) | Front::Down => self.events.clear_timer(REOPEN),
        }
        self.stop_distal();
    }

    pub(super) fn accept_line(&mut self, n: usize, now: Instant) {
        loop {
            let accepted = match &self.front {
                Front::Tcp(listeners) => {
                    let Some(listener) = listeners.get(n) else { return };
                    listener.accept().and_then(|(stream, peer)| {
                        stream.set_nodelay(true)?;
                        Ok((Medium::Tcp(stream), peer.to_string()))
                    })
                }
                Front::Unix { listener, .. } => {
                    listener.accept().map(|(stream, _)| (Medium::Unix(stream), self.config.from.to_string()))
                }
                Front::Device(_) | Front::Down => return,
            };
            let (medium, name) = match accepted {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The client is gone again, or files ran out; the listener is as it was.
                Err(error) => return log::warn!("a connection was not accepted: {error}"),
            };
            let most = self.config.settings.connections;
            if self.clients.len() >= most {
                log::error!("{name}: refused, {most} clients are on the line; see --connections");
            } else if let Err(error) = self.take_client(medium, name.clone(), now) {
                log::error!("{name}: {error}");
            }
        }
    }

    fn take_client(&mut self, medium: Medium, name: String, now: Instant) -> io::Result<()> {
        let i = self.new_token();
        let mut connection = Connection::new(medium, self.link(now), Token(i), &self.events)?;
        if self.config.dialogue {
            connection.log_dialogue(&name);
        }
        // To connect is a first word: a client that was never heard is still one that can be spoken to.
        self.words += 1;
        log::info!("{name}: the line is open");
        let settings = &self.config.settings;
        let can_refuse = settings.can_refuse(self.config.protocol);
        self.clients.insert(i, Client::new(connection, name, self.words, settings.waiting, can_refuse));
        self.touched.insert(i);
        Ok(())
    }

    fn link(&self, now: Instant) -> Box<dyn Link> {
        let settings = &self.config.settings;
        match self.config.protocol {
            Protocol::X328 => {
                // Two ends of a line must not have the same random numbers.
                let seed = u64::from(std::process::id()) << 20 | self.words;
                Box::new(x328::Station::new(x328::Settings { seed, ..settings.x328.clone() }, now))
            }
            Protocol::Hllp => Box::new(hllp::Station::new(settings.hllp.clone())),
            Protocol::Mllp if settings.mllp_release == 2 => {
                Box::new(mllp2::Station::new(settings.mllp.clone()))
            }
            Protocol::Mllp => Box::new(mllp::Station::new(settings.mllp.framing.clone())),
        }
    }

    /// Takes what a client's machine has to say, serves it, writes, and closes what is done.
    pub(super) fn settle_client(&mut self, i: usize, now: Instant) {
        loop {
            while let Some(event) = self.clients.get_mut(&i).and_then(|client| client.connection.next()) {
                self.line_event(i, event, now);
            }
            self.serve(i, now);
            let stopping = self.stopping;
            let Driver { clients, events, .. } = self;
            let Some(client) = clients.get_mut(&i) else { return };
            client.connection.link.set_ready(client.has_room() && !stopping);
            // A client may close its half right behind its messages: they are served first.
            if client.is_served() && client.connection.settle(now) {
                continue;
            }
            if let Err(error) = client.connection.flush(events) {
                client.failed.get_or_insert(error);
            }
            match client.connection.next() {
                Some(event) => self.line_event(i, event, now),
                None => break,
            }
        }
        self.close_if_done(i, now);
    }

    fn close_if_done(&mut self, i: usize, now: Instant) {
        let Some(client) = self.clients.get_mut(&i) else { return };
        let device = client.connection.stream().is_device();
        let gone = client.connection.has_ended() && client.is_served();
        if let Some(error) = client.failed.take() {
            log::warn!("{}: {error}", client.name);
            return self.close(i, now);
        }
        if client.connection.is_over() || (gone && (device || client.leaving)) {
            return self.close(i, now);
        }
        let served = client.proximal.is_none() && (client.waiting.is_empty() || self.config.one_shot);
        if client.leaving && served && client.connection.is_flushed() {
            return self.hang_up(i, now);
        }
        if client.can_read_on() {
            self.events.revisit(Token(i));
        }
    }

    /// All is written: closes the line, once the other end has it all.
    fn hang_up(&mut self, i: usize, now: Instant) {
        let Some(client) = self.clients.get_mut(&i) else { return };
        if client.hung_up {
            return;
        }
        if client.connection.stream().is_device() {
            let until = *client.leave_until.get_or_insert(now + SENT_LIMIT);
            if client.connection.stream().is_sent() || now >= until {
                return self.close(i, now);
            }
            return self.events.set_timer(Token(i + 1), now + SENT_PAUSE);
        }
        // Closed at once, what the client still sends would make the system throw away what it has not read.
        client.hung_up = true;
        if let Err(error) = client.connection.stream().finish() {
            log::debug!("{}: {error}", client.name);
            return self.close(i, now);
        }
        self.events.set_timer(Token(i + 1), now + LINGER);
        self.events.revisit(Token(i));
    }

    pub(super) fn hang_up_in_time(&mut self, i: usize, now: Instant) {
        if self.clients.get(&i).is_some_and(|client| client.hung_up) {
            self.close(i, now);
        }
    }

    fn close(&mut self, i: usize, now: Instant) {
        let Some(mut client) = self.clients.remove(&i) else { return };
        if !client.waiting.is_empty() {
            log::error!(
                "{}: {} messages were not served; their sender has no reply",
                client.name,
                client.waiting.len()
            );
        }
        if let Some(State::Forwarded(destination)) = client.proximal.as_ref().map(|proximal| proximal.state)
            && self.destinations.get(&destination).is_some_and(super::Destination::is_unsent)
        {
            self.drop_destination(destination);
        }
        client.connection.link.handle_eof(now);
        crate::answer::add(&mut self.past, client.connection.link.counters());
        self.distal_lost(i, now);
        self.events.forget(Token(i + 1));
        log::info!("{}: the line is closed", client.name);
        let said = client.connection.link.counters();
        let said = said.bytes_in + said.bytes_out > 0;
        let leaving = client.leaving;
        match client.connection.close(&mut self.events) {
            Medium::Pty(pty) => self.again(pty, said, leaving, now),
            Medium::Tty(tty) => {
                drop(tty);
                self.reopen_after(if leaving { Duration::ZERO } else { self.pause() }, now);
            }
            Medium::Tcp(_) | Medium::Unix(_) => {}
        }
    }

    /// A pty outlives its clients: the next one finds it clean.
    fn again(&mut self, mut pty: protogen_sys::tty::Pty, said: bool, leaving: bool, now: Instant) {
        let clean = match (leaving, said) {
            (true, _) => pty.renew(),
            (false, true) => pty.discard_unread(),
            (false, false) => Ok(()),
        };
        if let Err(error) = clean {
            log::error!("{}: {error}", self.config.from);
        }
        if let Err(error) = self.take_client(Medium::Pty(pty), self.config.from.to_string(), now) {
            log::error!("{}: {error}", self.config.from);
        } else if let Some((i, _)) = self.clients.last_key_value() {
            self.events.revisit(Token(*i));
        }
    }

    fn pause(&self) -> Duration {
        match self.front {
            Front::Device(pause) => pause,
            _ => self.config.settings.reopen_pause,
        }
    }

    fn reopen_after(&mut self, pause: Duration, now: Instant) {
        if !self.stopping {
            self.events.set_timer(REOPEN, now + pause);
        }
    }

    /// Opens the device again; each failure doubles the pause.
    pub(super) fn reopen(&mut self, now: Instant) {
        let (From::Tty(path) | From::Pty(path)) = &self.config.from else { return };
        let opened = open_tty(path, &self.config, &self.owner);
        let opened =
            opened.and_then(|tty| self.take_client(Medium::Tty(tty), self.config.from.to_string(), now));
        match opened {
            Ok(()) => self.front = Front::Device(self.config.settings.reopen_pause),
            Err(error) => {
                let pause = self.pause();
                let next = (pause * 2).min(self.config.settings.reopen_limit);
                log::error!("{}: {error}; next attempt in {} s", self.config.from, next.as_secs_f64());
                self.front = Front::Device(next);
                self.reopen_after(next, now);
            }
        }
    }
}
