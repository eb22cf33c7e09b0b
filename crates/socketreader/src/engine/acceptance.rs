//! The loop of the incoming sockets, in a thread of its own: it waits for the disk and for nothing else, since
//! whatever it could do meanwhile would have to wait for the disk as well.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protogen_journal::{Producer, Reader};
use protogen_sys::event_loop::{Event, EventLoop, Waker};

use super::END;
use super::doors::{Doors, Entrance, Opened};
use super::input::Input;
use super::intake::Intake;
use super::token::{AGAIN_TIMER, Owner};
use crate::board::Joined;
use crate::log;
use crate::rejects::Rejects;

/// What the loop needs.
pub(crate) struct Parts {
    pub(crate) producer: Producer,
    /// The incoming connections, each with its outgoing ones.
    pub(crate) entrances: Vec<(Entrance, Joined)>,
    /// How many messages wait.
    pub(crate) journal: Reader,
    pub(crate) rejects: Rejects,
    /// How many peers may be connected at a time, whatever each connection allows.
    pub(crate) most_peers: usize,
}

/// A change of the configuration.
enum Order {
    /// These take nothing more. Answered when all that they took is stored, or cannot be.
    Leave(Vec<String>, Sender<Result<(), String>>),
    /// Says whether messages are taken.
    Health(Sender<Result<(), String>>),
    /// These are new, and so many peers may be connected from now on.
    Enter(Vec<(Entrance, Joined)>, usize),
}

/// The running loop.
pub(crate) struct Acceptance {
    state: Arc<State>,
    waker: Arc<Waker>,
    orders: Sender<Order>,
    thread: JoinHandle<io::Result<()>>,
}

#[derive(Default)]
struct State {
    stopping: AtomicBool,
    ended: AtomicBool,
}

/// The way to the loop for changes of the configuration.
#[derive(Clone)]
pub(crate) struct Reception {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

/// How long the loop may be busy and still be well.
const HEALTH: Duration = Duration::from_secs(3);
/// How long the loop may take to store what it has.
const PATIENCE: Duration = Duration::from_secs(30);

impl Reception {
    /// Lets these connections take nothing more, and waits until all that they took is stored.
    ///
    /// # Errors
    /// What could not be stored.
    pub(crate) fn leave(&self, names: Vec<String>) -> Result<(), String> {
        let gone = |_| "the acceptance of messages has ended, or hangs".to_owned();
        let (sender, receiver) = channel();
        self.order(Order::Leave(names, sender));
        receiver.recv_timeout(PATIENCE).map_err(gone)?
    }

    /// Whether messages are taken.
    ///
    /// # Errors
    /// Why they are not.
    pub(crate) fn health(&self) -> Result<(), String> {
        let (sender, receiver) = channel();
        self.order(Order::Health(sender));
        let silent = |_| "the loop of the incoming sockets waits for the disk, or has ended".to_owned();
        receiver.recv_timeout(HEALTH).map_err(silent)?
    }

    /// Serves these connections from now on.
    pub(crate) fn enter(&self, entrances: Vec<(Entrance, Joined)>, most_peers: usize) {
        self.order(Order::Enter(entrances, most_peers));
    }

    fn order(&self, order: Order) {
        // Fails only when the loop is gone.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }
}

impl Acceptance {
    /// Starts it; `at_end` is woken when it has ended.
    pub(crate) fn start(parts: Parts, at_end: Arc<Waker>) -> io::Result<Acceptance> {
        let events = EventLoop::new(&[])?;
        let (state, waker) = (Arc::new(State::default()), events.waker());
        let (orders, receiver) = channel();
        let running = Running::new(parts, events, receiver)?;
        let ending = Ending { state: Arc::clone(&state), waker: at_end };
        let thread = std::thread::Builder::new()
            .name("acceptance".to_owned())
            .spawn(move || running.run(&ending.state.stopping))?;
        Ok(Acceptance { state, waker, orders, thread })
    }

    /// The way to it for changes.
    pub(crate) fn reception(&self) -> Reception {
        Reception { orders: self.orders.clone(), waker: Arc::clone(&self.waker) }
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

/// Each incoming connection has the same number in the doors and in the intake.
struct Running {
    events: EventLoop,
    doors: Doors,
    intake: Intake,
    orders: Receiver<Order>,
}

impl Running {
    fn new(parts: Parts, events: EventLoop, orders: Receiver<Order>) -> io::Result<Running> {
        let Parts { producer, entrances, journal, rejects, most_peers } = parts;
        let intake = Intake::new(producer, journal, rejects, most_peers);
        let doors = Doors::new(&events);
        let mut running = Running { events, doors, intake, orders };
        for (entrance, outboxes) in entrances {
            running.enter(entrance, outboxes)?;
        }
        Ok(running)
    }

    fn enter(&mut self, entrance: Entrance, outboxes: Joined) -> io::Result<()> {
        let (connection, guard) = (Arc::clone(&entrance.connection), Arc::clone(&entrance.guard));
        let Some(socket) = connection.kind.socket() else { return Ok(()) };
        let number = self.doors.add(entrance, &self.events)?;
        self.intake.add(Input::new(&connection, socket, guard, outboxes));
        if !socket.server {
            self.doors.dial(number);
        }
        Ok(())
    }

    fn run(mut self, stopping: &AtomicBool) -> io::Result<()> {
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
            self.obey(now);
            return self.dialled(now);
        };
        match (Owner::of(token), event) {
            (Owner::Listener(number), _) => {
                let intake = &mut self.intake;
                self.doors.accept(
                    number,
                    &mut self.events,
                    now,
                    |Opened { number, stream, peer }, events| {
                        intake.open(number, stream, peer, events);
                    },
                );
            }
            (Owner::Client(id), Event::Readable(_)) => self.intake.read(id, &mut self.events, now),
            (Owner::Client(id), Event::Writable(_)) => self.intake.settle(id, &mut self.events, now),
            (Owner::Client(id), _) => self.intake.time_out(id, &mut self.events, now),
            (Owner::Dial(number), _) => self.doors.dial(number),
            _ => {}
        }
    }

    /// Changes with the configuration.
    fn obey(&mut self, now: Instant) {
        while let Ok(order) = self.orders.try_recv() {
            match order {
                Order::Leave(names, reply) => {
                    // Whoever asked may have given up.
                    let _ = reply.send(self.leave(&names, now));
                }
                Order::Health(reply) => {
                    let _ = reply.send(self.intake.health(now));
                }
                Order::Enter(entrances, most_peers) => {
                    self.intake.most_peers = most_peers;
                    for (entrance, outboxes) in entrances {
                        let name = entrance.connection.name.clone();
                        if let Err(error) = self.enter(entrance, outboxes) {
                            log::critical!(&name, "cannot be served: {error}");
                        }
                    }
                }
            }
        }
    }

    fn leave(&mut self, names: &[String], now: Instant) -> Result<(), String> {
        let leaving: Vec<usize> = (0..self.intake.inputs.len())
            .filter(|number| {
                let input = &self.intake.inputs[*number];
                !input.leaving && names.iter().any(|name| **name == *input.name)
            })
            .collect();
        self.intake.all_stored(&leaving)?;
        for number in &leaving {
            self.doors.shut_one(*number, &mut self.events);
            self.intake.leave(*number, &mut self.events, now);
        }
        self.intake.turn_ends(&mut self.events, now);
        self.intake.all_stored(&leaving)
    }

    /// Connections that we make have come about, or not.
    fn dialled(&mut self, now: Instant) {
        while let Some((number, opened)) = self.doors.dialled() {
            match opened {
                Ok(Opened { stream, peer, .. }) => {
                    if self.intake.open(number, stream, peer, &mut self.events) {
                        self.doors.is_of_use(number);
                    } else {
                        self.doors.dial_again(number, &mut self.events, now);
                    }
                }
                Err(error) => {
                    let pause = self.doors.dial_again(number, &mut self.events, now);
                    let name = &self.intake.inputs[number].name;
                    log::error!(name, "{error}; tried again in {} s", pause.as_secs());
                }
            }
        }
    }

    /// All that was ready has been read and becomes one group, as soon as nothing more is there or it has taken long.
    fn turn_ends(&mut self, is_quiet: bool, now: Instant) {
        while let Some(number) = self.intake.take_lost() {
            self.doors.dial_again(number, &mut self.events, now);
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
