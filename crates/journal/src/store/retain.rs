//! Giving back the room of messages that every output is done with.

use std::path::Path;

use protogen_sys::files::FileOps;

use super::Store;
use crate::recover::segment_path;
use crate::skip;

impl<F: FileOps> Store<F> {
    /// Removes segments that no output needs, oldest first: those older than `keep` at `now` (milliseconds since
    /// 1970), and as many as are beyond `keep_size`.
    ///
    /// The written segment is closed first if it holds what is to go, so that a quiet journal forgets too.
    pub(crate) fn prune(&mut self, now: u64) {
        let keep = u64::try_from(self.settings.keep.as_millis()).unwrap_or(u64::MAX);
        let is_over = |time: u64| keep == 0 || time.saturating_add(keep) < now;
        // A delivery that is not durable yet is no reason to remove its message.
        self.sync_current();
        if self.unsynced {
            return;
        }
        let floor = self.shared.lock().state.floor();
        let first_time = self.current.as_ref().and_then(|current| current.first_time);
        if first_time.is_some_and(is_over) && floor >= self.next {
            // Without room for a further segment there is a next time.
            let _ = self.rotate();
        }
        let keep_size = self.settings.keep_size;
        while self.remove_oldest(|opened, total| is_over(opened) || total > keep_size) {}
    }

    /// Removes the oldest segment if no output needs it, however young it is; false if there is none.
    pub(super) fn give_room(&mut self) -> bool {
        self.sync_current();
        !self.unsynced && self.remove_oldest(|_, _| true)
    }

    /// Removes the oldest segment if no output needs it and it is `unwanted`, which is told when the one after it was
    /// opened and the bytes of all.
    fn remove_oldest(&mut self, unwanted: impl FnOnce(u64, u64) -> bool) -> bool {
        let view = self.shared.lock();
        let total: u64 = view.segments.iter().map(|segment| segment.size).sum();
        let (Some(oldest), Some(next)) = (view.segments.first(), view.segments.get(1)) else { return false };
        if next.first > view.state.floor() || !unwanted(next.opened, total) {
            return false;
        }
        let path = segment_path(&self.directory, oldest.first);
        drop(view);
        let removed = self.remove(&path);
        if removed {
            self.shared.lock().segments.remove(0);
        }
        removed
    }

    fn remove(&mut self, path: &Path) -> bool {
        let skips = skip::path_of(path);
        if skips.exists() && !self.keeper.remove(skips) {
            return false;
        }
        self.keeper.remove(path.to_owned())
    }
}
