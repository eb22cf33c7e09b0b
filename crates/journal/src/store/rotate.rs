//! Going on in a further segment.

use std::io;

use protogen_sys::files::FileOps;

use super::{Current, Ended, Store};
use crate::keeper::SPARE;
use crate::record::{Head, Line};
use crate::recover::{Segment, segment_path};

impl<F: FileOps> Store<F> {
    /// Opens a further segment with the state as it is, and asks for a spare.
    ///
    /// The segment gets its name when its opening is on stable storage, and counts when its name is.
    pub(super) fn rotate(&mut self) -> io::Result<()> {
        self.keeper.ask(self.settings.segment_size);
        let file = self.keeper.take()?;
        self.sync_end();
        // A number names one segment only: not also one after a segment without a message.
        let first = self.next.max(self.ended.first.saturating_add(1));
        let mut opening = Vec::new();
        let Ended { first: previous, end: previous_end } = self.ended;
        Line::Head(Head { first, previous, previous_end, time: self.time }).write(b"", &mut opening);
        self.shared.lock().state.write(&mut opening);
        let capacity = self.files.len(&file)?;
        self.files.write_at(&file, &opening, 0)?;
        self.files.sync_data(&file)?;

        // From here on a crash may find it: nothing may be added to the segment before it, and if this fails, its
        // number is used up.
        self.current = None;
        self.next = first.saturating_add(1);
        let path = segment_path(&self.directory, first);
        self.files.rename_new(&self.directory.join(SPARE), &path)?;
        self.files.sync_directory(&self.directory)?;
        self.next = first;

        let end = opening.len() as u64;
        self.current =
            Some(Current { file, capacity, offset: end, synced: end, marked: end, first_time: None });
        self.ended = Ended { first, end };
        self.unsynced = false;
        let mut view = self.shared.lock();
        if let Some(before) = view.segments.last_mut() {
            before.end = Some(previous_end);
        }
        view.segments.push(Segment { first, end: None, opened: self.time, size: capacity });
        view.state.next = first;
        drop(view);
        self.keeper.ask(self.settings.segment_size);
        Ok(())
    }

    /// Closes the written segment where its records end, as far as they are on stable storage.
    ///
    /// Without durability too: the further segment says where this one ends, so it must hold what is said.
    fn sync_end(&mut self) {
        self.sync_current();
        if let Some(current) = &self.current {
            self.ended.end = current.synced;
        }
    }

    /// The written segment failed: it ends where it was known to be whole, and is not written again.
    pub(super) fn give_up_segment(&mut self) {
        if let Some(current) = self.current.take() {
            self.ended.end = if self.settings.durable { current.synced } else { current.offset };
            self.unsynced = true;
        }
    }

    pub(super) fn sync_names(&self) -> Result<(), crate::JournalError> {
        self.files.sync_directory(&self.directory).map_err(|source| crate::JournalError::File {
            path: self.directory.clone(),
            doing: "cannot sync",
            source,
        })
    }
}
