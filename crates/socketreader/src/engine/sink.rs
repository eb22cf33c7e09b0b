//! What becomes of the items that a peer's decoder finds.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use protogen_core::hl7::Outcome;
use protogen_core::llp::NoteKind;
use protogen_core::llp::mllp::{Dropped, Item};
use protogen_journal::Message;

use super::answer::{Answers, Due, Manner};
use super::client::Slots;
use super::input::Input;
use super::intake::{Group, Sender};
use super::replies::Committed;
use crate::log;
use crate::rejects::Rejects;

/// Where the items of one peer go.
pub(super) struct Sink<'a> {
    pub(super) id: u32,
    pub(super) peer: &'a str,
    pub(super) slots: &'a mut Slots,
    pub(super) index: usize,
    pub(super) input: &'a mut Input,
    pub(super) group: &'a mut Group,
    pub(super) answers: &'a mut Answers,
    pub(super) rejects: &'a Rejects,
    pub(super) time: SystemTime,
    pub(super) now: Instant,
}

impl Sink<'_> {
    pub(super) fn take(&mut self, item: Item<'_>) {
        match item {
            Item::Frame(frame) => {
                if frame.missing_trailer {
                    self.framing_error(NoteKind::MissingTrailer, frame.offset, 0, b"");
                }
                if frame.byte_order_mark {
                    self.framing_error(NoteKind::ByteOrderMark, frame.offset, 0, b"");
                }
                self.message(frame.message, frame.offset);
            }
            Item::Commit(positive, offset) => self.committed(positive, offset),
            Item::Dropped(dropped) => self.dropped(&dropped),
            _ => {}
        }
    }

    /// A commit block: of a reply that we sent, in release 2 of MLLP.
    fn committed(&mut self, positive: bool, offset: u64) {
        let (peer, name) = (self.peer, &self.input.name);
        let now = self.now;
        match self.slots.replies().map_or(Committed::Stray, |replies| replies.committed(positive, now)) {
            Committed::Taken => log::debug!(name, "{peer}: has our acknowledgment"),
            Committed::Again => {
                log::error!(name, "{peer}: our acknowledgment was answered NAK, it is sent again");
            }
            Committed::GivenUp => {
                log::error!(name, "{peer}: our acknowledgment was answered NAK too often, it goes without");
            }
            Committed::Stray => self.framing_error(NoteKind::StrayCommit, offset, 0, b""),
        }
    }

    fn message(&mut self, message: &[u8], offset: u64) {
        let (peer, name) = (self.peer, &self.input.name);
        log::received_or_sent(name, peer, "received", message, self.input.debug.dump);
        let (manner, settings) = (self.input.manner, &self.input.socket.mllp);
        let Due { stored, hears_no } = match self.answers.due(message, manner, settings, self.time) {
            Ok(due) => due,
            Err(why) => return self.unreadable(message, offset, why),
        };
        if self.input.debug.nack {
            // It stays with its sender: what is rejected is not delivered.
            return self.refuse(message, Outcome::Rejected, "rejected, as debug says");
        }
        // What waits already goes first.
        if !hears_no && (self.input.full.is_some() || !self.input.again.is_empty()) {
            return self.input.again.push_back(message.to_vec());
        }
        let slot = self.slots.expect(None);
        let answer = if self.input.debug.noack { Vec::new() } else { stored };
        if self.input.full.is_some() || !self.input.parked.is_empty() {
            return self.input.parked.push(message.to_vec(), self.id, slot, answer, self.now);
        }
        let message = Message { connection: Arc::clone(name), time: self.time, bytes: message.to_vec() };
        let sender = Sender { client: self.id, slot, input: self.index, answer, hears_no };
        self.group.push(message, sender);
    }

    fn refuse(&mut self, message: &[u8], outcome: Outcome, text: &str) {
        let (manner, settings) = (self.input.manner, &self.input.socket.mllp);
        let answer = self.answers.negative(message, manner, outcome, text, settings, self.time);
        self.slots.expect(Some(answer));
    }

    fn unreadable(&mut self, message: &[u8], offset: u64, why: &str) {
        let (peer, name) = (self.peer, &self.input.name);
        log::error!(name, "{peer}: the frame at byte {offset} {why}");
        log::prod!(name, "{peer}: not taken: {}", message.escape_ascii());
        self.rejects.keep(name, self.time, why, offset, message.len() as u64, message);
        if let Some(answer) =
            self.answers.unreadable(message, self.input.manner, &self.input.socket.mllp, self.time)
        {
            self.slots.expect(Some(answer));
        }
    }

    fn dropped(&mut self, dropped: &Dropped<'_>) {
        let Dropped { kind, offset, count, bytes, .. } = *dropped;
        self.framing_error(kind, offset, count, bytes);
        if matches!(
            (kind, self.input.manner),
            (NoteKind::TooLong, Manner::Hl7)
                | (NoteKind::TooLong | NoteKind::Utf16, Manner::Mllp | Manner::Release2)
        ) {
            let most = self.input.socket.mllp.max_message;
            // A message that is too long will be too long again: an error of content.
            self.refuse(bytes, Outcome::Error, &format!("longer than {most} bytes, which maxsize allows"));
        }
    }

    /// Framing errors are counted, logged, and what was thrown away is kept.
    fn framing_error(&mut self, kind: NoteKind, offset: u64, count: u64, bytes: &[u8]) {
        self.input.framing_errors += 1;
        let name = &self.input.name;
        let dropped = if count > 0 { format!(", {count} bytes dropped") } else { String::new() };
        log::error!(
            name,
            "{}: framing error {}: {kind} at byte {offset}{dropped}",
            self.peer,
            self.input.framing_errors
        );
        if !bytes.is_empty() {
            self.rejects.keep(name, self.time, &kind.to_string(), offset, count, bytes);
        }
    }
}
