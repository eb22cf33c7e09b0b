//! Messages that wait to be sent.

use std::collections::VecDeque;

use super::mllp::CR;
use super::port::Port;
use super::{Failure, Kind, SendError, SendId};

#[derive(Debug)]
pub(super) struct Outgoing {
    pub(super) id: SendId,
    pub(super) kind: Kind,
    pub(super) message: Vec<u8>,
    /// How often it was tried from the start.
    pub(super) tries: u32,
}

/// At most `limit` messages; the next is refused with [`SendError::Full`].
#[derive(Debug)]
pub(super) struct SendQueue {
    waiting: VecDeque<Outgoing>,
    limit: usize,
    next_id: u64,
    closed: bool,
}

impl SendQueue {
    pub(super) fn new(limit: usize) -> Self {
        Self { waiting: VecDeque::new(), limit, next_id: 0, closed: false }
    }

    /// Whether another message would be taken.
    pub(super) fn check(&self) -> Result<(), SendError> {
        if self.closed {
            Err(SendError::Closed)
        } else if self.waiting.len() >= self.limit {
            Err(SendError::Full)
        } else {
            Ok(())
        }
    }

    /// A fresh id, for a message that is sent at once.
    pub(super) fn take_id(&mut self) -> SendId {
        let id = SendId(self.next_id);
        self.next_id += 1;
        id
    }

    /// Queues what [`check`](Self::check) let pass.
    pub(super) fn push(&mut self, message: Vec<u8>, kind: Kind) -> SendId {
        let id = self.take_id();
        let place = self.waiting.iter().position(|o| rank(o.kind) > rank(kind)).unwrap_or(self.waiting.len());
        self.waiting.insert(place, Outgoing { id, kind, message, tries: 0 });
        id
    }

    pub(super) fn pop(&mut self) -> Option<Outgoing> {
        self.waiting.pop_front()
    }

    /// Puts a message back to the front, to be tried again.
    pub(super) fn put_back(&mut self, outgoing: Outgoing) {
        self.waiting.push_front(outgoing);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    pub(super) fn has_urgent(&self) -> bool {
        self.waiting.iter().any(|o| o.kind == Kind::Urgent)
    }

    pub(super) fn cancel(&mut self, id: SendId) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|o| o.id != id);
        self.waiting.len() < before
    }

    /// Takes nothing more, and fails what waits.
    pub(super) fn close(&mut self, why: Failure, port: &mut Port) {
        self.closed = true;
        while let Some(outgoing) = self.pop() {
            port.failed(outgoing.id, why);
        }
    }
}

/// The message, its final CR added where it is missing: HL7 ends every segment with one.
pub(super) fn with_final_cr(message: &[u8]) -> Vec<u8> {
    let mut owned = Vec::with_capacity(message.len() + 1);
    owned.extend_from_slice(message);
    if owned.last() != Some(&CR) {
        owned.push(CR);
    }
    owned
}

fn rank(kind: Kind) -> u8 {
    match kind {
        Kind::Reply => 0,
        Kind::Urgent => 1,
        Kind::Request => 2,
    }
}
