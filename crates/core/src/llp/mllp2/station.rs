//! Both roles of a release 2 connection.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use super::{ACK, NAK, Settings};
use crate::llp::mllp::{Decoder, Frame, Item, encode, report};
use crate::llp::port::Port;
use crate::llp::queue::{Outgoing, SendQueue};
use crate::llp::{Counters, Event, Failure, Kind, Link, NoteKind, SendError, SendId};

/// One end of an MLLP release 2 connection.
///
/// The program says `accept` when a message is stored (commit ACK) and `refuse` when it could not be (commit NAK).
/// There is no timer on that: a program that takes too long will see the peer's repetition, which is dropped, and
/// then the peer's failure.
///
/// Memory: one unfinished frame, `queue` messages to send, and the length and hash of `queue` messages that wait
/// to be stored; a content block beyond those is dropped with a note and gets no commit.
#[derive(Debug)]
pub struct Station {
    decoder: Decoder,
    roles: Roles,
}

/// All but the decoder, which lends out what it found while the roles deal with it.
#[derive(Debug)]
struct Roles {
    settings: Settings,
    port: Port,
    queue: SendQueue,
    current: Option<Outgoing>,
    source: Source,
    /// Content blocks sent for which no commit block has come.
    owed: u32,
    /// What the program was given and has not answered for, oldest first.
    offered: VecDeque<Fingerprint>,
}

/// What the source waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Free,
    /// A commit block.
    Commit(Instant),
    /// The end of the pause after a NAK.
    Pause(Instant),
    /// Commit blocks that repetitions may still cause: taken for the next message's they would hide its loss.
    Settle(Instant),
}

/// Tells a repeated content block from another one: length and a 64-bit hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fingerprint(usize, u64);

impl Fingerprint {
    fn of(message: &[u8]) -> Self {
        let mut hasher = DefaultHasher::new();
        message.hash(&mut hasher);
        Self(message.len(), hasher.finish())
    }
}

impl Station {
    /// A station at the start of a connection.
    pub fn new(settings: Settings) -> Self {
        let decoder = Decoder::new(settings.framing.clone());
        let queue = SendQueue::new(settings.queue);
        let roles = Roles {
            settings,
            port: Port::default(),
            queue,
            current: None,
            source: Source::Free,
            owed: 0,
            offered: VecDeque::new(),
        };
        Self { decoder, roles }
    }
}

impl Roles {
    // ---- source -----------------------------------------------------------------------------------------------

    fn start_next(&mut self, now: Instant) {
        if self.source != Source::Free {
            return;
        }
        self.current = self.queue.pop();
        self.transmit_current(now);
    }

    fn transmit_current(&mut self, now: Instant) {
        let Some(current) = &mut self.current else { return };
        current.tries = current.tries.saturating_add(1);
        self.owed += 1;
        self.port.transmit(&current.message);
        self.port.counters.blocks_out += 1;
        self.port.counters.retries += u64::from(current.tries > 1);
        self.source = Source::Commit(now + self.settings.commit_timeout);
    }

    fn committed(&mut self, ack: bool, at: u64, now: Instant) {
        self.port.counters.naks_in += u64::from(!ack);
        if self.owed == 0 {
            self.port.counters.other_errors += 1;
            return self.port.note(NoteKind::StrayCommit, at, 0, &[]);
        }
        self.owed -= 1;
        match (&self.current, ack) {
            (None, _) if self.owed == 0 => {
                self.source = Source::Free;
                self.start_next(now);
            }
            (None, _) => {}
            (Some(_), true) => self.finish(Ok(()), now),
            // The answer to an earlier copy; the last one may still be accepted.
            (Some(_), false) if self.owed > 0 => {}
            (Some(current), false) => {
                if current.tries > self.settings.retries {
                    self.finish(Err(Failure::Refused(None)), now);
                } else {
                    self.port.note(NoteKind::Nak, at, 0, &[]);
                    self.source = Source::Pause(now + self.settings.retry_pause);
                }
            }
        }
    }

    fn commit_timed_out(&mut self, now: Instant) {
        self.port.counters.receive_timeouts += 1;
        let tries = self.current.as_ref().map_or(0, |c| c.tries);
        if tries > self.settings.retries {
            self.finish(Err(Failure::NoAnswer(tries)), now);
        } else {
            self.port.note(NoteKind::NoAnswer, 0, 0, &[]);
            self.transmit_current(now);
        }
    }

    fn finish(&mut self, result: Result<(), Failure>, now: Instant) {
        let Some(current) = self.current.take() else { return };
        match result {
            Ok(()) => self.port.delivered(current.id),
            Err(why) => self.port.failed(current.id, why),
        }
        if self.owed > 0 {
            self.source = Source::Settle(now + self.settings.commit_timeout);
        } else {
            self.source = Source::Free;
            self.start_next(now);
        }
    }

    /// The time of a repetition, a pause or a settling has come.
    fn source_timeout(&mut self, now: Instant) {
        match self.source {
            Source::Commit(due) if now >= due => self.commit_timed_out(now),
            Source::Pause(due) if now >= due => self.transmit_current(now),
            Source::Settle(due) if now >= due => {
                self.owed = 0;
                self.source = Source::Free;
                self.start_next(now);
            }
            _ => {}
        }
    }

    // ---- destination ------------------------------------------------------------------------------------------

    fn found(&mut self, item: Item<'_>, now: Instant) {
        match &item {
            Item::Commit(ack, at) => self.committed(*ack, *at, now),
            Item::Frame(frame) => {
                let frame = *frame;
                self.content(item, &frame);
            }
            Item::Dropped(_) => {
                report(item, &mut self.port);
            }
        }
    }

    fn content(&mut self, item: Item<'_>, frame: &Frame<'_>) {
        let fingerprint = Fingerprint::of(frame.message);
        let count = frame.message.len() as u64;
        if self.offered.contains(&fingerprint) {
            self.port.note(NoteKind::Duplicate, frame.offset, count, &[]);
        } else if self.offered.len() >= self.settings.queue {
            self.port.note(NoteKind::NotStored, frame.offset, count, &[]);
        } else {
            self.offered.push_back(fingerprint);
            report(item, &mut self.port);
        }
    }

    fn commit(&mut self, byte: u8) {
        if self.offered.pop_front().is_none() || self.queue.is_closed() {
            return self.port.note(NoteKind::LateAnswer, 0, 0, &[]);
        }
        let framing = &self.settings.framing;
        self.port.transmit(&framing.sob);
        self.port.transmit(&[byte]);
        self.port.transmit(&framing.eod);
        self.port.transmit(&framing.eob);
        self.port.counters.naks_out += u64::from(byte == NAK);
    }
}

impl Link for Station {
    fn handle_input(&mut self, mut input: &[u8], now: Instant) {
        if self.roles.queue.is_closed() {
            return;
        }
        self.roles.port.counters.bytes_in += input.len() as u64;
        while let Some(item) = self.decoder.decode(&mut input, now) {
            self.roles.found(item, now);
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        let roles = &mut self.roles;
        if roles.queue.is_closed() {
            return;
        }
        // What is whole but for its last delimiter is delivered even now; it can no longer be committed.
        if let Some(item) = self.decoder.handle_eof() {
            report(item, &mut roles.port);
        }
        if let Some(current) = roles.current.take() {
            roles.port.counters.network_errors += 1;
            roles.port.failed(current.id, Failure::Disconnected);
        }
        roles.queue.close(Failure::Disconnected, &mut roles.port);
        roles.source = Source::Free;
        roles.offered.clear();
        roles.port.event(Event::Closed);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(item) = self.decoder.handle_timeout(now) {
            self.roles.found(item, now);
        }
        self.roles.source_timeout(now);
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.roles.port.poll_transmit(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let source = match self.roles.source {
            Source::Free => None,
            Source::Commit(due) | Source::Pause(due) | Source::Settle(due) => Some(due),
        };
        source.into_iter().chain(self.decoder.poll_timeout()).min()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.roles.port.poll_event()
    }

    fn send(&mut self, message: &[u8], kind: Kind, now: Instant) -> Result<SendId, SendError> {
        self.roles.queue.check()?;
        let mut frame = Vec::new();
        encode(message, &self.roles.settings.framing, &mut frame)?;
        let id = self.roles.queue.push(frame, kind);
        self.roles.start_next(now);
        Ok(id)
    }

    fn accept(&mut self, _now: Instant) {
        self.roles.commit(ACK);
    }

    fn refuse(&mut self, _now: Instant) {
        self.roles.commit(NAK);
    }

    fn cancel(&mut self, id: SendId, now: Instant) -> bool {
        let roles = &mut self.roles;
        if roles.queue.cancel(id) {
            roles.port.failed(id, Failure::Cancelled);
        } else if roles.current.as_ref().is_some_and(|c| c.id == id) {
            roles.finish(Err(Failure::Cancelled), now);
        } else {
            return false;
        }
        true
    }

    fn is_idle(&self) -> bool {
        self.roles.source == Source::Free && self.roles.offered.is_empty() && !self.decoder.in_frame()
    }

    fn counters(&self) -> &Counters {
        &self.roles.port.counters
    }
}
