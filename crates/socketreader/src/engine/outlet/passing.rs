//! Messages that are settled without a receiver: the connection does not want them.

use protogen_journal::Outcome;

use super::Outlet;
use crate::follow;
use crate::gate::Unwanted;
use crate::log;

impl Outlet {
    /// Settles what comes next and needs no receiver, while there is none.
    pub(super) fn pass_by(&mut self) {
        while self.current.is_none()
            && self.unrecorded.is_empty()
            && !self.stopping
            && !self.outbox.is_paused()
            && let Some(unwanted) = self.feed.take_unwanted()
        {
            self.settle_unwanted(unwanted);
        }
    }

    pub(super) fn settle_unwanted(&mut self, unwanted: Unwanted) {
        let Unwanted { stored, outcome, note } = unwanted;
        if outcome == Outcome::Dead {
            self.outbox.buried();
        }
        log::unwanted(&self.name, &stored, outcome, &note);
        self.board.followers.tell(|| follow::line(&self.name, &stored, outcome, &note));
        self.record(stored.sequence, outcome, note);
    }
}
