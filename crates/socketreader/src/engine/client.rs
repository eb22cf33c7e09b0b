//! A peer that brings messages.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use protogen_core::llp::mllp::Decoder;
use protogen_sys::event_loop::EventLoop;

use super::replies::Replies;
use super::wire::Wire;
use crate::metrics::Meter;

/// The most messages of one peer that wait for their answers; then it is not read.
const MAX_WAITING: usize = 1024;
/// The most bytes of answers that a peer has not taken; then it is not read.
const MAX_UNREAD: usize = 1 << 20;

/// The place of an answer: answers leave in the order in which the messages came.
#[derive(Debug, Default)]
struct Slot {
    /// `None` while the message is being stored.
    answer: Option<Vec<u8>>,
    /// Not to leave earlier, where `debug` says so.
    due: Option<Instant>,
}

/// The answers of one peer, in the order in which its messages came. In release 2 of MLLP these are commit blocks, with a
/// reply behind each.
#[derive(Debug)]
pub(super) struct Slots {
    slots: VecDeque<Slot>,
    /// The number of the first slot.
    first: u64,
    meter: Arc<Meter>,
    /// In release 2 of MLLP: the HL7 acknowledgments.
    replies: Option<Replies>,
}

impl Slots {
    /// Answers are counted there.
    pub(super) fn new(meter: Arc<Meter>, replies: Option<Replies>) -> Slots {
        Slots { slots: VecDeque::new(), first: 0, meter, replies }
    }

    /// Takes the place of an answer that will follow, or is here already.
    pub(super) fn expect(&mut self, answer: Option<Vec<u8>>) -> u64 {
        if let Some(answer) = &answer {
            self.meter.answered(answer);
        }
        self.slots.push_back(Slot { answer, due: None });
        self.first + self.slots.len() as u64 - 1
    }

    /// Fills a place; with nothing if there is no answer.
    pub(super) fn answer(&mut self, slot: u64, answer: Vec<u8>, due: Option<Instant>) {
        let place = slot.checked_sub(self.first).and_then(|at| usize::try_from(at).ok());
        if let Some(slot) = place.and_then(|at| self.slots.get_mut(at)) {
            self.meter.answered(&answer);
            *slot = Slot { answer: Some(answer), due };
        }
    }

    /// Moves the answers whose turn has come.
    fn take_ready(&mut self, out: &mut Vec<u8>, now: Instant) {
        while let Some(Slot { answer: Some(answer), due }) = self.slots.front_mut() {
            if due.is_some_and(|due| now < due) {
                break;
            }
            match &mut self.replies {
                Some(replies) => replies.push(answer, out),
                None => out.append(answer),
            }
            self.slots.pop_front();
            self.first += 1;
        }
        if let Some(replies) = &mut self.replies {
            replies.take_ready(out, now);
        }
    }

    /// When the first answer may leave, if it is ready and only waits for that.
    fn poll_timeout(&self) -> Option<Instant> {
        let slot = self.slots.front().filter(|slot| slot.answer.is_some()).and_then(|slot| slot.due);
        let replies = self.replies.as_ref().and_then(Replies::poll_timeout);
        [slot, replies].into_iter().flatten().min()
    }

    /// In release 2 of MLLP: what was said to a peer's messages and waits for its commit blocks.
    pub(super) fn replies(&mut self) -> Option<&mut Replies> {
        self.replies.as_mut()
    }
}

#[derive(Debug)]
pub(super) struct Client {
    /// Which incoming connection it belongs to.
    pub(super) input: usize,
    /// Its address.
    pub(super) peer: String,
    pub(super) wire: Wire,
    pub(super) decoder: Decoder,
    pub(super) slots: Slots,
    /// How much of an unfinished frame was there when it was last counted, in bytes.
    pub(super) unfinished: usize,
    /// It is not read although there may be something.
    pub(super) held: bool,
    /// The peer will send no more.
    pub(super) ended: bool,
    /// We have said that we will, and until when it may go on reading.
    pub(super) farewell: Option<Instant>,
}

impl Client {
    /// Writes the answers whose turn has come.
    pub(super) fn flush(&mut self, events: &mut EventLoop, now: Instant) -> io::Result<()> {
        self.slots.take_ready(&mut self.wire.out, now);
        self.wire.flush(events, now)?;
        Ok(())
    }

    /// Whether it may go on reading.
    pub(super) fn has_room(&self) -> bool {
        self.slots.slots.len() < MAX_WAITING && self.wire.backlog() < MAX_UNREAD
    }

    /// Everything that came is answered, and nothing more can come.
    pub(super) fn is_over(&self) -> bool {
        self.ended && self.is_answered()
    }

    /// Replies that wait for commit blocks do not count: whoever asks has let them go.
    pub(super) fn is_answered(&self) -> bool {
        self.slots.slots.is_empty() && self.wire.backlog() == 0
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let decoder = self.decoder.poll_timeout().filter(|_| self.farewell.is_none());
        let timers = [decoder, self.slots.poll_timeout(), self.wire.poll_timeout(), self.farewell];
        timers.into_iter().flatten().min()
    }
}
