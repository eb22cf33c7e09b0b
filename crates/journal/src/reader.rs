//! Reading: the messages of an output in order, one message, all messages, and the figures.

mod output;
mod routing;
mod walk;

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

pub use output::OutputReader;
use routing::Routing;
use walk::Walk;

use crate::error::JournalError;
use crate::record::{Counts, Exception, Line, Outcome, decode, decode_name, encode};
use crate::recover;
use crate::store::{Shared, View, from_millis};

/// How often a journal is looked at that changes meanwhile.
const LOOKS: u32 = 5;

/// A message as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stored {
    /// Its number.
    pub sequence: u64,
    /// When it came, to the millisecond.
    pub time: SystemTime,
    /// The connection that it came from.
    pub connection: String,
    /// The message itself.
    pub bytes: Vec<u8>,
    /// How often an output tried it, as far as it recorded that; 0 but from an [`OutputReader`].
    pub tries: u32,
    /// An operator wants it sent, again or after all; false but from an [`OutputReader`].
    pub again: bool,
}

/// What is written in a journal; see [`Reader::history`].
#[derive(Debug)]
#[non_exhaustive]
pub enum Entry<'a> {
    /// A message came.
    Stored(Stored),
    /// Something became of one.
    Settled {
        /// The message's number.
        sequence: u64,
        /// The output.
        output: &'a str,
        /// What became of it there.
        outcome: Outcome,
        /// What was written beside: the receiver's answer, or the file's path.
        note: Vec<u8>,
    },
}

/// The figures of a journal.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// The number of the next message.
    pub next: u64,
    /// The oldest message that may still be there.
    pub oldest: u64,
    /// Segments, and their bytes on the disk; the spare comes on top.
    pub segments: usize,
    /// The bytes of these segments.
    pub bytes: u64,
    /// Groups written since the start.
    pub groups: u64,
    /// How long the last sync took.
    pub last_sync: Duration,
    /// By name.
    pub outputs: Vec<OutputStats>,
}

/// The figures of an output. `accepted + resent = delivered + dead + dropped + pending`, always.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutputStats {
    /// Its name.
    pub name: String,
    /// The connections whose messages it gets; none if it is no longer configured.
    pub inputs: Vec<String>,
    /// How many messages wait, those to be sent again included.
    pub pending: u64,
    /// Where the first that waits is to be looked for, if one waits: no message before it does, but those to be sent
    /// again.
    pub cursor: Option<u64>,
    /// What was counted.
    pub counts: Counts,
}

/// Reads a journal. Clones see the same; it needs no lock.
#[derive(Debug, Clone)]
pub struct Reader {
    directory: PathBuf,
    shared: Shared,
    /// Another process may be writing: a segment may be removed at any time, and nobody says so.
    is_apart: bool,
}

impl Reader {
    /// Reads the journal in `directory` as it is at this moment, also while another process writes it.
    ///
    /// # Errors
    /// As [`Journal::open`](crate::Journal::open), and [`JournalError::Missing`] for a directory without a journal.
    pub fn open(directory: &Path) -> Result<Reader, JournalError> {
        // A process that writes it may remove a segment between two of our looks; what is really gone is gone again.
        let mut looks = 1;
        let examined = loop {
            match recover::examine(directory) {
                Err(JournalError::Missing { .. } | JournalError::File { .. }) if looks < LOOKS => looks += 1,
                examined => break examined?,
            }
        };
        let examined =
            examined.ok_or_else(|| JournalError::Missing { path: recover::segment_path(directory, 1) })?;
        let view = View {
            state: examined.state,
            segments: examined.segments,
            groups: 0,
            last_sync: Duration::ZERO,
            slowest_sync: Duration::ZERO,
            sync_began: None,
            sync_time: Duration::ZERO,
        };
        Ok(Reader { is_apart: true, ..Reader::of(directory, Shared::new(view)) })
    }

    pub(crate) fn of(directory: &Path, shared: Shared) -> Reader {
        Reader { directory: directory.to_owned(), shared, is_apart: false }
    }

    /// How many messages wait in an output, those to be sent again included; 0 if there is no such output.
    #[must_use]
    pub fn pending(&self, name: &str) -> u64 {
        self.shared.lock().state.output(name).map_or(0, crate::state::OutputState::pending)
    }

    /// The messages of an output that wait, in order; `None` if there is no such output.
    #[must_use]
    pub fn output(&self, name: &str) -> Option<OutputReader> {
        self.shared.lock().state.output(name)?;
        Some(OutputReader::new(self.clone(), name))
    }

    /// One message; `None` if it is not stored, or no longer.
    ///
    /// # Errors
    /// [`JournalError::Damaged`], or what the system says about reading.
    pub fn read(&self, sequence: u64) -> Result<Option<Stored>, JournalError> {
        let mut walk = Walk::at(self.clone(), sequence);
        let found = walk.each(|line, bytes| match line {
            Line::Message { sequence: here, .. } if *here < sequence => ControlFlow::Continue(()),
            Line::Message { .. } => ControlFlow::Break(stored(line, bytes)),
            _ => ControlFlow::Continue(()),
        })?;
        Ok(found.flatten().filter(|stored| stored.sequence == sequence))
    }

    /// Calls `visit` with each kept message from `sequence` on, in order, until it breaks off.
    ///
    /// # Errors
    /// As [`read`](Reader::read).
    pub fn each<B>(
        &self,
        sequence: u64,
        mut visit: impl FnMut(Stored) -> ControlFlow<B>,
    ) -> Result<Option<B>, JournalError> {
        Walk::at(self.clone(), sequence).each(|line, bytes| match stored(line, bytes) {
            Some(stored) if stored.sequence >= sequence => visit(stored),
            _ => ControlFlow::Continue(()),
        })
    }

    /// The same with the kept messages of one output only: those that it got when they were stored, whatever it gets
    /// now, and also if it is no longer configured.
    ///
    /// # Errors
    /// As [`read`](Reader::read).
    pub fn each_of<B>(
        &self,
        name: &str,
        sequence: u64,
        mut visit: impl FnMut(Stored) -> ControlFlow<B>,
    ) -> Result<Option<B>, JournalError> {
        let mut routing = Routing::of(name);
        Walk::at(self.clone(), sequence).each(|line, bytes| {
            let is_its = routing.takes(line);
            match stored(line, bytes).filter(|_| is_its) {
                Some(stored) if stored.sequence >= sequence => visit(stored),
                _ => ControlFlow::Continue(()),
            }
        })
    }

    /// Calls `visit` with each kept message and each record of what became of one, in the order in which they were
    /// written, until it breaks off.
    ///
    /// # Errors
    /// As [`read`](Reader::read).
    pub fn history<B>(
        &self,
        visit: impl FnMut(Entry<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>, JournalError> {
        self.history_since(SystemTime::UNIX_EPOCH, visit)
    }

    /// The same without what was written before `time`, as far as whole segments are concerned: some of what it gives
    /// may be older.
    ///
    /// # Errors
    /// As [`read`](Reader::read).
    pub fn history_since<B>(
        &self,
        time: SystemTime,
        mut visit: impl FnMut(Entry<'_>) -> ControlFlow<B>,
    ) -> Result<Option<B>, JournalError> {
        let first = self.segment_since(time);
        Walk::at(self.clone(), first).with_the_end().each(|line, bytes| match line {
            Line::Message { .. } => {
                stored(line, bytes).map_or(ControlFlow::Continue(()), |stored| visit(Entry::Stored(stored)))
            }
            Line::Delivery { sequence, output, outcome, note } => visit(Entry::Settled {
                sequence: *sequence,
                output: &decode_name(output),
                outcome: *outcome,
                note: decode(note),
            }),
            _ => ControlFlow::Continue(()),
        })
    }

    /// The note beside the last outcome of a message in an output, as long as it is kept.
    ///
    /// # Errors
    /// As [`read`](Reader::read).
    pub fn note(&self, name: &str, sequence: u64) -> Result<Option<(Outcome, Vec<u8>)>, JournalError> {
        let name = encode(name.as_bytes());
        let mut last = None;
        Walk::at(self.clone(), sequence).with_the_end().each(|line, _| {
            if let Line::Delivery { sequence: here, output, outcome, note } = line
                && (*here, *output) == (sequence, &*name)
            {
                last = Some((*outcome, decode(note)));
            }
            ControlFlow::<()>::Continue(())
        })?;
        Ok(last)
    }

    /// Dead letters, messages to be sent again, and the like, of an output; by number.
    #[must_use]
    pub fn exceptions(&self, name: &str) -> Vec<(u64, Exception)> {
        let view = self.shared.lock();
        let exceptions = view.state.output(name).map(|output| &output.exceptions);
        exceptions.into_iter().flatten().map(|(sequence, exception)| (*sequence, *exception)).collect()
    }

    /// The figures.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let view = self.shared.lock();
        let outputs = view.state.outputs.iter().map(|output| OutputStats {
            name: output.name.clone(),
            inputs: output.inputs.clone(),
            pending: output.pending(),
            cursor: output.is_busy().then_some(output.cursor),
            counts: output.counts,
        });
        Stats {
            next: view.state.next,
            oldest: view.segments.first().map_or(view.state.next, |segment| segment.first),
            segments: view.segments.len(),
            bytes: view.segments.iter().map(|segment| segment.size).sum(),
            groups: view.groups,
            last_sync: view.last_sync,
            outputs: outputs.collect(),
        }
    }

    /// How long the longest sync took since this was asked last, or one that has not returned yet has been taking: for one
    /// that watches the disk.
    #[must_use]
    pub fn take_slowest_sync(&self) -> Duration {
        let mut view = self.shared.lock();
        let running = view.sync_began.map_or(Duration::ZERO, |began| began.elapsed());
        std::mem::take(&mut view.slowest_sync).max(running)
    }

    /// How long all syncs took together since the start; 0 in a process that does not write.
    #[must_use]
    pub fn sync_time(&self) -> Duration {
        self.shared.lock().sync_time
    }

    /// The last segment that was opened before `time`, so that all before it is older; 0 for the oldest.
    fn segment_since(&self, time: SystemTime) -> u64 {
        let segments = &self.shared.lock().segments;
        let older = segments.iter().rev().find(|segment| from_millis(segment.opened) < time);
        let Some(opened) = older.map(|segment| segment.opened) else { return 0 };
        // One that was begun at a start has the time of the one before it, which may hold later messages.
        segments.iter().find(|segment| segment.opened == opened).map_or(0, |segment| segment.first)
    }

    /// The inputs of an output now, encoded.
    fn inputs(&self, name: &str) -> BTreeSet<String> {
        let view = self.shared.lock();
        let inputs = view.state.output(name).map(|output| output.inputs.iter());
        inputs.into_iter().flatten().map(|input| encode(input.as_bytes()).into_owned()).collect()
    }
}

/// A message's record as its readers get it.
fn stored(line: &Line<'_>, bytes: &[u8]) -> Option<Stored> {
    let Line::Message { sequence, time, connection, .. } = line else { return None };
    Some(Stored {
        sequence: *sequence,
        time: from_millis(*time),
        connection: decode_name(connection),
        bytes: bytes.to_vec(),
        tries: 0,
        again: false,
    })
}
