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
mod replies;
mod sink;
mod token;
mod wire;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use protogen_journal::{Completion, Delivery, Journal, Producer, Refusal};
use protogen_sys::event_loop::{Event, EventLoop, Signal, Waker};
use protogen_sys::log::Log;

use crate::board::Board;
use crate::config::Kind;
use crate::feed::Feed;
use crate::log;
pub(crate) use acceptance::{Acceptance, Parts as AcceptanceParts, Reception};
use doors::Doors;
pub(crate) use doors::Entrance;
use doors::Opened;
use outlet::{Outlet, Want};
pub(crate) use receivers::MAX_RECEIVERS;
use token::{Owner, PRUNE_TIMER};

/// How long the end may take: what is in flight is finished, the rest is in the journal.
const END: Duration = Duration::from_secs(4);
/// How often kept messages are looked through for what may go.
const PRUNE: Duration = Duration::from_secs(60);

/// The loop of the outgoing sockets. Each outgoing connection has the same number here and in the doors.
pub(crate) struct Engine {
    events: EventLoop,
    journal: Arc<Journal>,
    board: Arc<Board>,
    log: Log,
    doors: Doors,
    acceptance: Acceptance,
    /// `None` for one that has left.
    outlets: Vec<Option<Outlet>>,
    /// Those that are new, until the one of the same name before them has left.
    entering: Vec<Entrance>,
    orders: Receiver<Order>,
    on_signal: Box<dyn Fn(Signal)>,
    producer: Arc<Producer>,
    results: Vec<Completion>,
    buffer: Vec<u8>,
}

/// What [`Engine::new`] needs.
pub(crate) struct Parts {
    pub(crate) events: EventLoop,
    pub(crate) journal: Arc<Journal>,
    pub(crate) log: Log,
    /// The outgoing connections.
    pub(crate) entrances: Vec<Entrance>,
    pub(crate) board: Arc<Board>,
    pub(crate) acceptance: Acceptance,
    /// Changes of the configuration, from [`Dispatch`].
    pub(crate) orders: Receiver<Order>,
    /// Is told of signals that others obey; must not wait.
    pub(crate) on_signal: Box<dyn Fn(Signal)>,
}

/// A change of the configuration.
pub(crate) struct Order {
    /// These finish what is in flight, and go.
    leave: Vec<String>,
    /// These come.
    enter: Vec<Entrance>,
}

/// The way to the loop for changes of the configuration.
pub(crate) struct Dispatch {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

impl Dispatch {
    /// The way to the loop of these events, and its other end.
    pub(crate) fn to(events: &EventLoop) -> (Dispatch, Receiver<Order>) {
        let (orders, receiver) = channel();
        (Dispatch { orders, waker: events.waker() }, receiver)
    }

    /// Lets some connections finish what is in flight and go, and others come.
    pub(crate) fn change(&self, leave: Vec<String>, enter: Vec<Entrance>) {
        // Fails only when the loop is gone.
        let _ = self.orders.send(Order { leave, enter });
        let _ = self.waker.wake();
    }
}

impl Engine {
    pub(crate) fn new(parts: Parts) -> io::Result<Engine> {
        let Parts { events, journal, log, entrances, board, acceptance, orders, on_signal } = parts;
        let waker = events.waker();
        // Fails only when the loop is gone.
        let producer = Arc::new(journal.producer(move || drop(waker.wake())));
        let doors = Doors::new(&events);
        let mut engine = Engine {
            events,
            journal,
            board,
            log,
            doors,
            acceptance,
            outlets: Vec::new(),
            entering: Vec::new(),
            orders,
            on_signal,
            producer,
            results: Vec::new(),
            buffer: vec![0; 64 << 10],
        };
        for entrance in entrances {
            engine.enter(entrance)?;
        }
        Ok(engine)
    }

    fn enter(&mut self, entrance: Entrance) -> io::Result<()> {
        let (connection, guard) = (Arc::clone(&entrance.connection), Arc::clone(&entrance.guard));
        let (Kind::SocketOut(socket), Some(outbox)) = (&connection.kind, self.board.outbox(&connection.name))
        else {
            return Ok(());
        };
        outbox.served_by(self.events.waker());
        let feed = Feed::of(&self.journal, &connection, &outbox, self.events.waker())?;
        let seen_by = (Arc::clone(&self.board), outbox);
        let records = Arc::clone(&self.producer);
        let number = self.doors.add(entrance, &self.events)?;
        let outlet = Outlet::new(number, &connection, socket, guard, feed, records, seen_by);
        // What an earlier run left.
        outlet.feed().bell().ring();
        self.outlets.push(Some(outlet));
        Ok(())
    }

    /// Serves until SIGTERM or SIGINT, then finishes what is in flight.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let now = Instant::now();
        for outlet in 0..self.outlets.len() {
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
        self.acceptance.join()
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
                    if let (Event::Readable(_), Some(Some(outlet))) = (event, self.outlets.get_mut(number)) {
                        outlet.read(&mut self.events, &mut self.buffer, now);
                    }
                    self.advance(number, now);
                }
                Owner::OutletTimer(number) => {
                    if let Some(Some(outlet)) = self.outlets.get_mut(number) {
                        outlet.time_out(&mut self.events, now);
                    }
                    self.advance(number, now);
                }
                Owner::Dial(number) => self.doors.dial(number),
                Owner::Client(_) => {}
            },
            Event::Signal(signal) => {
                if signal == Signal::HangUp
                    && let Err(error) = self.log.reopen()
                {
                    log::error!(log::GENERAL, "{error}");
                }
                (self.on_signal)(signal);
            }
            Event::Woken => self.woken(now),
            _ => {}
        }
        self.replace(now);
    }

    /// The journal has results, a feed has messages, a connection was made, or the configuration has changed.
    fn woken(&mut self, now: Instant) {
        self.producer.completions(&mut self.results);
        for result in std::mem::take(&mut self.results) {
            if let Completion::Unrecorded { delivery, refusal } = result {
                self.unrecorded(delivery, refusal);
            }
        }
        while let Some((number, opened)) = self.doors.dialled() {
            self.dialled(number, opened, now);
        }
        while let Ok(Order { leave, enter }) = self.orders.try_recv() {
            for (number, outlet) in self.outlets.iter_mut().enumerate() {
                if let Some(outlet) =
                    outlet.as_mut().filter(|outlet| leave.iter().any(|name| name == outlet.name()))
                {
                    outlet.stop();
                    self.doors.shut_one(number, &mut self.events);
                }
            }
            self.entering.extend(enter);
        }
        for outlet in 0..self.outlets.len() {
            self.advance(outlet, now);
        }
    }

    /// Those that leave go as soon as nothing of theirs is in flight; then others of the same name may come.
    fn replace(&mut self, now: Instant) {
        for outlet in &mut self.outlets {
            if let Some(outlet) = outlet.take_if(|outlet| outlet.has_left()) {
                log::info!(outlet.name(), "has left the configuration, or changes");
                outlet.close(&mut self.events);
            }
        }
        if self.entering.is_empty() {
            return;
        }
        let is_there =
            |outlets: &[Option<Outlet>], name: &str| outlets.iter().flatten().any(|one| one.name() == name);
        let (waiting, ready) = std::mem::take(&mut self.entering)
            .into_iter()
            .partition(|entrance| is_there(&self.outlets, &entrance.connection.name));
        self.entering = waiting;
        let ready: Vec<Entrance> = ready;
        for entrance in ready {
            let name = entrance.connection.name.clone();
            match self.enter(entrance) {
                Ok(()) => self.advance(self.outlets.len() - 1, now),
                Err(error) => log::critical!(&name, "cannot be served: {error}"),
            }
        }
    }

    fn unrecorded(&mut self, delivery: Delivery, refusal: Refusal) {
        log::error!(
            &delivery.output,
            "message {}: its delivery is not recorded: {refusal}",
            delivery.sequence
        );
        let outlet = self.outlets.iter_mut().flatten().find(|outlet| outlet.name() == &*delivery.output);
        if let (Some(outlet), Refusal::Full | Refusal::Failed | Refusal::TooMany) = (outlet, refusal) {
            outlet.not_recorded(delivery);
        }
    }

    fn advance(&mut self, number: usize, now: Instant) {
        let Some(Some(outlet)) = self.outlets.get_mut(number) else { return };
        if let Want::Dial(pause) = outlet.advance(&mut self.events, now) {
            outlet.dialling = true;
            self.doors.dial_after(number, pause, &mut self.events, now);
        }
    }

    fn dialled(&mut self, number: usize, opened: Result<Opened, String>, now: Instant) {
        let Some(Some(outlet)) = self.outlets.get_mut(number) else { return };
        match opened {
            Ok(Opened { stream, peer, .. }) => {
                outlet.dialling = false;
                outlet.open(stream, &peer);
                self.advance(number, now);
            }
            Err(error) => {
                if let Want::Dial(pause) = outlet.unreachable(&error) {
                    self.doors.dial_after(number, pause, &mut self.events, now);
                }
            }
        }
    }

    fn accept(&mut self, listener: usize, now: Instant) {
        let outlets = &mut self.outlets;
        self.doors.accept(listener, &mut self.events, now, |Opened { number, stream, peer }, _| {
            if let Some(Some(outlet)) = outlets.get_mut(number) {
                outlet.open(stream, &peer);
            }
        });
        for outlet in 0..self.outlets.len() {
            self.advance(outlet, now);
        }
    }

    /// Begins nothing more, finishes what is in flight, and leaves the rest to the journal.
    fn end(&mut self) -> io::Result<()> {
        self.entering.clear();
        self.outlets.iter_mut().flatten().for_each(Outlet::stop);
        self.doors.shut(&self.events);
        let due = Instant::now() + END;
        while !self.outlets.iter().flatten().all(Outlet::is_idle) {
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
        self.outlets.iter().flatten().for_each(|outlet| outlet.feed().bell().stop());
        self.outlets.clear();
        Ok(())
    }
}
