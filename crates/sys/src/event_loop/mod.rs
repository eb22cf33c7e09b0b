//! One loop for sockets, serial lines, timers, signals and wake-ups from other threads.
//!
//! Readiness is edge-triggered: after a [`Event::Readable`] read until there is nothing more ([`drain`]), after a
//! [`Event::Writable`] write until it would block ([`push`]). Whoever stops earlier, to let others have a turn, calls
//! [`EventLoop::revisit`], or will not be told again.
//!
//! ```no_run
//! use std::time::{Duration, Instant};
//! use protogen_sys::event_loop::{Event, EventLoop, Signal, Token};
//!
//! let mut events = EventLoop::new(&[Signal::Terminate, Signal::HangUp])?;
//! events.set_timer(Token(1), Instant::now() + Duration::from_secs(5));
//! loop {
//!     match events.wait()? {
//!         Event::Signal(Signal::Terminate) => break,
//!         Event::Timer(Token(1)) => println!("five seconds are over"),
//!         _ => {}
//!     }
//! }
//! # Ok::<(), std::io::Error>(())
//! ```

mod pump;
mod signals;
mod timers;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use mio::{Interest, Registry, Token, Waker};
pub use pump::{Drained, drain, push};
pub use signals::Signal;
use signals::SignalSource;
use timers::Timers;

/// Tokens from here on belong to the loop; a program uses smaller ones.
pub const RESERVED: Token = Token(usize::MAX - 15);
const SIGNALS: Token = Token(usize::MAX);
const WAKE: Token = Token(usize::MAX - 1);
/// How many readiness events one system call gives at most; the rest waits for the next.
const CAPACITY: usize = 1024;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// There may be something to read, or the peer closed its writing end, or an error waits to be read.
    Readable(Token),
    /// There may be room to write, or a connection was made or failed.
    Writable(Token),
    /// The timer of this token is due; it is no longer set.
    Timer(Token),
    /// A signal arrived, once or several times.
    Signal(Signal),
    /// Another thread called [`Waker::wake`], once or several times.
    Woken,
}

/// The loop: owns the poller, the timers and the signals, and hands out one event at a time.
///
/// It holds one timer a token and at most 1,024 readiness events; at rest it sleeps until something happens.
/// A signal that it was made for no longer ends the process, also after the loop was dropped.
#[derive(Debug)]
pub struct EventLoop {
    poll: mio::Poll,
    ready: mio::Events,
    waker: Arc<Waker>,
    signals: SignalSource,
    timers: Timers,
    revisits: VecDeque<Token>,
    pending: VecDeque<Event>,
}

impl EventLoop {
    /// Makes a loop that reports these signals. Make it after forking, for a child shares the poller.
    ///
    /// # Errors
    /// What the system says: too many open files, as a rule.
    pub fn new(signals: &[Signal]) -> io::Result<EventLoop> {
        let poll = mio::Poll::new()?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let signals = SignalSource::new(poll.registry(), SIGNALS, signals)?;
        Ok(EventLoop {
            poll,
            ready: mio::Events::with_capacity(CAPACITY),
            waker,
            signals,
            timers: Timers::default(),
            revisits: VecDeque::new(),
            pending: VecDeque::new(),
        })
    }

    /// Where sources are registered, under tokens below [`RESERVED`].
    #[must_use]
    pub fn registry(&self) -> &Registry {
        self.poll.registry()
    }

    /// Wakes the loop from another thread.
    #[must_use]
    pub fn waker(&self) -> Arc<Waker> {
        Arc::clone(&self.waker)
    }

    /// Sets the timer of `token`, instead of the one that it had. A time that is past is due at once.
    pub fn set_timer(&mut self, token: Token, due: Instant) {
        self.timers.set(token, due);
    }

    /// Sets or clears the timer of `token`, as a protocol machine's `poll_timeout` says.
    pub fn update_timer(&mut self, token: Token, due: Option<Instant>) {
        match due {
            Some(due) => self.timers.set(token, due),
            None => self.timers.clear(token),
        }
    }

    /// Clears the timer of `token`. An event of it that [`wait`](EventLoop::wait) has not given yet is taken back.
    pub fn clear_timer(&mut self, token: Token) {
        self.timers.clear(token);
        self.pending.retain(|event| *event != Event::Timer(token));
    }

    /// Reports `token` as readable again, after everything else that has happened meanwhile.
    pub fn revisit(&mut self, token: Token) {
        if !self.revisits.contains(&token) {
            self.revisits.push_back(token);
        }
    }

    /// Takes back every event and timer of a token whose source is closed, so that the token can be used again.
    pub fn forget(&mut self, token: Token) {
        self.timers.clear(token);
        self.revisits.retain(|one| *one != token);
        self.pending.retain(|event| !matches!(event, Event::Readable(t) | Event::Writable(t) | Event::Timer(t) if *t == token));
    }

    /// Whether every event that was collected has been handed out: the next [`wait`](EventLoop::wait) asks the system.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty()
    }

    /// Waits for the next event.
    ///
    /// # Errors
    /// What the system says about polling; the loop cannot go on then.
    pub fn wait(&mut self) -> io::Result<Event> {
        loop {
            if let Some(event) = self.wait_within(None)? {
                return Ok(event);
            }
        }
    }

    /// Waits for the next event, at most for `limit`; `None` when the limit was reached.
    ///
    /// # Errors
    /// As [`wait`](EventLoop::wait).
    pub fn wait_within(&mut self, limit: Option<Duration>) -> io::Result<Option<Event>> {
        let end = limit.map(|limit| Instant::now() + limit);
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(Some(event));
            }
            self.collect(end)?;
            if self.pending.is_empty() && end.is_some_and(|end| Instant::now() >= end) {
                return Ok(None);
            }
        }
    }

    /// One turn: polls, and queues what happened. Signals come first, since they may end the program; then what is
    /// ready, timers that are due, and revisits.
    fn collect(&mut self, end: Option<Instant>) -> io::Result<()> {
        let revisits = std::mem::take(&mut self.revisits);
        let wake_at = self.timers.next_due().into_iter().chain(end).min();
        let timeout = if revisits.is_empty() {
            wake_at.map(|due| due.saturating_duration_since(Instant::now()))
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(&mut self.ready, timeout) {
            // A signal: its pipe is readable in the next turn.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.ready.clear(),
            other => other?,
        }
        if self.ready.iter().any(|event| event.token() == SIGNALS) {
            self.pending.extend(self.signals.pending().map(Event::Signal));
        }
        for event in &self.ready {
            match event.token() {
                SIGNALS => {}
                WAKE => self.pending.push_back(Event::Woken),
                token => {
                    let closed = event.is_read_closed() || event.is_error();
                    if event.is_readable() || closed {
                        self.pending.push_back(Event::Readable(token));
                    }
                    if event.is_readable() && closed {
                        // `drain` stops at a short read; the end behind it was told already, and will not be again.
                        self.pending.push_back(Event::Readable(token));
                    }
                    if event.is_writable() || event.is_write_closed() {
                        self.pending.push_back(Event::Writable(token));
                    }
                }
            }
        }
        let now = Instant::now();
        while let Some(token) = self.timers.take_due(now) {
            self.pending.push_back(Event::Timer(token));
        }
        for token in revisits {
            let event = Event::Readable(token);
            if !self.pending.contains(&event) {
                self.pending.push_back(event);
            }
        }
        Ok(())
    }
}
