//! The driver: one event loop that holds the line, the destination and the distal server.
//!
//! | part | module |
//! |---|---|
//! | the line: its clients, opening, closing, opening again | [`mod@line`] |
//! | messages from the line, and their way back | [`proximal`], [`destination`] |
//! | messages for the line | [`distal`], [`requester`] |
//!
//! Who has the line: a proximal transaction has it from the message to its reply, a distal one from the request to
//! its answer; [`distal`] begins none while a proximal one has it, and [`proximal`] tells what happens when they cross.

mod client;
mod destination;
mod distal;
mod line;
mod proximal;
mod report;
mod requester;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::Result;
use client::Client;
use destination::Destination;
use distal::Distal;
use line::Front;
use protogen_core::llp::Counters;
use protogen_sys::daemon::{Owner, Readiness};
use protogen_sys::event_loop::{Event, EventLoop, Signal, Token};
use protogen_sys::log::Log;
use protogen_sys::sd_notify::Notifier;
use requester::Requester;

use crate::answer::Answers;
use crate::args::Config;
use crate::bind::Bound;

/// Tokens of the line's listeners begin here, those of the distal server's there.
const LINE: usize = 0;
const DISTAL: usize = 1 << 10;
/// Timers: opening the line again, and the last moment when ending.
const REOPEN: Token = Token(1 << 11);
const STOP: Token = Token((1 << 11) + 1);
/// A connection has an even token, its second timer the next.
const FIRST: usize = 1 << 12;
/// How long what is under way may take after SIGTERM.
const STOP_LIMIT: Duration = Duration::from_secs(5);
/// What is read at once.
const BUFFER: usize = 64 << 10;

pub(crate) struct Driver {
    config: Config,
    owner: Owner,
    log: Log,
    notifier: Notifier,
    answers: Answers,
    events: EventLoop,
    buffer: Vec<u8>,
    next_token: usize,
    /// Connections whose machine may have something to say.
    touched: BTreeSet<usize>,
    front: Front,
    clients: BTreeMap<usize, Client>,
    /// Counts what is said on the line, to know who spoke last.
    words: u64,
    /// The counters of line connections that are closed.
    past: Counters,
    to: Vec<std::net::SocketAddr>,
    destinations: BTreeMap<usize, Destination>,
    distal: Distal,
    requesters: BTreeMap<usize, Requester>,
    /// SIGTERM came: what is under way is ended, nothing new begins.
    stopping: bool,
}

impl Driver {
    pub(crate) fn new(config: Config, bound: Bound, log: Log) -> Result<Driver> {
        let signals = [Signal::Terminate, Signal::Interrupt, Signal::HangUp, Signal::User1];
        let events = EventLoop::new(&signals)?;
        let answers = Answers::new(&config.settings.name, &config.from.to_string());
        let mut driver = Driver {
            owner: bound.owner,
            log,
            notifier: Notifier::from_environment(),
            answers,
            events,
            buffer: vec![0; BUFFER],
            next_token: FIRST,
            touched: BTreeSet::new(),
            front: Front::Down,
            clients: BTreeMap::new(),
            words: 0,
            past: Counters::default(),
            to: bound.to,
            destinations: BTreeMap::new(),
            distal: Distal::new(bound.distal),
            requesters: BTreeMap::new(),
            stopping: false,
            config,
        };
        driver.take_line(bound.line)?;
        if driver.config.at_once {
            driver.start_distal()?;
        }
        Ok(driver)
    }

    /// Tells whoever waits that the driver serves.
    pub(crate) fn announce(&mut self, readiness: Option<Readiness>) -> Result<()> {
        if self.config.has_useless_distal {
            log::warn!("with -1 there is no distal server: DIST has no effect");
        }
        let places = self.places();
        log::info!("{places}");
        self.notifier.status(&places).and_then(|()| self.notifier.ready()).unwrap_or_else(|error| {
            log::warn!("the service manager could not be told: {error}");
        });
        if let Some(readiness) = readiness {
            readiness.ready()?;
        }
        Ok(())
    }

    /// Runs until a signal ends it.
    pub(crate) fn run(&mut self) -> Result<()> {
        self.settle(Instant::now());
        while !(self.stopping && self.is_quiet()) {
            let event = self.events.wait()?;
            let now = Instant::now();
            match event {
                Event::Signal(Signal::Terminate | Signal::Interrupt) if self.stopping => break,
                Event::Signal(Signal::Terminate | Signal::Interrupt) => self.stop(now),
                Event::Signal(Signal::HangUp) => {
                    self.log.reopen().unwrap_or_else(|error| log::error!("{error}"));
                }
                Event::Signal(Signal::User1) => self.report(),
                Event::Timer(STOP) => break,
                Event::Timer(REOPEN) => self.reopen(now),
                Event::Readable(Token(i)) if i < DISTAL => self.accept_line(i - LINE, now),
                Event::Readable(Token(i)) if i < REOPEN.0 => self.accept_distal(i - DISTAL, now),
                Event::Readable(Token(i)) => self.readable(i, now),
                Event::Writable(Token(i)) => self.writable(i, now),
                Event::Timer(Token(i)) => self.timer(i, now),
                _ => {}
            }
            self.settle(now);
        }
        self.report();
        log::info!("ends");
        Ok(())
    }

    fn readable(&mut self, i: usize, now: Instant) {
        self.touched.insert(i);
        if let Some(client) = self.clients.get_mut(&i) {
            client.read(&mut self.events, &mut self.buffer, now);
        } else if let Some(destination) = self.destinations.get_mut(&i) {
            destination.read(&mut self.events, &mut self.buffer, now);
        } else if let Some(requester) = self.requesters.get_mut(&i) {
            requester.read(&mut self.events, &mut self.buffer, now);
        }
    }

    fn writable(&mut self, i: usize, now: Instant) {
        self.touched.insert(i);
        if let Some(destination) = self.destinations.get_mut(&i) {
            destination.writable(&mut self.events, now);
        }
    }

    fn timer(&mut self, i: usize, now: Instant) {
        let connection = i & !1;
        self.touched.insert(connection);
        if i == connection {
            if let Some(client) = self.clients.get_mut(&i) {
                client.connection.link.handle_timeout(now);
            } else if let Some(destination) = self.destinations.get_mut(&i) {
                destination.handle_timeout(now);
            } else if let Some(requester) = self.requesters.get_mut(&i) {
                requester.connection.link.handle_timeout(now);
            }
        } else if self.clients.contains_key(&connection) {
            self.hang_up_in_time(connection, now);
        } else if let Some(destination) = self.destinations.get_mut(&connection) {
            destination.time_is_up(&mut self.events, now);
        } else if self.requesters.contains_key(&connection) {
            self.waited_too_long(connection, now);
        }
    }

    /// Lets every connection that was touched say what it has to say, until there is nothing more.
    fn settle(&mut self, now: Instant) {
        loop {
            while let Some(i) = self.touched.pop_first() {
                if self.clients.contains_key(&i) {
                    self.settle_client(i, now);
                } else if self.destinations.contains_key(&i) {
                    self.settle_destination(i, now);
                } else if self.requesters.contains_key(&i) {
                    self.settle_requester(i, now);
                }
            }
            self.dispatch(now);
            if self.touched.is_empty() {
                return;
            }
        }
    }

    fn new_token(&mut self) -> usize {
        self.next_token += 2;
        self.next_token
    }

    /// Ends: no new work, and a limited time for what is under way.
    fn stop(&mut self, now: Instant) {
        self.stopping = true;
        self.notifier.stopping().unwrap_or_else(|error| log::warn!("sd_notify: {error}"));
        self.stop_listening();
        self.reject_waiting("the driver is shutting down", now);
        self.events.set_timer(STOP, now + STOP_LIMIT);
        log::info!("ends after what is under way");
    }

    fn is_quiet(&self) -> bool {
        self.destinations.is_empty()
            && self.requesters.is_empty()
            && self.clients.values().all(Client::is_quiet)
    }
}
