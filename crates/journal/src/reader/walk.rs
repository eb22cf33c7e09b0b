//! Record after record, over all segments, up to what is stored.

use std::io;
use std::ops::ControlFlow;

use super::Reader;
use crate::error::JournalError;
use crate::record::Line;
use crate::recover::segment_path;
use crate::scan::{Scanned, Scanner};

/// A place in the journal.
#[derive(Debug)]
pub(super) struct Walk {
    reader: Reader,
    /// The segment, by its first sequence.
    segment: u64,
    scanner: Option<Scanner>,
    /// Whether to read the records behind the last message too.
    to_the_end: bool,
}

/// What is known of a segment at one moment.
struct Known {
    end: Option<u64>,
    is_there: bool,
    following: Option<u64>,
    /// The number of the next message to be stored: none from here on counts.
    next: u64,
}

impl Walk {
    /// Begins with the segment that holds `sequence`, or the oldest.
    pub(super) fn at(reader: Reader, sequence: u64) -> Walk {
        let segment = reader.segment_of(sequence);
        Walk { reader, segment, scanner: None, to_the_end: false }
    }

    pub(super) fn with_the_end(mut self) -> Walk {
        self.to_the_end = true;
        self
    }

    /// Goes on in the segment that holds `sequence`, unless that is the one that is being read and it is ahead.
    pub(super) fn forward_to(&mut self, sequence: u64) {
        let segment = self.reader.segment_of(sequence);
        if segment > self.segment {
            (self.segment, self.scanner) = (segment, None);
        }
    }

    /// Calls `visit` with each record until it breaks off; `None` when all that is stored was visited. A further call
    /// goes on from there.
    pub(super) fn each<B>(
        &mut self,
        mut visit: impl FnMut(&Line<'_>, &[u8]) -> ControlFlow<B>,
    ) -> Result<Option<B>, JournalError> {
        let mut known = self.reader.known(self.segment);
        let mut fresh = false;
        loop {
            let Some(scanner) = self.scanner.as_mut() else {
                match Scanner::open(&segment_path(&self.reader.directory, self.segment), known.end) {
                    Ok(scanner) => (self.scanner, fresh) = (Some(scanner), true),
                    Err(error) if is_gone(&error) && self.reader.may_be_removed(self.segment) => {
                        // It was removed, since nobody needs it.
                        let Some(following) = known.following else { return Ok(None) };
                        self.segment = following;
                        known = self.reader.known(following);
                    }
                    Err(error) => return Err(error),
                }
                continue;
            };
            scanner.limit(known.end);
            let is_last = known.end.is_none() && known.is_there;
            if is_last && !self.to_the_end && scanner.sequence() >= known.next {
                return Ok(None);
            }
            let what = match scanner.next()? {
                Scanned::Record { line, bytes, .. } => match visit(&line, bytes) {
                    ControlFlow::Break(value) => return Ok(Some(value)),
                    ControlFlow::Continue(()) => continue,
                },
                Scanned::End => "nothing where a record was",
                Scanned::Bad(what) => what,
            };
            let is_over = known.end.is_some_and(|end| scanner.offset() >= end) || !known.is_there;
            if is_over {
                let Some(following) = known.following else { return Ok(None) };
                if following < scanner.sequence() {
                    return Err(scanner.damaged("messages that the next segment has too"));
                }
                (self.segment, self.scanner) = (following, None);
                known = self.reader.known(following);
            } else if !fresh {
                // What was read ahead is older than what was written since.
                scanner.refresh();
                fresh = true;
            } else if is_last && scanner.sequence() >= known.next {
                return Ok(None);
            } else {
                return Err(scanner.damaged(what));
            }
        }
    }
}

impl Reader {
    fn segment_of(&self, sequence: u64) -> u64 {
        let view = self.shared.lock();
        let segments = &view.segments;
        let after = segments.partition_point(|segment| segment.first <= sequence);
        segments.get(after.saturating_sub(1)).map_or(1, |segment| segment.first)
    }

    /// Whether the segment's file may be gone because nobody needs it any more.
    fn may_be_removed(&self, first: u64) -> bool {
        self.is_apart || !self.known(first).is_there
    }

    fn known(&self, first: u64) -> Known {
        let view = self.shared.lock();
        let segments = &view.segments;
        let segment = segments.iter().find(|segment| segment.first == first);
        Known {
            end: segment.and_then(|segment| segment.end),
            is_there: segment.is_some(),
            following: segments.iter().map(|segment| segment.first).find(|other| *other > first),
            next: view.state.next,
        }
    }
}

fn is_gone(error: &JournalError) -> bool {
    matches!(error, JournalError::File { source, .. } if source.kind() == io::ErrorKind::NotFound)
}
