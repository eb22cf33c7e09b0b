//! The event loops: one for the incoming sockets ([`acceptance`]), and this one for the outgoing sockets and the
//! signals, which never waits for a disk, a name server or a child.

mod acceptance;
mod answer;
mod client;
mod dial;
mod doors;
mod input;
mod intake;
mod judge;
mod outlet;
mod parked;
mod receivers;
mod sink;
mod token;
mod wire;

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protogen_journal::{Completion, Delivery, Journal, Producer, Refusal};
use protogen_sys::event_loop::{Event, EventLoop, Signal};
use protogen_sys::log::Log;

use crate::board::{Board, Outbox};
use crate::config::{Config, Connection, Kind};
use crate::feed::Feed;
use crate::log;
pub(crate) use acceptance::{Acceptance, Parts as AcceptanceParts};
pub(crate) use doors::Listener;
use doors::{Doors, Opened};
use outlet::{Outlet, Want};
pub(crate) use receivers::MAX_RECEIVERS;
use token::{Owner, PRUNE_TIMER};

/// How long the end may take: what is in flight is finished, the rest is in the journal.
const END: Duration = Duration::from_secs(4);
/// How often kept messages are looked through for what may go.
const PRUNE: Duration = Duration::from_secs(60);

/// The loop of the outgoing sockets.
pub(crate) struct Engine {
    events: EventLoop,
    journal: Journal,
    log: Log,
    doors: Doors,
    acceptance: Acceptance,
    outlets: Vec<Outlet>,
    /// Of each outlet, its connection's number in the configuration.
    connections: Vec<usize>,
    producer: Arc<Producer>,
    results: Vec<Completion>,
    buffer: Vec<u8>,
}

/// What [`Engine::new`] needs beside the configuration.
pub(crate) struct Parts {
    pub(crate) events: EventLoop,
    pub(crate) journal: Journal,
    pub(crate) log: Log,
    /// Of the outgoing connections.
    pub(crate) listeners: Vec<Listener>,
    pub(crate) board: Arc<Board>,
    pub(crate) acceptance: Acceptance,
}

/// The outgoing connections on the queue of this one, each with the most messages that may wait there.
pub(crate) fn outboxes_of(config: &Config, board: &Board, input: &Connection) -> Vec<(Arc<Outbox>, u64)> {
    let outputs = config.connections.iter().filter(|output| output.queue == input.queue);
    outputs.filter_map(|output| Some((Arc::clone(board.outbox(&output.name)?), output.max_pending))).collect()
}

impl Engine {
    pub(crate) fn new(config: &Arc<Config>, parts: Parts) -> io::Result<Engine> {
        let Parts { events, journal, log, listeners, board, acceptance } = parts;
        let waker = events.waker();
        // Fails only when the loop is gone.
        let producer = Arc::new(journal.producer(move || drop(waker.wake())));
        let (mut outlets, mut connections) = (Vec::new(), Vec::new());
        for (number, connection) in config.connections.iter().enumerate() {
            if let Kind::SocketOut(socket) = &connection.kind {
                let Some(outbox) = board.outbox(&connection.name) else { continue };
                outbox.served_by(events.waker());
                let feed = Feed::of(&journal, connection, outbox, events.waker())?;
                let seen_by = (Arc::clone(&board), Arc::clone(outbox));
                let records = Arc::clone(&producer);
                outlets.push(Outlet::new(outlets.len(), connection, socket, feed, records, seen_by));
                connections.push(number);
            }
        }
        let doors = Doors::new(Arc::clone(config), listeners, &events)?;
        Ok(Engine {
            events,
            journal,
            log,
            doors,
            acceptance,
            outlets,
            connections,
            producer,
            results: Vec::new(),
            buffer: vec![0; 64 << 10],
        })
    }

    /// Serves until SIGTERM or SIGINT, then finishes what is in flight. Gives the journal back to be closed.
    pub(crate) fn run(mut self) -> io::Result<Journal> {
        let now = Instant::now();
        for outlet in 0..self.outlets.len() {
            // What an earlier run left.
            self.outlets[outlet].feed().bell().ring();
            self.advance(outlet, now);
        }
        self.events.set_timer(PRUNE_TIMER, now + PRUNE);
        while !self.acceptance.has_ended() {
            let event = self.events.wait()?;
            if let Event::Signal(Signal::Terminate | Signal::Interrupt) = event {
                break;
            }
            self.handle(event, Instant::now());
        }
        self.acceptance.stop();
        self.end()?;
        self.acceptance.join()?;
        Ok(self.journal)
    }

    fn handle(&mut self, event: Event, now: Instant) {
        match event {
            Event::Timer(PRUNE_TIMER) => {
                self.journal.prune(std::time::SystemTime::now());
                self.events.set_timer(PRUNE_TIMER, now + PRUNE);
            }
            Event::Readable(token) | Event::Writable(token) | Event::Timer(token) => match Owner::of(token) {
                Owner::Listener(number) => self.accept(number, now),
                Owner::Outlet(number) => {
                    if matches!(event, Event::Readable(_)) {
                        self.outlets[number].read(&mut self.events, &mut self.buffer, now);
                    }
                    self.advance(number, now);
                }
                Owner::OutletTimer(number) => {
                    self.outlets[number].time_out(&mut self.events, now);
                    self.advance(number, now);
                }
                Owner::Dial(connection) => self.doors.dial(connection),
                Owner::Client(_) => {}
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

    /// The journal has results, a feed has messages, or a connection was made.
    fn woken(&mut self, now: Instant) {
        self.producer.completions(&mut self.results);
        for result in std::mem::take(&mut self.results) {
            if let Completion::Unrecorded { delivery, refusal } = result {
                self.unrecorded(delivery, refusal);
            }
        }
        while let Some((connection, opened)) = self.doors.dialled() {
            self.dialled(connection, opened, now);
        }
        for outlet in 0..self.outlets.len() {
            self.advance(outlet, now);
        }
    }

    fn unrecorded(&mut self, delivery: Delivery, refusal: Refusal) {
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
            self.outlets[number].dialling = true;
            self.doors.dial_after(self.connections[number], pause, &mut self.events, now);
        }
    }

    fn dialled(&mut self, connection: usize, opened: Result<Opened, String>, now: Instant) {
        let Some(number) = self.connections.iter().position(|one| *one == connection) else { return };
        match opened {
            Ok(Opened { stream, peer, .. }) => {
                self.outlets[number].dialling = false;
                self.outlets[number].open(stream, &peer);
                self.advance(number, now);
            }
            Err(error) => {
                if let Want::Dial(pause) = self.outlets[number].unreachable(&error) {
                    self.doors.dial_after(connection, pause, &mut self.events, now);
                }
            }
        }
    }

    fn accept(&mut self, number: usize, now: Instant) {
        let (outlets, connections) = (&mut self.outlets, &self.connections);
        self.doors.accept(number, &mut self.events, now, |Opened { connection, stream, peer }, _| {
            if let Some(number) = connections.iter().position(|one| *one == connection) {
                outlets[number].open(stream, &peer);
            }
        });
        for outlet in 0..self.outlets.len() {
            self.advance(outlet, now);
        }
    }

    /// Begins nothing more, finishes what is in flight, and leaves the rest to the journal.
    fn end(&mut self) -> io::Result<()> {
        self.outlets.iter_mut().for_each(Outlet::stop);
        self.doors.shut(&self.events);
        let due = Instant::now() + END;
        while !self.outlets.iter().all(Outlet::is_idle) {
            let now = Instant::now();
            if now >= due {
                log::error!(log::GENERAL, "not all answers came in time; what they concern is sent again");
                break;
            }
            if let Some(event) = self.events.wait_within(Some(due - now))? {
                self.handle(event, Instant::now());
            }
        }
        // All at once, for some may have to wait for the end of a command.
        self.outlets.iter().for_each(|outlet| outlet.feed().bell().stop());
        self.outlets.clear();
        Ok(())
    }
}
