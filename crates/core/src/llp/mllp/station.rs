//! MLLP release 1 behind the common [`Link`] shape.

use std::time::Instant;

use super::{Decoder, Item, Settings, encode};
use crate::llp::port::Port;
use crate::llp::{Counters, Event, Kind, Link, Note, NoteKind, SendError, SendId};

/// One end of an MLLP release 1 connection.
///
/// A message is framed and given to the line at once, and [`Event::Sent`] is all that can be said of it. `accept` and
/// `refuse` do nothing: the answer is a message. A commit block from a peer that believes in release 2 is ignored
/// with a note.
///
/// Memory: one unfinished frame, and `max_message` bytes of output that was not taken yet, after which
/// [`SendError::Full`] is returned.
#[derive(Debug)]
pub struct Station {
    decoder: Decoder,
    port: Port,
    next_id: u64,
    closed: bool,
}

impl Station {
    /// A station at the start of a connection.
    pub fn new(settings: Settings) -> Self {
        Self { decoder: Decoder::new(settings), port: Port::default(), next_id: 0, closed: false }
    }
}

/// Turns what the decoder found into events; commit blocks are returned.
pub(in crate::llp) fn report(item: Item<'_>, port: &mut Port) -> Option<bool> {
    match item {
        Item::Frame(frame) => {
            let note = |port: &mut Port, kind| port.note(kind, frame.offset, 0, &[]);
            if frame.missing_trailer {
                note(port, NoteKind::MissingTrailer);
            }
            if frame.byte_order_mark {
                note(port, NoteKind::ByteOrderMark);
            }
            port.counters.blocks_in += 1;
            port.message(frame.message.to_vec(), None);
        }
        Item::Commit(ack, _) => return Some(ack),
        Item::Dropped(dropped) => {
            match dropped.kind {
                NoteKind::TooLong => port.counters.length_errors += 1,
                NoteKind::Stale => port.counters.receive_timeouts += 1,
                NoteKind::EndOfInput => port.counters.network_errors += 1,
                NoteKind::EmptyFrame => {}
                _ => port.counters.other_errors += 1,
            }
            let shown = &dropped.bytes[..dropped.bytes.len().min(Note::SHOWN)];
            port.note(dropped.kind, dropped.offset, dropped.count, shown);
        }
    }
    None
}

impl Link for Station {
    fn handle_input(&mut self, mut input: &[u8], now: Instant) {
        self.port.counters.bytes_in += input.len() as u64;
        while let Some(item) = self.decoder.decode(&mut input, now) {
            let at = if let Item::Commit(_, at) = item { at } else { 0 };
            if report(item, &mut self.port).is_some() {
                self.port.note(NoteKind::StrayCommit, at, 0, &[]);
            }
        }
    }

    fn handle_eof(&mut self, _now: Instant) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        if let Some(item) = self.decoder.handle_eof() {
            report(item, &mut self.port);
        }
        self.port.event(Event::Closed);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if let Some(item) = self.decoder.handle_timeout(now) {
            report(item, &mut self.port);
        }
    }

    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        self.port.poll_transmit(out)
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.decoder.poll_timeout()
    }

    fn poll_event(&mut self) -> Option<Event> {
        self.port.poll_event()
    }

    fn send(&mut self, message: &[u8], _kind: Kind, _now: Instant) -> Result<SendId, SendError> {
        if self.closed {
            return Err(SendError::Closed);
        }
        let settings = self.decoder.settings();
        if self.port.untaken() > settings.max_message {
            return Err(SendError::Full);
        }
        self.port.transmit_with(|out| encode(message, settings, out))?;
        self.port.counters.blocks_out += 1;
        let id = SendId(self.next_id);
        self.next_id += 1;
        self.port.sent(id);
        Ok(id)
    }

    fn accept(&mut self, _now: Instant) {}

    fn refuse(&mut self, _now: Instant) {}

    fn cancel(&mut self, _id: SendId, _now: Instant) -> bool {
        false
    }

    fn is_idle(&self) -> bool {
        !self.decoder.in_frame()
    }

    fn counters(&self) -> &Counters {
        &self.port.counters
    }
}
