//! One end of an X3.28 line: neutral, bidding, master or slave.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::blocks::Cut;
use super::master::{Master, Step};
use super::reader::Reader;
use super::slave::{Answer, Slave};
use super::token::{Token, ack_number, check_text, encode, encode_block};
use super::{Priority, Settings};
use crate::llp::port::Port;
use crate::llp::queue::{Outgoing, SendQueue, with_final_cr};
use crate::llp::{Counters, Event, Failure, Kind, Link, Note, NoteKind, SendError, SendId};

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

    // ---- neutral ----------------------------------------------------------------------------------------------

    fn neutral_token(&mut self, token: &Token, now: Instant) {
        match token {
            Token::Enq => {
                self.greet(false, now);
            }
            // The echo of a session that ended differently for the two sides.
            Token::Eot => {}
            Token::Ack(_) | Token::Nak | Token::Rint => self.note(NoteKind::StrayReply),
            // Without a session a block is not answered (the sender's timer A will run out).
            Token::Block(_) | Token::Aborted | Token::Damaged(_) | Token::Stale => self.note(NoteKind::Junk),
        }
        self.restart_line_check(now);
    }

    /// Answers a bid: ACK 0 and a session, or NAK when we are not ready. Says whether there is a session.
    fn greet(&mut self, yielded: bool, now: Instant) -> bool {
        if !self.ready || self.offered.len() >= self.settings.queue {
            self.say(&Token::Nak, now);
            return false;
        }
        let greeting = Token::Ack(ack_number(0, self.settings.ack));
        self.say(&greeting, now);
        self.begin_session(now);
        self.mode = Mode::Slave(Slave::new(self.sessions, greeting, yielded));
        self.due = Some(now + self.settings.timer_d);
        true
    }

    fn begin_session(&mut self, now: Instant) {
        self.bids = 0;
        self.sessions += 1;
        self.port.counters.sessions += 1;
        self.session_until = self.settings.timer_c.map(|c| now + c);
        self.check_at = None;
    }

    fn go_neutral(&mut self, quiet: Duration, now: Instant) {
        self.mode = Mode::Neutral;
        self.due = None;
        self.session_until = None;
        self.quiet_until = Some(now + quiet);
        self.restart_line_check(now);
    }

    fn restart_line_check(&mut self, now: Instant) {
        let neutral = matches!(self.mode, Mode::Neutral);
        self.check_at = if neutral { self.settings.timer_e.map(|e| now + e) } else { None };
    }

    /// Neutral, quiet long enough, and nobody in the middle of a word: bid, if there is a message or a line check due.
    fn start_next(&mut self, now: Instant) {
        let free = matches!(self.mode, Mode::Neutral) && !self.reader.is_busy() && self.held.is_none();
        let quiet = self.quiet_until.is_none_or(|until| now >= until);
        let check = self.check_at.is_some_and(|at| now >= at);
        if self.closed || !free || !quiet || (self.queue.is_empty() && !check) {
            return;
        }
        self.current = self.queue.pop();
        self.quiet_until = None;
        self.check_at = None;
        let tries = std::mem::take(&mut self.bids) + 1;
        self.mode = Mode::Bidding { tries, refused: false, contended: false };

        self.ask(now);
    }

    // ---- bidding ----------------------------------------------------------------------------------------------

    fn bid_reply(&mut self, token: &Token, now: Instant) {
        let greeting = Token::Ack(ack_number(0, self.settings.ack));
        match token {
            token if *token == greeting => self.begin_master(now),
            Token::Enq => self.contention(now),
            // Our last EOT was lost: the peer still answers in the session before. Timer A will bid again.
            Token::Ack(_) | Token::Rint => self.say_now(&Token::Eot),
            Token::Nak | Token::Eot => {
                if let Mode::Bidding { refused, .. } = &mut self.mode {
                    *refused = true;
                }
            }
            Token::Block(_) | Token::Aborted | Token::Damaged(_) | Token::Stale => self.note(NoteKind::Junk),
        }
    }

    /// Both sides bid. The high one goes on, the low one gives way.
    fn contention(&mut self, now: Instant) {
        self.note(NoteKind::Contention);
        if self.settings.priority == Priority::High {
            if let Mode::Bidding { contended, .. } = &mut self.mode {
                *contended = true;
            }
        } else if self.greet(true, now)
            && let Some(current) = self.current.take()
        {
            self.queue.put_back(current);
        }
    }

    fn bid_timed_out(&mut self, now: Instant) {
        let Mode::Bidding { tries, refused, contended } = &mut self.mode else { return };
        self.port.counters.connect_timeouts += 1;
        if *tries < self.settings.bids && *contended {
            // The peer did not give way either: both are high. Whoever waits longer becomes the slave.
            self.bids = *tries;
            if let Some(current) = self.current.take() {
                self.queue.put_back(current);
            }
            let spread = self.spread();
            return self.go_neutral(spread, now);
        }
        if *tries < self.settings.bids {
            *tries += 1;
            *refused = false;
            return self.ask(now);
        }
        let why = if *refused { Failure::Refused(None) } else { Failure::NoAnswer(*tries) };
        if self.current.is_none() {
            self.note(NoteKind::LineDown);
        }
        self.say_now(&Token::Eot);
        self.fail_current(why);
        self.go_neutral(self.settings.pause, now);
    }

    // ---- master -----------------------------------------------------------------------------------------------

    fn begin_master(&mut self, now: Instant) {
        self.begin_session(now);
        match &self.current {
            // The line check has found the peer.
            None => {
                self.say_now(&Token::Eot);
                self.go_neutral(self.settings.turnaround, now);
            }
            Some(current) => {
                let cut = Cut::at(0, &current.message, &self.settings);
                self.mode = Mode::Master(Master::new(cut));
                self.transmit_block(now);
            }
        }
    }

    fn transmit_block(&mut self, now: Instant) {
        let (Mode::Master(master), Some(current)) = (&self.mode, &self.current) else { return };
        let (text, last) = (master.cut.text(&current.message), master.cut.is_last(&current.message));
        encode_block(master.number(), text, last, &self.settings, &mut self.block);
        self.port.transmit(&self.block);
        self.port.counters.blocks_out += 1;
        self.due = Some(self.reply_due(self.block.len(), now));
    }

    fn master_reply(&mut self, token: &Token, now: Instant) {
        if let Mode::Master(master) = &mut self.mode {
            let step = master.reply(token, &self.settings);
            if *token == Token::Nak {
                self.note(NoteKind::Nak);
            }
            self.take_step(step, now);
        }
    }

    fn master_timed_out(&mut self, now: Instant) {
        if let Mode::Master(master) = &mut self.mode {
            let step = master.timeout(&self.settings);
            self.port.counters.receive_timeouts += 1;
            self.note(NoteKind::NoAnswer);
            self.take_step(step, now);
        }
    }

    fn take_step(&mut self, step: Step, now: Instant) {
        match step {
            Step::Wait => {}
            Step::Acknowledged => self.next_block(now),
            Step::Resend => {
                self.port.counters.retries += 1;
                self.transmit_block(now);
            }
            Step::Enquire => self.ask(now),
            Step::Interrupted => self.interrupted(now),
            Step::GiveUp(why) => {
                self.say_now(&Token::Eot);
                self.fail_current(why);
                self.go_neutral(self.settings.pause, now);
            }
        }
    }

    fn next_block(&mut self, now: Instant) {
        let (Mode::Master(master), Some(current)) = (&mut self.mode, &self.current) else { return };
        if !master.cut.is_last(&current.message) {
            master.advance(master.cut.next(&current.message, &self.settings));
            return self.transmit_block(now);
        }
        self.port.delivered(current.id);
        self.current = None;
        let may_go_on = !master.interrupted && master.messages < self.settings.session_messages;
        if may_go_on && let Some(next) = self.queue.pop() {
            master.messages += 1;
            master.advance(Cut::at(0, &next.message, &self.settings));
            self.current = Some(next);
            return self.transmit_block(now);
        }
        // A slave that asked for the line gets time to bid for it.
        let quiet = if master.interrupted { self.settings.timer_a } else { self.settings.turnaround };
        self.say_now(&Token::Eot);
        self.go_neutral(quiet, now);
    }

    /// Termination interrupt: the block was not accepted, the session is over, the whole message is tried later.
    fn interrupted(&mut self, now: Instant) {
        if let Some(mut current) = self.current.take() {
            if current.tries < self.settings.session_retries {
                current.tries += 1;
                self.port.counters.retries += 1;
                self.note(NoteKind::MessageAborted);
                self.queue.put_back(current);
            } else {
                self.port.failed(current.id, Failure::Interrupted);
            }
        }
        self.go_neutral(self.settings.pause, now);
    }

    // ---- slave ------------------------------------------------------------------------------------------------

    fn slave_token(&mut self, token: Token, now: Instant) {
        // A reply is on its way already, later than the peer thought.
        if self.held.is_some() && token == Token::Enq {
            return;
        }
        let Mode::Slave(slave) = &mut self.mode else { return };
        self.port.counters.blocks_in += u64::from(matches!(token, Token::Block(_)));
        let (answer, note) = slave.handle(token, &self.settings);
        if let Some(kind) = note {
            self.note(kind);
        }
        self.answer(answer, now);
    }

    fn answer(&mut self, answer: Answer, now: Instant) {
        let Mode::Slave(slave) = &mut self.mode else { return };
        match answer {
            // Storing has a timer of its own, which the master's impatience does not stretch.
            Answer::Silence if slave.storing => return,
            Answer::Silence => {}
            Answer::Reply(token) => self.say(&token, now),
            Answer::Acknowledge(number) => self.acknowledge(number, now),
            Answer::Refuse(kind) => {
                slave.said(&Token::Nak);
                self.note(kind);
                self.say(&Token::Nak, now);
            }
            Answer::Store(message) => {
                self.offered.push_back(slave.session);
                self.port.message(message, None);
            }
            Answer::BreakOff => {
                self.port.counters.length_errors += 1;
                self.note(NoteKind::TooLong);
                return self.break_off(now);
            }
            Answer::End => return self.end_slave(NoteKind::MessageAborted, Duration::ZERO, now),
            Answer::Restart => {
                let spread = self.spread();
                return self.end_slave(NoteKind::Contention, spread, now);
            }
        }
        self.due = Some(now + self.settings.timer_d);
    }

    fn acknowledge(&mut self, number: u8, now: Instant) {
        let Mode::Slave(slave) = &mut self.mode else { return };
        let urgent = self.settings.rint && self.queue.has_urgent() && slave.may_interrupt();
        let reply = if urgent { Token::Rint } else { Token::Ack(ack_number(number, self.settings.ack)) };
        slave.said(&reply);
        self.say(&reply, now);
    }

    /// Termination interrupt: we cannot go on.
    fn break_off(&mut self, now: Instant) {
        self.say(&Token::Eot, now);
        self.end_slave(NoteKind::MessageAborted, self.settings.turnaround, now);
    }

    fn end_slave(&mut self, kind: NoteKind, quiet: Duration, now: Instant) {
        if let Mode::Slave(slave) = &mut self.mode {
            let partial = std::mem::take(&mut slave.partial);
            if !partial.is_empty() {
                let shown = &partial[..partial.len().min(Note::SHOWN)];
                self.port.note(kind, self.reader.offset, partial.len() as u64, shown);
            }
            self.go_neutral(quiet, now);
        }
    }

    fn slave_timed_out(&mut self, now: Instant) {
        let Mode::Slave(slave) = &self.mode else { return };
        self.port.counters.receive_timeouts += 1;
        if slave.storing {
            self.note(NoteKind::NotStored);
            self.break_off(now);
        } else {
            self.end_slave(NoteKind::MessageAborted, Duration::ZERO, now);
        }
    }

    /// The program's word on the oldest message it was given.
    fn stored(&mut self, stored: bool, now: Instant) {
        let session = self.offered.pop_front();
        match &mut self.mode {
            Mode::Slave(slave)
                if slave.storing && session == Some(slave.session) && self.offered.is_empty() =>
            {
                slave.storing = false;
                let number = slave.accepted();
                if stored {
                    self.acknowledge(number, now);
                    self.due = Some(now + self.settings.timer_d);
                } else {
                    self.break_off(now);
                }
            }
            _ => self.note(NoteKind::LateAnswer),
        }
    }

    // ---- common -----------------------------------------------------------------------------------------------

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

impl Link for Station {
    fn handle_input(&mut self, mut input: &[u8], now: Instant) {
        if self.closed {
            return;
        }
        self.port.counters.bytes_in += input.len() as u64;
        while let Some(token) = self.reader.decode(&mut input, now) {
            self.token(token, now);
        }
        self.start_next(now);
    }

    fn handle_eof(&mut self, now: Instant) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if let Some(current) = self.current.take() {
            self.port.counters.network_errors += 1;
            self.port.failed(current.id, Failure::Disconnected);
        }
        self.queue.close(Failure::Disconnected, &mut self.port);
        self.end_slave(NoteKind::EndOfInput, Duration::ZERO, now);
        self.go_neutral(Duration::ZERO, now);
        self.held = None;
        self.port.event(Event::Closed);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.closed {
            return;
        }
        self.release_held(now);
        if let Some(token) = self.reader.handle_timeout(now) {
            self.token(token, now);
        }
        self.mode_timed_out(now);
        self.session_timed_out(now);
        self.start_next(now);
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.port.poll_transmit(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.closed {
            return None;
        }
        let busy = self.reader.is_busy();
        let neutral = matches!(self.mode, Mode::Neutral);
        let may_bid = neutral && !busy && self.held.is_none();
        let bid = if may_bid && !self.queue.is_empty() { self.quiet_until } else { None };
        // A line check, too, waits for the end of the quiet time.
        let check = if may_bid { self.check_at.max(self.check_at.and(self.quiet_until)) } else { None };
        let due = if self.in_block() { None } else { self.due };
        let held = self.held.as_ref().map(|(due, _)| *due);
        [self.reader.poll_timeout(), bid, check, due, held, self.session_until].into_iter().flatten().min()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.port.poll_event()
    }

    fn send(&mut self, message: &[u8], kind: Kind, now: Instant) -> Result<SendId, SendError> {
        self.queue.check()?;
        if message.is_empty() {
            return Err(SendError::Empty);
        }
        let message = with_final_cr(message);
        if message.len() > self.settings.max_message {
            return Err(SendError::TooLong(self.settings.max_message));
        }
        check_text(&message, &self.settings)?;
        let id = self.queue.push(message, kind);
        self.start_next(now);
        Ok(id)
    }

    fn accept(&mut self, now: Instant) {
        self.stored(true, now);
        self.start_next(now);
    }

    fn refuse(&mut self, now: Instant) {
        self.stored(false, now);
        self.start_next(now);
    }

    fn cancel(&mut self, id: SendId, now: Instant) -> bool {
        if self.queue.cancel(id) {
            self.port.failed(id, Failure::Cancelled);
        } else if self.current.as_ref().is_some_and(|current| current.id == id) {
            self.say_now(&Token::Eot);
            self.fail_current(Failure::Cancelled);
            self.go_neutral(self.settings.turnaround, now);
        } else {
            return false;
        }
        true
    }

    fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
    }

    fn is_idle(&self) -> bool {
        matches!(self.mode, Mode::Neutral) && self.queue.is_empty() && !self.reader.is_busy()
    }

    fn counters(&self) -> &Counters {
        &self.port.counters
    }
}
