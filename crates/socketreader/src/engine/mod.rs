//! The event loop: all sockets, timers and signals. It never waits for a disk, a name server or a child.

mod answer;
mod client;
mod dial;
mod input;
mod intake;
mod judge;
mod outlet;
mod receivers;
mod sink;
mod token;
mod wire;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpListener;
use protogen_journal::{Completion, Journal, Producer};
use protogen_sys::event_loop::{Event, EventLoop, Interest, Signal};
use protogen_sys::log::Log;

use crate::backoff::Backoff;
use crate::bell::Bell;
use crate::config::{Config, Connection, Kind, Socket};
use crate::feed::Feed;
use crate::log;
use crate::rejects::Rejects;
use dial::{Dialled, Dialler};
use input::Input;
use intake::Intake;
use outlet::{Outlet, Want};
pub(crate) use receivers::MAX_RECEIVERS;
use token::{AGAIN_TIMER, Owner, PRUNE_TIMER};
use wire::is_the_peers;

/// How long the end may take: what is in flight is finished, the rest is in the journal.
const END: Duration = Duration::from_secs(4);
/// The most connections accepted before other events have a turn.
const ACCEPT_TURN: usize = 256;
/// How often kept messages are looked through for what may go.
const PRUNE: Duration = Duration::from_secs(60);
/// The pause after the system had no room for a connection.
const NO_ROOM: Duration = Duration::from_secs(1);

/// A listening socket, and which connection it belongs to.
struct Listener {
    socket: TcpListener,
    connection: usize,
}

/// What a connection of the configuration is here.
#[derive(Debug, Clone, Copy)]
enum Role {
    Input(usize),
    Outlet(usize),
    /// A directory: a thread of its own serves it.
    File,
}

pub(crate) struct Engine {
    config: Arc<Config>,
    events: EventLoop,
    journal: Journal,
    log: Log,
    roles: Vec<Role>,
    listeners: Vec<Listener>,
    dialler: Dialler,
    /// Of the incoming connections that connect.
    redial: Vec<Backoff>,
    intake: Intake,
    outlets: Vec<Outlet>,
    producer: Arc<Producer>,
    results: Vec<Completion>,
    buffer: Vec<u8>,
}

/// What [`Engine::new`] needs beside the configuration.
pub(crate) struct Parts {
    pub(crate) events: EventLoop,
    pub(crate) journal: Journal,
    pub(crate) log: Log,
    /// The listening sockets of each connection, bound before anything else was started.
    pub(crate) listeners: Vec<(usize, std::net::TcpListener)>,
    /// The bell of each outgoing connection, by the connection's number.
    pub(crate) bells: Vec<Option<Arc<Bell>>>,
    pub(crate) rejects: Rejects,
    /// How many peers that bring messages may be connected at a time, whatever each connection allows.
    pub(crate) most_peers: usize,
}

/// The bells of the outgoing connections on the queue of this one.
pub(crate) fn bells_of(config: &Config, bells: &[Option<Arc<Bell>>], input: &Connection) -> Vec<Arc<Bell>> {
    let outputs = config.connections.iter().zip(bells);
    outputs.filter(|(output, _)| output.queue == input.queue).filter_map(|(_, bell)| bell.clone()).collect()
}

impl Engine {
    pub(crate) fn new(config: Arc<Config>, parts: Parts) -> io::Result<Engine> {
        let Parts { events, journal, log, listeners, bells, rejects, most_peers } = parts;
        let waker = events.waker();
        let notify = |waker: Arc<_>| move || drop(protogen_sys::event_loop::Waker::wake(&waker));
        let producer = Arc::new(journal.producer(notify(Arc::clone(&waker))));
        let (mut inputs, mut outlets, mut roles) = (Vec::new(), Vec::new(), Vec::new());
        for (number, connection) in config.connections.iter().enumerate() {
            roles.push(match &connection.kind {
                Kind::SocketIn(socket) => {
                    let bells = bells_of(&config, &bells, connection);
                    inputs.push(Input::new(connection, socket, bells));
                    Role::Input(inputs.len() - 1)
                }
                Kind::SocketOut(socket) => {
                    let bell = bells[number].clone().unwrap_or_default();
                    let feed = Feed::of(&journal, &connection.name, bell, events.waker())?;
                    outlets.push(Outlet::new(outlets.len(), connection, socket, feed, Arc::clone(&producer)));
                    Role::Outlet(outlets.len() - 1)
                }
                Kind::FileIn(_) | Kind::FileOut(_) => Role::File,
            });
        }
        let intake = Intake::new(inputs, journal.producer(notify(Arc::clone(&waker))), rejects, most_peers);
        let mut engine = Engine {
            redial: vec![Backoff::default(); config.connections.len()],
            config,
            events,
            journal,
            log,
            roles,
            listeners: Vec::new(),
            dialler: Dialler::new(waker),
            intake,
            outlets,
            producer,
            results: Vec::new(),
            buffer: vec![0; 64 << 10],
        };
        for (connection, listener) in listeners {
            let mut socket = TcpListener::from_std(listener);
            let token = Owner::Listener(engine.listeners.len()).token();
            engine.events.registry().register(&mut socket, token, Interest::READABLE)?;
            engine.listeners.push(Listener { socket, connection });
        }
        Ok(engine)
    }

    /// Serves until SIGTERM or SIGINT, then finishes what is in flight. Gives the journal back to be closed.
    pub(crate) fn run(mut self) -> io::Result<Journal> {
        self.begin();
        loop {
            let event = self.events.wait()?;
            let now = Instant::now();
            if let Event::Signal(Signal::Terminate | Signal::Interrupt) = event {
                break;
            }
            self.handle(event, now);
            self.turn_ends(now);
        }
        self.end()?;
        Ok(self.journal)
    }

    fn begin(&mut self) {
        let now = Instant::now();
        for connection in 0..self.roles.len() {
            if matches!(self.roles[connection], Role::Input(_))
                && self.socket(connection).is_some_and(|s| !s.server)
            {
                self.dial(connection);
            }
        }
        for outlet in 0..self.outlets.len() {
            // What an earlier run left.
            self.outlets[outlet].feed().bell().ring();
            self.advance(outlet, now);
        }
        self.events.set_timer(PRUNE_TIMER, now + PRUNE);
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Readable(token) => match Owner::of(token) {
                Owner::Listener(number) => self.accept(number, now),
                Owner::Client(id) => self.intake.read(id, &mut self.events, now),
                Owner::Outlet(number) => {
                    self.outlets[number].read(&mut self.events, &mut self.buffer, now);
                    self.advance(number, now);
                }
                _ => {}
            },
            Event::Writable(token) => match Owner::of(token) {
                Owner::Client(id) => self.intake.settle(id, &mut self.events, now),
                Owner::Outlet(number) => self.advance(number, now),
                _ => {}
            },
            Event::Timer(PRUNE_TIMER) => {
                self.journal.prune(std::time::SystemTime::now());
                self.events.set_timer(PRUNE_TIMER, now + PRUNE);
            }
            Event::Timer(AGAIN_TIMER) => {}
            Event::Timer(token) => match Owner::of(token) {
                Owner::Listener(number) => self.accept(number, now),
                Owner::Client(id) => self.intake.time_out(id, &mut self.events, now),
                Owner::Outlet(number) => self.advance(number, now),
                Owner::OutletTimer(number) => {
                    self.outlets[number].time_out(&mut self.events, now);
                    self.advance(number, now);
                }
                Owner::Dial(connection) => self.dial(connection),
            },
            Event::Signal(Signal::HangUp) => {
                if let Err(error) = self.log.reopen() {
                    log::error!(log::GENERAL, "{error}");
                }
            }
            Event::Woken => self.woken(now),
            _ => {}
        }
    }

    /// All that was ready has been read: it becomes one group.
    fn turn_ends(&mut self, now: Instant) {
        while let Some(input) = self.intake.take_lost() {
            let connection = self.roles.iter().position(|role| matches!(role, Role::Input(n) if *n == input));
            if let Some(connection) = connection {
                let pause = self.redial[connection].pause();
                self.events.set_timer(Owner::Dial(connection).token(), now + pause);
            }
        }
        if self.events.is_settled() {
            self.intake.submit(&mut self.events, now);
            self.events.update_timer(AGAIN_TIMER, self.intake.poll_timeout());
        }
    }

    /// The journal has results, a feed has messages, or a connection was made.
    fn woken(&mut self, now: Instant) {
        self.intake.collect(&mut self.events, now);
        self.producer.completions(&mut self.results);
        for result in std::mem::take(&mut self.results) {
            if let Completion::Unrecorded { delivery, refusal } = result {
                self.unrecorded(delivery, refusal);
            }
        }
        while let Some(Dialled { connection, stream }) = self.dialler.result() {
            self.dialled(connection, stream, now);
        }
        for outlet in 0..self.outlets.len() {
            self.advance(outlet, now);
        }
    }

    fn unrecorded(&mut self, delivery: protogen_journal::Delivery, refusal: protogen_journal::Refusal) {
        use protogen_journal::Refusal;
        log::error!(
            &delivery.output,
            "message {}: its delivery is not recorded: {refusal}",
            delivery.sequence
        );
        let outlet = self.outlets.iter_mut().find(|outlet| outlet.name() == &*delivery.output);
        if let (Some(outlet), Refusal::Full | Refusal::Failed | Refusal::TooMany) = (outlet, refusal) {
            outlet.not_recorded(delivery);
        }
    }

    fn advance(&mut self, number: usize, now: Instant) {
        if let Want::Dial(pause) = self.outlets[number].advance(&mut self.events, now) {
            let connection =
                self.roles.iter().position(|role| matches!(role, Role::Outlet(n) if *n == number));
            if let Some(connection) = connection {
                self.outlets[number].dialling = true;
                match pause {
                    Duration::ZERO => self.dial(connection),
                    pause => self.events.set_timer(Owner::Dial(connection).token(), now + pause),
                }
            }
        }
    }

    fn socket(&self, connection: usize) -> Option<&Socket> {
        self.config.connections[connection].kind.socket()
    }

    fn dial(&mut self, connection: usize) {
        let Some(socket) = self.socket(connection) else { return };
        let place = socket.place().map_err(|error| error.to_string());
        let dialled = place.and_then(|place| {
            self.dialler.dial(connection, place, socket.timeout).map_err(|error| error.to_string())
        });
        if let Err(error) = dialled {
            self.dialled(connection, Err(error), Instant::now());
        }
    }

    fn dialled(&mut self, connection: usize, stream: Result<TcpStream, String>, now: Instant) {
        let name = self.config.connections[connection].name.clone();
        let stream = stream.and_then(|stream| {
            stream.set_nonblocking(true).map_err(|error| error.to_string())?;
            let peer = stream.peer_addr().map_err(|error| error.to_string())?;
            Ok((stream, peer))
        });
        match (self.roles[connection], stream) {
            (Role::Input(input), Ok((stream, peer))) => {
                let stream = mio::net::TcpStream::from_std(stream);
                if self.intake.open(input, stream, peer.to_string(), &self.events) {
                    self.redial[connection].reset();
                } else {
                    let pause = self.redial[connection].pause();
                    self.events.set_timer(Owner::Dial(connection).token(), now + pause);
                }
            }
            (Role::Input(_), Err(error)) => {
                let pause = self.redial[connection].pause();
                log::error!(&name, "{error}; tried again in {} s", pause.as_secs());
                self.events.set_timer(Owner::Dial(connection).token(), now + pause);
            }
            (Role::Outlet(number), Ok((stream, peer))) => {
                self.outlets[number].dialling = false;
                self.outlets[number].open(mio::net::TcpStream::from_std(stream), &peer.to_string());
                self.advance(number, now);
            }
            (Role::Outlet(number), Err(error)) => {
                if let Want::Dial(pause) = self.outlets[number].unreachable(&error) {
                    self.events.set_timer(Owner::Dial(connection).token(), now + pause);
                }
            }
            (Role::File, _) => {}
        }
    }

    fn accept(&mut self, number: usize, now: Instant) {
        for _ in 0..ACCEPT_TURN {
            let Listener { socket, connection } = &self.listeners[number];
            let connection = *connection;
            match socket.accept() {
                Ok((stream, peer)) => self.accepted(connection, stream, peer, now),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_the_peers(&error) => {}
                Err(error) => {
                    // Out of file descriptors, as a rule: the peer waits in the system's queue.
                    log::error!(
                        &self.config.connections[connection].name,
                        "cannot accept a connection: {error}"
                    );
                    self.events.set_timer(Owner::Listener(number).token(), now + NO_ROOM);
                    return;
                }
            }
        }
        self.events.revisit(Owner::Listener(number).token());
    }

    fn accepted(&mut self, connection: usize, stream: mio::net::TcpStream, peer: SocketAddr, now: Instant) {
        let settings = &self.config.connections[connection];
        if settings.debug.drop > 0 && fastrand::u8(0..100) < settings.debug.drop {
            return log::info!(&settings.name, "{peer}: cut, as debug says");
        }
        match self.roles[connection] {
            Role::Input(input) => {
                self.intake.open(input, stream, peer.to_string(), &self.events);
            }
            Role::Outlet(number) => {
                self.outlets[number].open(stream, &peer.to_string());
                self.advance(number, now);
            }
            Role::File => {}
        }
    }

    /// Takes nothing more in, finishes what is in flight, and leaves the rest to the journal.
    fn end(&mut self) -> io::Result<()> {
        log::info!(log::GENERAL, "ending, {} messages are being stored", self.intake.in_flight());
        self.intake.stop();
        self.outlets.iter_mut().for_each(Outlet::stop);
        for Listener { socket, .. } in &mut self.listeners {
            // It is closed in a moment anyway.
            let _ = self.events.registry().deregister(socket);
        }
        let due = Instant::now() + END;
        self.turn_ends(Instant::now());
        while !(self.intake.is_idle() && self.outlets.iter().all(Outlet::is_idle)) {
            let now = Instant::now();
            if now >= due {
                log::error!(log::GENERAL, "not all answers came in time; what they concern is sent again");
                break;
            }
            if let Some(event) = self.events.wait_within(Some(due - now))? {
                self.handle(event, Instant::now());
                self.turn_ends(Instant::now());
            }
        }
        self.outlets.clear();
        Ok(())
    }
}
