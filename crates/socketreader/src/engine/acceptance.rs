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
    /// These take nothing more. Answered when all that they took is stored, or cannot be. Whoever sets the mark first
    /// decides: the loop that it is done, or the one who asked that it is not.
    Leave(Vec<String>, Arc<AtomicBool>, Sender<Result<(), String>>),
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
    /// What could not be stored; they go on as before then.
    pub(crate) fn leave(&self, names: Vec<String>) -> Result<(), String> {
        self.leave_within(names, PATIENCE)
    }

    fn leave_within(&self, names: Vec<String>, limit: Duration) -> Result<(), String> {
        let gone = || "the acceptance of messages has ended, or hangs".to_owned();
        let (sender, receiver) = channel();
        let decided = Arc::new(AtomicBool::new(false));
        self.order(Order::Leave(names, Arc::clone(&decided), sender));
        match receiver.recv_timeout(limit) {
            Ok(done) => done,
            // The order may still wait there: it is off from now on.
            Err(_) if !decided.swap(true, Ordering::AcqRel) => Err(gone()),
            // It is being done: the end of it is near.
            Err(_) => receiver.recv().map_err(|_| gone())?,
        }
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
                Order::Leave(names, decided, reply) => {
                    // Whoever asked may have given up.
                    let _ = reply.send(self.leave(&names, &decided, now));
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

    /// Whatever can fail does so before anything is changed: else a connection would be dead that the configuration
    /// still names.
    fn leave(&mut self, names: &[String], decided: &AtomicBool, now: Instant) -> Result<(), String> {
        let leaving: Vec<usize> = (0..self.intake.inputs.len())
            .filter(|number| {
                let input = &self.intake.inputs[*number];
                !input.leaving && names.iter().any(|name| **name == *input.name)
            })
            .collect();
        // What was read by now is stored, or it is said that it cannot be.
        self.intake.turn_ends(&mut self.events, now);
        self.intake.all_stored(&leaving)?;
        if decided.swap(true, Ordering::AcqRel) {
            return Err("whoever asked has given up".to_owned());
        }
        for number in &leaving {
            self.doors.shut_one(*number, &mut self.events);
            self.intake.leave(*number, &mut self.events, now);
        }
        // What waited for room is stored, or its senders hear that it is not.
        self.intake.turn_ends(&mut self.events, now);
        Ok(())
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
        self.intake.stop(&mut self.events, Instant::now());
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

#[cfg(test)]
mod tests {
    use super::*;

    use std::io::Write;
    use std::net::TcpStream;

    use protogen_journal::Journal;
    use protogen_testkit::Dir;

    use crate::board::Board;
    use crate::config::{Scope, load};
    use crate::guard::Guard;

    /// A loop that nobody runs, over a journal that is closed: nothing can be stored. One server, `in`, whose senders
    /// do not hear what becomes of their messages; its address; and the way for orders.
    fn running(dir: &Dir) -> (Running, std::net::SocketAddr, Reception) {
        let out = dir.make("out");
        let text = format!(
            "[general]\nuseconnections = in, out\nstatedir = {}\n\
             [in]\ntranstech = socket\ntransdir = in\nport = 2575\nqueuename = q\nuseack = False\n\
             [out]\ntranstech = file\ntransdir = out\nqueuename = q\nmessagedir = {}\n",
            dir.make("state").display(),
            out.display()
        );
        let report = load(&dir.write("sr.cfg", text), Scope::Start);
        let config = Arc::new(report.config.unwrap());
        let (journal, _) = Journal::open(&dir.join("state/journal"), config.journal_settings()).unwrap();
        let (producer, reader) = (journal.producer(|| {}), journal.reader());
        journal.close();
        let board = Board::open(&config).unwrap();
        let connection = Arc::new(config.connections[0].clone());
        let joined = board.join(&connection);
        let guard = Arc::new(Guard::open("in", connection.kind.socket().unwrap()).unwrap());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let entrance = Entrance { connection, listeners: vec![listener], guard };
        let rejects = Rejects::start(&dir.join("state")).unwrap();
        let parts =
            Parts { producer, entrances: vec![(entrance, joined)], journal: reader, rejects, most_peers: 9 };
        let events = EventLoop::new(&[]).unwrap();
        let (sender, orders) = channel();
        let reception = Reception { orders: sender, waker: events.waker() };
        (Running::new(parts, events, orders).unwrap(), address, reception)
    }

    #[test]
    fn a_connection_whose_messages_cannot_be_stored_does_not_leave() {
        let dir = Dir::new();
        let (mut running, address, _) = running(&dir);
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"\x0bMSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.3\r\x1c\r").unwrap();
        while !running.intake.has_group() {
            let event = running.events.wait().unwrap();
            running.handle(event, Instant::now());
        }
        let names = ["in".to_owned()];
        let why = running.leave(&names, &AtomicBool::new(false), Instant::now()).unwrap_err();
        assert_eq!(why, "1 messages of in cannot be stored yet; send SIGHUP again when they are");
        assert!(!running.intake.inputs[0].leaving, "it goes on");
        drop(TcpStream::connect(address).unwrap());
        drop(stream);
    }

    #[test]
    fn an_order_that_was_given_up_is_not_obeyed_later() {
        let dir = Dir::new();
        let (mut running, address, reception) = running(&dir);
        let why = reception.leave_within(vec!["in".to_owned()], Duration::ZERO).unwrap_err();
        assert_eq!(why, "the acceptance of messages has ended, or hangs");
        running.obey(Instant::now());
        assert!(!running.intake.inputs[0].leaving);
        drop(TcpStream::connect(address).unwrap());
    }
}
