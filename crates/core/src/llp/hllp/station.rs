//! Both roles of an HLLP line.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Instant;

use super::block::encode;
use super::decode::{Decoder, Found};
use super::reply::{answered_id, control_id};
use super::{DATA, NAK, OTHER, OnBadReply, OnTimeout, Settings, TOO_LONG, WRONG_COUNT, WRONG_SUM};
use crate::llp::port::Port;
use crate::llp::queue::{Outgoing, SendQueue, with_final_cr};
use crate::llp::{Counters, Event, Failure, Kind, Link, NoteKind, SendError, SendId};

/// One end of an HLLP line: initiator and responder at once.
///
/// A request is sent and its reply waited for: the D block whose MSA-2 is the request's MSH-10. Any other D block is
/// the peer's own message. A reply is sent at once and reported as `Sent`; requests wait until the peer has its reply,
/// or `receive_timeout` has passed, since many products take whatever comes next for the reply.
///
/// A NAK block makes the last data block go out again, be it request or reply: the block does not say which it
/// means. A damaged NAK counts as one; a NAK is never answered. `accept` does nothing; `refuse` sends a NAK with
/// reason G, which makes the peer try again.
///
/// The protocol cannot tell a repeated request from a new one. A repeated reply is recognised and dropped.
///
/// Memory: one block received, the last block sent, and `queue` messages.
#[derive(Debug)]
pub struct Station {
    settings: Settings,
    decoder: Decoder,
    port: Port,
    queue: SendQueue,
    /// The request whose reply is awaited, and until when.
    current: Option<(Outgoing, Instant)>,
    /// The data block sent last, and how often it was sent again.
    last: Option<Last>,
    /// Until when our own requests are held back, for the peer waits for a reply.
    owing: Option<Instant>,
    /// No request of ours before this: the peer may say NAK to our reply.
    quiet_until: Option<Instant>,
    /// Of the reply received last.
    last_reply: Option<u64>,
}

#[derive(Debug)]
struct Last {
    block: Vec<u8>,
    is_reply: bool,
    retries: u32,
}

impl Station {
    /// A station on an idle line.
    pub fn new(settings: Settings) -> Self {
        Self {
            decoder: Decoder::new(settings.clone()),
            port: Port::default(),
            queue: SendQueue::new(settings.queue),
            current: None,
            last: None,
            owing: None,
            quiet_until: None,
            last_reply: None,
            settings,
        }
    }

    // ---- sending ----------------------------------------------------------------------------------------------

    fn start_next(&mut self, now: Instant) {
        if self.current.is_some() || self.owing.is_some() || self.decoder.in_block() {
            return;
        }
        if self.quiet_until.is_some_and(|until| now < until) {
            return;
        }
        if let Some(mut request) = self.queue.pop() {
            request.tries = 1;
            let length = self.transmit_data(&request.message, false);
            self.current = Some((request, self.reply_due(length, now)));
        }
    }

    fn transmit_data(&mut self, message: &[u8], is_reply: bool) -> usize {
        let mut block = Vec::with_capacity(message.len() + 16);
        encode(DATA, message, &self.settings, &mut block);
        self.port.transmit(&block);
        self.port.counters.blocks_out += 1;
        let length = block.len();
        self.last = Some(Last { block, is_reply, retries: 0 });
        length
    }

    fn reply_due(&self, length: usize, now: Instant) -> Instant {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        now + self.settings.receive_timeout + self.settings.byte_time.saturating_mul(length)
    }

    fn keep_quiet(&mut self, length: usize, now: Instant) {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.quiet_until =
            Some(now + self.settings.turnaround + self.settings.byte_time.saturating_mul(length));
    }

    /// Sends the last data block again; false when that was done often enough.
    fn resend(&mut self, now: Instant) -> bool {
        let Some(last) = &mut self.last else { return false };
        if last.retries >= self.settings.send_retries {
            return false;
        }
        last.retries += 1;
        self.port.transmit(&last.block);
        self.port.counters.blocks_out += 1;
        self.port.counters.retries += 1;
        let (length, is_reply) = (last.block.len(), last.is_reply);
        let due = self.reply_due(length, now);
        if is_reply {
            self.keep_quiet(length, now);
        }
        if let (false, Some((request, until))) = (is_reply, &mut self.current) {
            request.tries += 1;
            *until = due;
        }
        true
    }

    fn transmit_nak(&mut self, reason: u8) {
        let mut block = Vec::with_capacity(16);
        encode(NAK, &[reason], &self.settings, &mut block);
        self.port.transmit(&block);
        self.port.counters.naks_out += 1;
    }

    fn fail_current(&mut self, why: Failure, now: Instant) {
        if let Some((request, _)) = self.current.take() {
            self.port.failed(request.id, why);
        }
        self.last = None;
        self.start_next(now);
    }

    // ---- receiving --------------------------------------------------------------------------------------------

    fn found(&mut self, found: Found, now: Instant) {
        match found {
            Found::Block { kind, data, cut_off } => {
                self.port.counters.blocks_in += 1;
                if cut_off > 0 {
                    self.port.counters.other_errors += 1;
                    self.port.note(NoteKind::Restarted, self.decoder.offset, cut_off, &[]);
                }
                if kind == NAK { self.nak(data.first().copied(), now) } else { self.data(data, now) }
            }
            Found::Bad { kind, reason, count, head } => {
                let note = match reason {
                    WRONG_COUNT => NoteKind::BadCount,
                    WRONG_SUM => NoteKind::BadCheck,
                    TOO_LONG => NoteKind::TooLong,
                    _ => NoteKind::Stale,
                };
                match reason {
                    WRONG_COUNT | TOO_LONG => self.port.counters.length_errors += 1,
                    WRONG_SUM => self.port.counters.checksum_errors += 1,
                    _ => self.port.counters.receive_timeouts += 1,
                }
                self.port.note(note, self.decoder.offset.saturating_sub(count), count, &head);
                if kind == NAK { self.nak(None, now) } else { self.bad_data(reason, now) }
            }
            Found::Junk { count, head } => {
                self.port.counters.other_errors += 1;
                self.port.note(NoteKind::Junk, self.decoder.offset.saturating_sub(count), count, &head);
            }
        }
        self.start_next(now);
    }

    fn data(&mut self, data: Vec<u8>, now: Instant) {
        if data.is_empty() {
            self.port.counters.other_errors += 1;
            return self.port.note(NoteKind::EmptyFrame, self.decoder.offset, 0, &[]);
        }
        let Some(answered) = answered_id(&data) else {
            self.owing = Some(now + self.settings.receive_timeout);
            return self.port.message(data, None);
        };
        let answers = self.current.as_ref().is_some_and(|(request, _)| {
            control_id(&request.message).is_none_or(|id| id.is_empty() || id == answered)
        });
        let fingerprint = fingerprint(&data);
        let last_reply = self.last_reply.replace(fingerprint);
        if answers && let Some((request, _)) = self.current.take() {
            self.port.delivered(request.id);
            return self.port.message(data, Some(request.id));
        }
        if last_reply == Some(fingerprint) {
            return self.port.note(NoteKind::Duplicate, self.decoder.offset, data.len() as u64, &[]);
        }
        // Perhaps the reply to a request that was given up: the program may still know what to do with it.
        self.port.note(NoteKind::StrayReply, self.decoder.offset, 0, &[]);
        self.port.message(data, None);
    }

    fn bad_data(&mut self, reason: u8, now: Instant) {
        match self.settings.on_bad_reply {
            _ if self.current.is_none() => self.transmit_nak(reason),
            OnBadReply::Nak => self.transmit_nak(reason),
            OnBadReply::Fail => self.fail_current(Failure::BadReply, now),
            OnBadReply::Resend => {
                if !self.resend(now) {
                    self.fail_current(Failure::BadReply, now);
                }
            }
        }
    }

    fn nak(&mut self, reason: Option<u8>, now: Instant) {
        self.port.counters.naks_in += 1;
        let Some(last) = &self.last else {
            return self.port.note(NoteKind::StrayReply, self.decoder.offset, 0, &[]);
        };
        let is_reply = last.is_reply;
        if !is_reply && self.current.is_none() {
            return self.port.note(NoteKind::StrayReply, self.decoder.offset, 0, &[]);
        }
        self.port.note(NoteKind::Nak, self.decoder.offset, 0, reason.as_slice());
        if !self.resend(now) {
            if is_reply {
                self.last = None;
            } else {
                self.fail_current(Failure::Refused(reason), now);
            }
        }
    }

    fn no_reply(&mut self, now: Instant) {
        self.port.counters.receive_timeouts += 1;
        let tries = self.current.as_ref().map_or(0, |(request, _)| request.tries);
        let mut resent = false;
        if self.settings.on_timeout == OnTimeout::Resend && self.last.as_ref().is_some_and(|l| !l.is_reply) {
            self.port.note(NoteKind::NoAnswer, self.decoder.offset, 0, &[]);
            resent = self.resend(now);
        }
        if !resent {
            self.fail_current(Failure::NoAnswer(tries), now);
        }
    }
}

fn fingerprint(message: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.hash(&mut hasher);
    hasher.finish()
}

impl Link for Station {
    fn handle_input(&mut self, mut input: &[u8], now: Instant) {
        if self.queue.is_closed() {
            return;
        }
        self.port.counters.bytes_in += input.len() as u64;
        while let Some(found) = self.decoder.decode(&mut input, now) {
            self.found(found, now);
        }
        self.start_next(now);
    }

    fn handle_eof(&mut self, now: Instant) {
        if self.queue.is_closed() {
            return;
        }
        match self.decoder.finish() {
            Some(Found::Bad { count, head, .. }) => {
                self.port.note(NoteKind::EndOfInput, self.decoder.offset.saturating_sub(count), count, &head);
            }
            Some(found) => self.found(found, now),
            None => {}
        }
        if let Some((request, _)) = self.current.take() {
            self.port.counters.network_errors += 1;
            self.port.failed(request.id, Failure::Disconnected);
        }
        self.queue.close(Failure::Disconnected, &mut self.port);
        self.owing = None;
        self.port.event(Event::Closed);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if self.queue.is_closed() {
            return;
        }
        if let Some(found) = self.decoder.handle_timeout(now) {
            self.found(found, now);
        }
        if self.owing.is_some_and(|until| now >= until) {
            self.owing = None;
        }
        if self.current.as_ref().is_some_and(|(_, until)| now >= *until) {
            self.no_reply(now);
        }
        self.start_next(now);
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.port.poll_transmit(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        let current = self.current.as_ref().map(|(_, until)| *until);
        let waits = self.current.is_none() && self.owing.is_none() && !self.queue.is_empty();
        let quiet = self.quiet_until.filter(|_| waits && !self.decoder.in_block());
        current.into_iter().chain(self.decoder.poll_timeout()).chain(self.owing).chain(quiet).min()
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
        // A receiver could tell by the count that an EB is data, but few do.
        if let Some(offset) = memchr::memchr2(self.settings.sb, self.settings.eb, &message) {
            return Err(SendError::Forbidden { offset, byte: message[offset] });
        }
        if kind == Kind::Reply {
            let id = self.queue.take_id();
            let length = self.transmit_data(&message, true);
            self.keep_quiet(length, now);
            self.port.sent(id);
            self.owing = None;
            self.start_next(now);
            return Ok(id);
        }
        let id = self.queue.push(message, kind);
        self.start_next(now);
        Ok(id)
    }

    fn accept(&mut self, _now: Instant) {}

    fn refuse(&mut self, now: Instant) {
        self.transmit_nak(OTHER);
        self.owing = None;
        self.start_next(now);
    }

    fn cancel(&mut self, id: SendId, now: Instant) -> bool {
        if self.queue.cancel(id) {
            self.port.failed(id, Failure::Cancelled);
        } else if self.current.as_ref().is_some_and(|(request, _)| request.id == id) {
            self.fail_current(Failure::Cancelled, now);
        } else {
            return false;
        }
        true
    }

    fn is_idle(&self) -> bool {
        self.current.is_none() && self.owing.is_none() && self.queue.is_empty() && !self.decoder.in_block()
    }

    fn counters(&self) -> &Counters {
        &self.port.counters
    }
}
