//! One group: a write, a sync, and the results.

use std::borrow::Borrow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use protogen_sys::files::FileOps;

use super::{Store, millis};
use crate::error::Refusal;
use crate::journal::Message;
use crate::record::{Line, MAX_NOTE, Outcome, encode};
use crate::settings::{MAX_NAME, Settings};

/// The most bytes of one write, but for a longer message.
const MAX_WRITE: usize = 4 << 20;
/// The bytes of a message's line beside the connection's name, and of a mark, at most.
const MESSAGE_LINE: usize = 128;
/// The bytes of a delivery record beside the output's name and the note, at most.
const DELIVERY_LINE: usize = 96;
/// The bytes of a mark, at most.
const MARK: u64 = 64;

/// A group of records only.
const NONE: &[Message] = &[];

/// What became of a message in one output, to be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The message.
    pub sequence: u64,
    /// The output.
    pub output: Arc<str>,
    /// What became of it.
    pub outcome: Outcome,
    /// What the receiver answered, or why; cut after [`MAX_NOTE`] bytes.
    pub note: Vec<u8>,
}

/// The results of a group, in its order.
#[derive(Debug, Default)]
pub(crate) struct Committed {
    /// The sequence of each message.
    pub messages: Vec<Result<u64, Refusal>>,
    pub deliveries: Vec<Result<(), Refusal>>,
}

/// What is in the buffer: which message of the group has which sequence.
type Staged = Vec<(usize, u64)>;

impl<F: FileOps> Store<F> {
    /// Stores a group. Messages have results when they are on stable storage, or refused; delivery records count at
    /// once and are on stable storage with the messages of this group, or after [`tick`](Store::tick).
    pub(crate) fn commit<M: Borrow<Message>>(
        &mut self,
        messages: &[M],
        deliveries: &[Delivery],
    ) -> Committed {
        let mut committed = Committed {
            messages: vec![Err(Refusal::Failed); messages.len()],
            deliveries: Vec::with_capacity(deliveries.len()),
        };
        let mut staged = Staged::new();
        self.buffer.clear();
        for delivery in deliveries {
            let result = self.stage_delivery(delivery);
            committed.deliveries.push(result);
        }
        for (index, message) in messages.iter().enumerate() {
            match self.stage_message(message.borrow(), messages, &mut staged, &mut committed) {
                Ok(sequence) => staged.push((index, sequence)),
                Err(refusal) => committed.messages[index] = Err(refusal),
            }
        }
        self.flush(messages, &mut staged, &mut committed);
        committed
    }

    fn stage_delivery(&mut self, delivery: &Delivery) -> Result<(), Refusal> {
        if let Some(refusal) = self.owed.reason_against(delivery) {
            return Err(refusal);
        }
        let result = self.stage_in_turn(delivery);
        let cursor = self.shared.lock().state.output(&delivery.output).map_or(0, |output| output.cursor);
        self.owed.note(delivery, cursor, result);
        result
    }

    fn stage_in_turn(&mut self, delivery: &Delivery) -> Result<(), Refusal> {
        let Delivery { sequence, output, outcome, note } = delivery;
        let note = encode(&note[..note.len().min(MAX_NOTE)]);
        let name = encode(output.as_bytes());
        if !self.fits(note.len() + name.len() + DELIVERY_LINE, 0) {
            self.flush(NONE, &mut Staged::new(), &mut Committed::default());
            self.keeper.ask(self.settings.segment_size);
            self.open_further()?;
        }
        let mut view = self.shared.lock();
        let oldest = view.segments.first().map_or(0, |segment| segment.first);
        if *outcome == Outcome::Resend && *sequence < oldest {
            return Err(Refusal::NotPending);
        }
        view.state.settle(*sequence, output, *outcome, self.settings.max_exception_bytes())?;
        drop(view);
        let line = Line::Delivery { sequence: *sequence, output: &name, outcome: *outcome, note: &note };
        self.mark_first();
        line.write(b"", &mut self.buffer);
        Ok(())
    }

    fn stage_message<M: Borrow<Message>>(
        &mut self,
        message: &Message,
        messages: &[M],
        staged: &mut Staged,
        committed: &mut Committed,
    ) -> Result<u64, Refusal> {
        let Message { connection, time, bytes } = message;
        let time = millis(*time);
        if bytes.len() > self.settings.max_message || connection.is_empty() || connection.len() > MAX_NAME {
            return Err(Refusal::TooLong);
        }
        let connection = encode(connection.as_bytes());
        let size = bytes.len() + connection.len() + MESSAGE_LINE;
        if self.buffer.len() + size > MAX_WRITE {
            self.flush(messages, staged, committed);
        }
        if !self.message_fits(size) {
            self.flush(messages, staged, committed);
            self.open_further()?;
            if !self.message_fits(size) {
                return Err(Refusal::TooLong);
            }
        }
        self.mark_first();
        let sequence = self.next;
        self.next = sequence.saturating_add(1);
        let length = bytes.len() as u64;
        Line::Message { sequence, time, connection: &connection, length, crc: 0 }
            .write(bytes, &mut self.buffer);
        self.time = self.time.max(time);
        if let Some(current) = &mut self.current {
            current.first_time.get_or_insert(time);
        }
        Ok(sequence)
    }

    /// Whether a message may still go into the written segment: into its reserve only when a spare is ready.
    fn message_fits(&mut self, size: usize) -> bool {
        let Some(current) = &self.current else { return false };
        if self.fits(size, Settings::reserve(current.capacity)) {
            return true;
        }
        self.keeper.ask(self.settings.segment_size);
        self.fits(size, 0) && self.keeper.wait()
    }

    fn fits(&self, size: usize, reserve: u64) -> bool {
        let Some(current) = &self.current else { return false };
        let used = current.offset + (self.buffer.len() + size) as u64 + MARK;
        used + reserve <= current.capacity
    }

    fn open_further(&mut self) -> Result<(), Refusal> {
        loop {
            match self.rotate() {
                Ok(()) => return Ok(()),
                // What every output is done with is kept only as long as there is room.
                Err(error) if is_full(&error) && self.give_room() => {}
                Err(error) if is_full(&error) => return Err(Refusal::Full),
                Err(_) => return Err(Refusal::Failed),
            }
        }
    }

    /// Puts a mark before the first record of a write: what stands before it is on stable storage.
    fn mark_first(&mut self) {
        if let Some(current) = &mut self.current
            && self.buffer.is_empty()
            && current.synced > current.marked
        {
            current.marked = current.synced;
            Line::Synced { at: current.offset, synced: current.synced }.write(b"", &mut self.buffer);
        }
    }

    /// Writes the buffer, syncs it if there are messages in it, and then counts them.
    fn flush<M: Borrow<Message>>(&mut self, messages: &[M], staged: &mut Staged, committed: &mut Committed) {
        if self.buffer.is_empty() {
            return;
        }
        let written =
            self.write_buffer() && (staged.is_empty() || !self.settings.durable || self.sync_written());
        if written {
            let mut view = self.shared.lock();
            view.groups += 1;
            for (index, sequence) in staged.iter() {
                view.state.stored(*sequence, &messages[*index].borrow().connection);
                committed.messages[*index] = Ok(*sequence);
            }
        } else {
            self.give_up_segment();
        }
        staged.clear();
        self.buffer.clear();
        self.buffer.shrink_to(MAX_WRITE);
    }

    fn write_buffer(&mut self) -> bool {
        let Some(current) = &mut self.current else { return false };
        if self.files.write_at(&current.file, &self.buffer, current.offset).is_err() {
            return false;
        }
        current.offset += self.buffer.len() as u64;
        self.unsynced = true;
        true
    }

    /// Syncs what was written to the segment. After a failure the segment must be given up.
    fn sync_written(&mut self) -> bool {
        let Some(current) = &mut self.current else { return false };
        let start = Instant::now();
        self.shared.lock().sync_began = Some(start);
        let result = self.files.sync_data(&current.file);
        let mut view = self.shared.lock();
        view.sync_began = None;
        if result.is_err() {
            return false;
        }
        current.synced = current.offset;
        self.unsynced = false;
        let taken = start.elapsed();
        view.last_sync = taken;
        view.slowest_sync = view.slowest_sync.max(taken);
        view.sync_time += taken;
        true
    }

    pub(super) fn sync_current(&mut self) {
        let waits = self.current.as_ref().is_some_and(|current| current.offset > current.synced);
        if waits && !self.sync_written() {
            self.give_up_segment();
        }
    }

    /// Makes delivery records durable, and notes in the segment that they and all before are. After a failure it
    /// opens a further segment, if there is room.
    pub(crate) fn tick(&mut self) {
        if self.current.is_none() {
            // Tried again with the next group.
            let _ = self.open_further();
        }
        if self.settings.durable {
            self.sync_current();
            self.buffer.clear();
            if self.fits(0, 0) {
                self.mark_first();
                self.flush(NONE, &mut Staged::new(), &mut Committed::default());
                self.unsynced = false;
            }
        }
    }

    /// Whether [`tick`](Store::tick) has something to do; call it within [`Store::TICK`] then.
    pub(crate) fn wants_tick(&self) -> bool {
        match &self.current {
            Some(current) => self.settings.durable && (self.unsynced || current.synced > current.marked),
            None => self.unsynced,
        }
    }

    /// How long a delivery record may wait for its sync.
    pub(crate) const TICK: Duration = Duration::from_millis(100);

    /// Makes everything sure before the journal is closed.
    pub(crate) fn finish(&mut self) {
        self.tick();
        self.sync_current();
    }
}

fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}
