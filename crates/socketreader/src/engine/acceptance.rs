//! The loop of the incoming sockets, in a thread of its own: it waits for the disk and for nothing else, since
//! whatever it could do meanwhile would have to wait for the disk as well.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protogen_journal::{Producer, Reader};
use protogen_sys::event_loop::{Event, EventLoop, Waker};

use super::doors::{Doors, Listener, Opened};
use super::input::Input;
use super::intake::Intake;
use super::token::{AGAIN_TIMER, Owner};
use super::{END, outboxes_of};
use crate::board::Board;
use crate::config::{Config, Kind};
use crate::log;
use crate::rejects::Rejects;

/// What the loop needs beside the configuration.
pub(crate) struct Parts {
    pub(crate) producer: Producer,
    /// Of the incoming connections.
    pub(crate) listeners: Vec<Listener>,
    /// How many messages wait.
    pub(crate) journal: Reader,
    pub(crate) board: Arc<Board>,
    pub(crate) rejects: Rejects,
    /// How many peers may be connected at a time, whatever each connection allows.
    pub(crate) most_peers: usize,
}

/// The running loop.
pub(crate) struct Acceptance {
    state: Arc<State>,
    waker: Arc<Waker>,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Default)]
struct State {
    stopping: AtomicBool,
    ended: AtomicBool,
}

impl Acceptance {
    /// Starts it; `at_end` is woken when it has ended.
    pub(crate) fn start(config: Arc<Config>, parts: Parts, at_end: Arc<Waker>) -> io::Result<Acceptance> {
        let events = EventLoop::new(&[])?;
        let (state, waker) = (Arc::new(State::default()), events.waker());
        let running = Running::new(config, parts, events)?;
        let ending = Ending { state: Arc::clone(&state), waker: at_end };
        let thread = std::thread::Builder::new()
            .name("acceptance".to_owned())
            .spawn(move || running.run(&ending.state.stopping))?;
        Ok(Acceptance { state, waker, thread })
    }

    /// Lets it finish what is in flight.
    pub(super) fn stop(&self) {
        self.state.stopping.store(true, Ordering::Release);
        // Fails only when the loop is gone.
        let _ = self.waker.wake();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.ended.load(Ordering::Acquire)
    }

    /// Waits for its end.
    pub(super) fn join(self) -> io::Result<()> {
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("the acceptance of messages has failed")))
    }
}

/// Says that the thread has ended, also if it panicked.
struct Ending {
    state: Arc<State>,
    waker: Arc<Waker>,
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.state.ended.store(true, Ordering::Release);
        let _ = self.waker.wake();
    }
}

struct Running {
    config: Arc<Config>,
    events: EventLoop,
    doors: Doors,
    intake: Intake,
    /// Of each connection of the configuration, its number in the intake.
    inputs: Vec<Option<usize>>,
}

impl Running {
    fn new(config: Arc<Config>, parts: Parts, events: EventLoop) -> io::Result<Running> {
        let Parts { producer, listeners, journal, board, rejects, most_peers } = parts;
        let (mut inputs, mut numbers) = (Vec::new(), Vec::new());
        for (number, connection) in config.connections.iter().enumerate() {
            numbers.push(match &connection.kind {
                Kind::SocketIn(socket) => {
                    let outboxes = outboxes_of(&config, &board, connection);
                    inputs.push(Input::new(number, connection, socket, outboxes));
                    Some(inputs.len() - 1)
                }
                _ => None,
            });
        }
        let intake = Intake::new(inputs, producer, journal, rejects, most_peers);
        let doors = Doors::new(Arc::clone(&config), listeners, &events)?;
        Ok(Running { config, events, doors, intake, inputs: numbers })
    }

    fn run(mut self, stopping: &AtomicBool) -> io::Result<()> {
        for (number, connection) in self.config.connections.iter().enumerate() {
            if self.inputs[number].is_some() && connection.kind.socket().is_some_and(|socket| !socket.server)
            {
                self.doors.dial(number);
            }
        }
        while !stopping.load(Ordering::Acquire) {
            // Before the disk is waited for, whatever else has come is taken along.
            let limit = self.intake.has_group().then_some(Duration::ZERO);
            let event = match limit {
                None => Some(self.events.wait()?),
                limit => self.events.wait_within(limit)?,
            };
            let now = Instant::now();
            if let Some(event) = event {
                self.handle(event, now);
            }
            self.turn_ends(event.is_none(), now);
        }
        self.end()
    }

    fn handle(&mut self, event: Event, now: Instant) {
        if event == Event::Timer(AGAIN_TIMER) {
            // The end of the turn looks again.
            return;
        }
        let (Event::Readable(token) | Event::Writable(token) | Event::Timer(token)) = event else {
            return self.dialled(now);
        };
        match (Owner::of(token), event) {
            (Owner::Listener(number), _) => {
                let (intake, inputs) = (&mut self.intake, &self.inputs);
                self.doors.accept(
                    number,
                    &mut self.events,
                    now,
                    |Opened { connection, stream, peer }, events| {
                        if let Some(input) = inputs[connection] {
                            intake.open(input, stream, peer, events);
                        }
                    },
                );
            }
            (Owner::Client(id), Event::Readable(_)) => self.intake.read(id, &mut self.events, now),
            (Owner::Client(id), Event::Writable(_)) => self.intake.settle(id, &mut self.events, now),
            (Owner::Client(id), _) => self.intake.time_out(id, &mut self.events, now),
            (Owner::Dial(connection), _) => self.doors.dial(connection),
            _ => {}
        }
    }

    /// Connections that we make have come about, or not.
    fn dialled(&mut self, now: Instant) {
        while let Some((connection, opened)) = self.doors.dialled() {
            let Some(input) = self.inputs[connection] else { continue };
            match opened {
                Ok(Opened { stream, peer, .. }) => {
                    if self.intake.open(input, stream, peer, &self.events) {
                        self.doors.is_of_use(connection);
                    } else {
                        self.doors.dial_again(connection, &mut self.events, now);
                    }
                }
                Err(error) => {
                    let pause = self.doors.dial_again(connection, &mut self.events, now);
                    let name = &self.config.connections[connection].name;
                    log::error!(name, "{error}; tried again in {} s", pause.as_secs());
                }
            }
        }
    }

    /// All that was ready has been read and becomes one group, as soon as nothing more is there or it has taken long.
    fn turn_ends(&mut self, is_quiet: bool, now: Instant) {
        while let Some(connection) = self.intake.take_lost() {
            self.doors.dial_again(connection, &mut self.events, now);
        }
        if is_quiet || (self.events.is_settled() && !self.intake.may_grow(now)) {
            self.intake.turn_ends(&mut self.events, now);
            self.events.update_timer(AGAIN_TIMER, self.intake.poll_timeout());
        }
    }

    /// Takes nothing more in, and answers what it has.
    fn end(&mut self) -> io::Result<()> {
        log::info!(log::GENERAL, "ending, {} messages are being stored", self.intake.in_flight());
        self.intake.stop(Instant::now());
        self.doors.shut(&self.events);
        let due = Instant::now() + END;
        self.intake.turn_ends(&mut self.events, Instant::now());
        while !self.intake.is_idle() {
            let now = Instant::now();
            if now >= due {
                log::error!(log::GENERAL, "not all answers were taken; what they concern may be sent again");
                break;
            }
            if let Some(event) = self.events.wait_within(Some(due - now))? {
                self.handle(event, Instant::now());
                self.turn_ends(true, Instant::now());
            }
        }
        Ok(())
    }
}
