//! What release 2 of MLLP adds: the receiver commits a message before it answers it, and we commit its answer.

use std::time::Instant;

use super::super::answer::{ACK, commit};
use super::Outlet;
use super::line::Line;
use crate::log;

impl Outlet {
    /// Whether the commit block that has come is about the message sent last. One that was settled by its answer before
    /// its commit block came, or is sent again meanwhile, has its own first.
    pub(super) fn is_about_current(&mut self) -> bool {
        let Some(Line { owed, .. }) = &mut self.line else { return false };
        let is_owed = *owed > 0;
        *owed = owed.saturating_sub(1);
        is_owed && *owed == 0
    }

    /// The receiver has the message on its way; what it says about it is awaited, and may take its time again.
    pub(super) fn committed(&mut self, now: Instant) {
        if let Some(current) = &mut self.current {
            log::debug!(
                &self.name,
                "message {} is committed, its answer is awaited",
                current.stored.sequence
            );
            current.sent = Some(now + self.socket.timeout);
        }
    }

    /// Tells the receiver that we have its answer. It leaves before anything else does.
    pub(super) fn commit_reply(&mut self) {
        if let Some(line) = &mut self.line {
            line.wire.out.extend(commit(ACK, &self.socket.mllp));
        }
    }
}
