//! An outgoing socket: one message at a time, in order, until its receiver has it.

mod answers;
mod line;
mod passing;
mod records;
mod release2;

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use protogen_core::llp::mllp::encode_unchanged;
use protogen_journal::{Delivery, Outcome, Producer, Stored};
use protogen_sys::event_loop::EventLoop;

use self::line::Line;
use super::judge::{Expected, Judge, expected};
use super::receivers::{MAX_RECEIVERS, Receivers};
use super::token::Owner;
use super::wire::Manners;
use crate::backoff::Backoff;
use crate::board::{Board, Outbox, Trouble};
use crate::config::{Connection, Socket};
use crate::feed::Feed;
use crate::follow;
use crate::gate::Passed;
use crate::guard::Guard;
use crate::log;
use crate::metrics::Meter;

/// The message that is being delivered.
struct Current {
    stored: Stored,
    expected: Expected,
    /// It is on the wire, or was written there: when its receiver has been silent too long.
    sent: Option<Instant>,
    /// How often it was refused.
    tries: u32,
    /// How often its receiver has closed without an answer.
    closes: u32,
}

/// What the outlet wants of its owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Want {
    Nothing,
    /// A connection to its receiver, after this pause.
    Dial(Duration),
}

pub(super) struct Outlet {
    number: usize,
    name: Arc<str>,
    pub(super) socket: Socket,
    use_hl7: bool,
    manners: Manners,
    guard: Arc<Guard>,
    dump: bool,
    feed: Feed,
    producer: Arc<Producer>,
    judge: Judge,
    current: Option<Current>,
    line: Option<Line>,
    receivers: Receivers,
    /// A connection is being made.
    pub(super) dialling: bool,
    redial: Backoff,
    /// How long to wait before the next attempt.
    next_dial: Duration,
    /// Nothing is sent before.
    pause: Option<Instant>,
    retry: Backoff,
    /// What the journal has not taken.
    unrecorded: VecDeque<Delivery>,
    /// When they are offered again.
    record_at: Option<Instant>,
    dead_in_a_row: u32,
    /// Answers that named other messages, since the last that was right.
    mismatches: u32,
    board: Arc<Board>,
    outbox: Arc<Outbox>,
    meter: Arc<Meter>,
    /// What waits was changed by somebody else.
    stale: bool,
    stopping: bool,
}

impl Outlet {
    pub(super) fn new(
        number: usize,
        connection: &Connection,
        socket: &Socket,
        guard: Arc<Guard>,
        feed: Feed,
        producer: Arc<Producer>,
        (board, outbox): (Arc<Board>, Arc<Outbox>),
    ) -> Outlet {
        outbox.raise(Trouble::Down, || "no receiver since the start".to_owned());
        Outlet {
            number,
            name: connection.name.as_str().into(),
            socket: socket.clone(),
            use_hl7: connection.use_hl7,
            manners: Manners::of(connection, socket),
            guard,
            dump: connection.debug.dump,
            feed,
            producer,
            judge: Judge::new(socket.policy.match_ack),
            current: None,
            line: None,
            receivers: Receivers::default(),
            dialling: false,
            redial: Backoff::up_to(socket.policy.max_pause),
            next_dial: Duration::ZERO,
            pause: None,
            retry: Backoff::up_to(socket.policy.max_pause),
            unrecorded: VecDeque::new(),
            record_at: None,
            dead_in_a_row: 0,
            mismatches: 0,
            meter: board.meters.of(&connection.name),
            board,
            outbox,
            stale: false,
            stopping: false,
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn feed(&self) -> &Feed {
        &self.feed
    }

    /// A receiver has connected, or was connected to.
    pub(super) fn open(&mut self, stream: TcpStream, peer: &str) {
        if !self.receivers.add(stream, peer.to_owned()) {
            log::warning!(&self.name, "{peer}: refused, {MAX_RECEIVERS} receivers wait");
        } else if self.line.is_some() {
            log::info!(&self.name, "{peer}: connected, waits until the one before is gone");
        }
    }

    /// An attempt to connect has failed.
    pub(super) fn unreachable(&mut self, error: &str) -> Want {
        log::error!(&self.name, "{error}; tried again");
        self.outbox.failed(error.to_owned());
        Want::Dial(self.redial.pause())
    }

    /// Goes on as far as it can: call it whenever something has changed.
    pub(super) fn advance(&mut self, events: &mut EventLoop, now: Instant) -> Want {
        self.record_again(now);
        self.look_up_anew();
        loop {
            if self.line.is_none() && !self.take_line(events) {
                self.pass_by();
                break;
            }
            if !self.is_open(events, now) {
                break;
            }
            if !self.unrecorded.is_empty() || self.pause.is_some_and(|due| now < due) {
                break;
            }
            let is_on_its_way = self.current.as_ref().is_some_and(|current| current.sent.is_some());
            if self.outbox.is_paused() && !is_on_its_way {
                break;
            }
            self.pause = None;
            if self.current.is_none() && !self.stopping {
                match self.feed.take() {
                    Some(Passed::Wanted(stored)) => self.current = Some(self.begin(stored)),
                    Some(Passed::Unwanted(unwanted)) => {
                        self.settle_unwanted(unwanted);
                        continue;
                    }
                    None => {}
                }
            }
            match self.send(events, now) {
                // Delivered or given up at once: the next one.
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => self.hang_up(events, &error.to_string()),
            }
        }
        self.set_timers(events);
        let wants_line = !self.socket.server && self.line.is_none() && !self.dialling && !self.stopping;
        if wants_line { Want::Dial(self.next_dial) } else { Want::Nothing }
    }

    fn begin(&self, stored: Stored) -> Current {
        let expected = match expected(&stored.bytes, self.use_hl7, self.socket.use_ack) {
            Expected::Nothing if self.socket.mllp2 => Expected::Commit,
            expected => expected,
        };
        let tries = stored.tries;
        Current { stored, expected, sent: None, tries, closes: 0 }
    }

    /// Sends the current message if it was not sent; true if it is settled thereby.
    fn send(&mut self, events: &mut EventLoop, now: Instant) -> io::Result<bool> {
        let (Some(current), Some(line)) = (&mut self.current, &mut self.line) else { return Ok(false) };
        if current.sent.is_none() {
            if let Err(error) = encode_unchanged(&current.stored.bytes, &self.socket.mllp, &mut line.wire.out)
            {
                let note = format!("cannot be framed: {error}");
                self.outbox.failed(format!("message {} {note}", current.stored.sequence));
                log::error!(&self.name, "message {}: {note}", current.stored.sequence);
                log::prod!(&self.name, "not delivered: {}", current.stored.bytes.escape_ascii());
                self.settle(Outcome::Dead, note.into_bytes());
                return Ok(true);
            }
            current.sent = Some(now + self.socket.timeout);
            line.owed += 1;
            log::received_or_sent(&self.name, &line.peer, "sent", &current.stored.bytes, self.dump);
        }
        let backlog = line.wire.backlog();
        let written = line.wire.flush(events, now)?;
        if line.wire.backlog() < backlog {
            // A receiver that still takes bytes is slow, not silent.
            current.sent = Some(now + self.socket.timeout);
        }
        if written && current.expected == Expected::Nothing {
            self.settle(Outcome::Delivered, Vec::new());
            return Ok(true);
        }
        Ok(false)
    }

    /// The current message is done with.
    fn settle(&mut self, outcome: Outcome, note: Vec<u8>) {
        let Some(current) = self.current.take() else { return };
        let (sequence, named) = (current.stored.sequence, log::Named(&current.stored.bytes));
        if outcome == Outcome::Delivered {
            self.dead_in_a_row = 0;
            self.mismatches = 0;
            for trouble in [Trouble::Held, Trouble::Unanswered, Trouble::Mismatched] {
                self.outbox.clear(trouble);
            }
            self.retry.reset();
            self.redial.reset();
            self.line.iter_mut().for_each(|line| line.was_of_use = true);
            self.meter.delivered(current.stored.bytes.len(), current.stored.time);
            log::info!(&self.name, "message {sequence} delivered: {named}");
        } else {
            self.outbox.buried();
            log::error!(&self.name, "message {sequence} is a dead letter, kept in the journal: {named}");
            log::prod!(&self.name, "its answer was {}", note.escape_ascii());
        }
        self.board.followers.tell(|| follow::line(&self.name, &current.stored, outcome, &note));
        self.record(sequence, outcome, note);
    }

    /// Somebody else has changed what waits: what is not on its way is looked up anew.
    fn look_up_anew(&mut self) {
        self.stale |= self.outbox.take_stale();
        let is_on_its_way = self.current.as_ref().is_some_and(|current| current.sent.is_some());
        if self.stale && !is_on_its_way {
            self.stale = false;
            self.current = None;
            self.pause = None;
            self.feed.rewind();
        }
    }

    /// The timer of the answer or of the pause is due.
    pub(super) fn time_out(&mut self, events: &mut EventLoop, now: Instant) {
        if self.pause.is_some_and(|due| due <= now) {
            self.pause = None;
        } else if self.silent_at().is_some_and(|due| due <= now) {
            // A late answer must not be credited to the next message.
            let seconds = self.socket.timeout.as_secs_f64();
            self.hang_up(events, &format!("no answer within {seconds} s"));
        }
    }

    /// When the receiver has been silent too long.
    fn silent_at(&self) -> Option<Instant> {
        self.current.as_ref().and_then(|current| current.sent)
    }

    fn set_timers(&self, events: &mut EventLoop) {
        let due = [self.pause, self.silent_at(), self.record_at].into_iter().flatten().min();
        events.update_timer(Owner::OutletTimer(self.number).token(), due);
        let slow = self.line.as_ref().and_then(|line| line.wire.poll_timeout());
        events.update_timer(Owner::Outlet(self.number).token(), slow);
    }

    /// Begins nothing more.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Leaves the loop; its thread ends by itself. What waits stays in the journal.
    pub(super) fn close(mut self, events: &mut EventLoop) {
        if let Some(line) = self.line.take() {
            line.wire.close(events);
        }
        self.outbox.connected(None);
        self.meter.peers.store(0, Ordering::Relaxed);
        events.forget(Owner::Outlet(self.number).token());
        events.forget(Owner::OutletTimer(self.number).token());
        // The end of its thread may have to wait for the disk.
        let ending = std::thread::Builder::new().name("leaving".to_owned());
        if let Err(error) = ending.spawn(move || drop(self)) {
            log::error!(log::GENERAL, "a connection is left at once, not beside the others: {error}");
        }
    }

    /// It begins nothing more, and nothing of it is in flight.
    pub(super) fn has_left(&self) -> bool {
        self.stopping && self.is_idle()
    }

    /// Whether no answer is awaited.
    pub(super) fn is_idle(&self) -> bool {
        self.unrecorded.is_empty() && !(self.line.is_some() && self.silent_at().is_some())
    }
}
