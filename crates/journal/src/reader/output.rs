//! The messages that wait in one output, in order.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use super::routing::Routing;
use super::walk::Walk;
use super::{Reader, Stored, stored};
use crate::error::JournalError;
use crate::record::{Exception, Line};

/// Gives the messages that wait in an output, each once: first those to be sent again, then in the order of storing.
///
/// It holds a read-ahead of 256 KiB and one message, however many wait. It reads files: keep it out of an event loop.
#[derive(Debug)]
pub struct OutputReader {
    reader: Reader,
    name: String,
    walk: Walk,
    /// The next message to look at.
    position: u64,
    routing: Routing,
    /// Messages to be sent again that were given.
    again: BTreeSet<u64>,
}

/// What the state says about where to go on.
struct Plan {
    cursor: u64,
    last: u64,
    resend: Option<(u64, u32)>,
}

impl OutputReader {
    pub(super) fn new(reader: Reader, name: &str) -> OutputReader {
        let mut routing = Routing::of(name);
        routing.set(reader.inputs(name));
        OutputReader {
            name: name.to_owned(),
            walk: Walk::at(reader.clone(), 0),
            position: 0,
            routing,
            again: BTreeSet::new(),
            reader,
        }
    }

    /// The number that the next message will get: how far it has grown says how many were stored meanwhile.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.reader.shared.lock().state.next
    }

    /// The next message that waits and was not given yet; `None` when there is none now.
    ///
    /// # Errors
    /// [`JournalError::Damaged`], or what the system says about reading. A further call tries the same again.
    #[allow(clippy::should_implement_trait)] // not an iterator: after `None` there may be more
    pub fn next(&mut self) -> Result<Option<Stored>, JournalError> {
        loop {
            let Some(Plan { cursor, last, resend }) = self.plan() else { return Ok(None) };
            if let Some((sequence, tries)) = resend {
                self.again.insert(sequence);
                match self.reader.read(sequence)? {
                    Some(stored) => return Ok(Some(Stored { tries, again: true, ..stored })),
                    None => continue,
                }
            }
            if self.position < cursor {
                self.position = cursor;
                self.walk.forward_to(cursor);
            }
            if self.position > last {
                return Ok(None);
            }
            let Some(stored) = self.advance()? else { return Ok(None) };
            self.position = stored.sequence.saturating_add(1);
            match self.exception(stored.sequence) {
                Some(Exception::Dropped) => {}
                Some(Exception::Tries(tries)) => return Ok(Some(Stored { tries, ..stored })),
                _ => return Ok(Some(stored)),
            }
        }
    }

    /// Begins again with the first message that is not settled.
    pub fn rewind(&mut self) {
        self.position = 0;
        self.again.clear();
        self.walk = Walk::at(self.reader.clone(), 0);
        self.routing.set(self.reader.inputs(&self.name));
    }

    fn plan(&mut self) -> Option<Plan> {
        let view = self.reader.shared.lock();
        let output = view.state.output(&self.name)?;
        let exceptions = &output.exceptions;
        self.again.retain(|sequence| matches!(exceptions.get(sequence), Some(Exception::Resend(_))));
        let waits = exceptions.iter().find_map(|(sequence, exception)| match exception {
            Exception::Resend(tries) if !self.again.contains(sequence) => Some((*sequence, *tries)),
            _ => None,
        });
        Some(Plan { cursor: output.cursor, last: output.last, resend: waits })
    }

    fn exception(&self, sequence: u64) -> Option<Exception> {
        let view = self.reader.shared.lock();
        view.state.output(&self.name)?.exceptions.get(&sequence).copied()
    }

    /// The next message of this output at or after the position.
    fn advance(&mut self) -> Result<Option<Stored>, JournalError> {
        let (routing, position) = (&mut self.routing, self.position);
        let found = self.walk.each(|line, bytes| {
            let is_its = routing.takes(line);
            match line {
                Line::Message { sequence, .. } if is_its && *sequence >= position => {
                    ControlFlow::Break(stored(line, bytes))
                }
                _ => ControlFlow::Continue(()),
            }
        })?;
        Ok(found.flatten())
    }
}
