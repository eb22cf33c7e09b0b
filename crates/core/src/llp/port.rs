//! The part every machine has: bytes to be written, events to be taken, counters.

use std::collections::VecDeque;

use super::{Counters, Event, Failure, Note, NoteKind, SendId};

/// How many notes wait at a time.
const NOTES: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Port {
    pub(super) counters: Counters,
    output: Vec<u8>,
    events: VecDeque<Event>,
    notes: usize,
    suppressed: u64,
}

impl Port {
    pub(super) fn transmit(&mut self, bytes: &[u8]) {
        self.counters.bytes_out += bytes.len() as u64;
        self.output.extend_from_slice(bytes);
    }

    /// Lets `write` append to the output, without a copy in between.
    pub(super) fn transmit_with<E>(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let before = self.output.len();
        let result = write(&mut self.output);
        if result.is_err() {
            self.output.truncate(before);
        }
        self.counters.bytes_out += (self.output.len() - before) as u64;
        result
    }

    /// Bytes of output that wait to be taken.
    pub(super) fn untaken(&self) -> usize {
        self.output.len()
    }

    pub(super) fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool {
        if self.output.is_empty() {
            return false;
        }
        if out.is_empty() {
            // The caller's empty buffer becomes the next one to be filled: no allocation, no copy.
            std::mem::swap(out, &mut self.output);
        } else {
            out.append(&mut self.output);
        }
        true
    }

    pub(super) fn message(&mut self, message: Vec<u8>, answers: Option<SendId>) {
        self.counters.messages_in += 1;
        self.events.push_back(Event::Message { message, answers });
    }

    pub(super) fn delivered(&mut self, id: SendId) {
        self.counters.messages_out += 1;
        self.events.push_back(Event::Delivered(id));
    }

    pub(super) fn sent(&mut self, id: SendId) {
        self.counters.messages_out += 1;
        self.events.push_back(Event::Sent(id));
    }

    pub(super) fn failed(&mut self, id: SendId, why: Failure) {
        self.counters.failed += 1;
        self.events.push_back(Event::Failed(id, why));
    }

    pub(super) fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    /// Notes a matter; `bytes` may be longer than what is kept of it.
    pub(super) fn note(&mut self, kind: NoteKind, offset: u64, dropped: u64, bytes: &[u8]) {
        if self.notes >= NOTES {
            self.suppressed += 1;
            return;
        }
        self.notes += 1;
        let bytes = bytes[..bytes.len().min(Note::SHOWN)].to_vec();
        self.events.push_back(Event::Note(Note { kind, offset, dropped, bytes }));
    }

    pub(super) fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front();
        match &event {
            Some(Event::Note(_)) => self.notes -= 1,
            None if self.suppressed > 0 => {
                let dropped = std::mem::take(&mut self.suppressed);
                let kind = NoteKind::Suppressed;
                return Some(Event::Note(Note { kind, offset: 0, dropped, bytes: Vec::new() }));
            }
            _ => {}
        }
        event
    }
}
