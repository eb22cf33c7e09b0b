//! One end of an X3.28 line: neutral, bidding, master or slave.

mod link;
mod neutral;
mod receiving;
mod sending;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Settings;
use super::master::Master;
use super::reader::Reader;
use super::slave::Slave;
use super::token::{Token, encode};
use crate::llp::port::Port;
use crate::llp::queue::{Outgoing, SendQueue};
use crate::llp::{Failure, NoteKind};

/// One end of an X3.28 line.
///
/// `Delivered` means that the slave acknowledged a message's last block. A received message is acknowledged by
/// `accept`; `refuse` breaks the session off (termination interrupt), and the peer may try again later. If the program
/// says neither within timer D, the session is broken off too. The program should refuse what does not begin
/// with MSH, FHS or BHS: a peer that lost its place can begin a session in the middle of a message.
///
/// Whole blocks are given to the line at once, so this station never ends one of its own with ENQ; `cancel` of a
/// message under way ends the session with EOT (sending station abort).
///
/// Memory: the messages of the queue, one message and one block received, one block sent.
#[derive(Debug)]
pub struct Station {
    settings: Settings,
    reader: Reader,
    port: Port,
    queue: SendQueue,
    mode: Mode,
    /// The message bid for or sent; none while bidding means a line check.
    current: Option<Outgoing>,
    block: Vec<u8>,
    /// Bids made already when a collision interrupted them.
    bids: u32,
    ready: bool,
    /// The end of timer A, of timer D, or of a bid's wait.
    due: Option<Instant>,
    /// No bid before this.
    quiet_until: Option<Instant>,
    /// Line check (timer E).
    check_at: Option<Instant>,
    /// Gross timer C of the session.
    session_until: Option<Instant>,
    /// A reply that waits for `reply_delay`.
    held: Option<(Instant, Vec<u8>)>,
    /// The sessions of the messages the program has not answered for, oldest first.
    offered: VecDeque<u64>,
    sessions: u64,
    random: u64,
    closed: bool,
}

#[derive(Debug)]
enum Mode {
    Neutral,
    Bidding { tries: u32, refused: bool, contended: bool },
    Master(Master),
    Slave(Slave),
}

impl Station {
    /// A station on a quiet line, neutral, from `now` on.
    pub fn new(settings: Settings, now: Instant) -> Self {
        let check_at = settings.timer_e.map(|e| now + e);
        Self {
            reader: Reader::new(settings.clone()),
            port: Port::default(),
            queue: SendQueue::new(settings.queue),
            mode: Mode::Neutral,
            current: None,
            block: Vec::new(),
            bids: 0,
            ready: true,
            due: None,
            quiet_until: None,
            check_at,
            session_until: None,
            held: None,
            offered: VecDeque::new(),
            sessions: 0,
            random: settings.seed | 1,
            closed: false,
            settings,
        }
    }

    fn token(&mut self, token: Token, now: Instant) {
        match token {
            Token::Nak => self.port.counters.naks_in += 1,
            Token::Damaged(NoteKind::BadCount | NoteKind::TooLong) => self.port.counters.length_errors += 1,
            Token::Damaged(NoteKind::BadCheck) => self.port.counters.checksum_errors += 1,
            Token::Damaged(_) => self.port.counters.other_errors += 1,
            Token::Stale => self.port.counters.receive_timeouts += 1,
            _ => {}
        }
        match self.mode {
            Mode::Neutral => self.neutral_token(&token, now),
            Mode::Bidding { .. } => self.bid_reply(&token, now),
            Mode::Master(_) => self.master_reply(&token, now),
            Mode::Slave(_) => self.slave_token(token, now),
        }
    }

    /// Sends ENQ, as a bid or as a question, and waits for the answer.
    fn ask(&mut self, now: Instant) {
        self.say_now(&Token::Enq);
        self.due = Some(self.reply_due(0, now));
    }

    fn say_now(&mut self, token: &Token) {
        self.port.transmit(&encode(token, &self.settings));
    }

    /// Sends a reply, after `reply_delay`.
    fn say(&mut self, token: &Token, now: Instant) {
        self.port.counters.naks_out += u64::from(*token == Token::Nak);
        let bytes = encode(token, &self.settings);
        if self.settings.reply_delay.is_zero() {
            self.port.transmit(&bytes);
        } else {
            self.held = Some((now + self.settings.reply_delay, bytes));
        }
    }

    fn reply_due(&self, sent: usize, now: Instant) -> Instant {
        let sent = u32::try_from(sent).unwrap_or(u32::MAX);
        now + self.settings.timer_a + self.settings.byte_time.saturating_mul(sent)
    }

    fn fail_current(&mut self, why: Failure) {
        if let Some(current) = self.current.take() {
            self.port.failed(current.id, why);
        }
    }

    fn note(&mut self, kind: NoteKind) {
        self.port.note(kind, self.reader.offset, 0, &[]);
    }

    /// A random time up to `contention_spread` (xorshift: all it has to do is to differ between the two ends).
    fn spread(&mut self) -> Duration {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        let part = u32::try_from(self.random % 1000).unwrap_or(0);
        self.settings.contention_spread * part / 1000
    }

    fn release_held(&mut self, now: Instant) {
        if let Some((due, bytes)) = self.held.take_if(|(due, _)| now >= *due) {
            debug_assert!(due <= now);
            self.port.transmit(&bytes);
        }
    }

    /// While a token is coming in, timer B watches over it and the slave's D waits.
    fn in_block(&self) -> bool {
        matches!(&self.mode, Mode::Slave(slave) if !slave.storing) && self.reader.is_busy()
    }

    fn mode_timed_out(&mut self, now: Instant) {
        if self.in_block() || self.due.is_none_or(|due| now < due) {
            return;
        }
        match self.mode {
            Mode::Neutral => self.due = None,
            Mode::Bidding { .. } => self.bid_timed_out(now),
            Mode::Master(_) => self.master_timed_out(now),
            Mode::Slave(_) => self.slave_timed_out(now),
        }
    }

    fn session_timed_out(&mut self, now: Instant) {
        if self.session_until.is_none_or(|until| now < until) {
            return;
        }
        self.say_now(&Token::Eot);
        self.fail_current(Failure::SessionTooLong);
        if matches!(self.mode, Mode::Slave(_)) {
            self.end_slave(NoteKind::MessageAborted, self.settings.turnaround, now);
        } else {
            self.go_neutral(self.settings.pause, now);
        }
    }
}
