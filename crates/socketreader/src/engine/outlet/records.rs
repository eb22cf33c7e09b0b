//! What became of a message, for the journal.

use std::sync::Arc;
use std::time::{Duration, Instant};

use protogen_journal::{Delivery, Outcome};

use super::Outlet;

/// The pause before the journal is offered a record that it did not take.
const RECORD_AGAIN: Duration = Duration::from_secs(1);

impl Outlet {
    pub(super) fn record(&mut self, sequence: u64, outcome: Outcome, note: Vec<u8>) {
        let delivery = Delivery { sequence, output: Arc::clone(&self.name), outcome, note };
        if let Err(delivery) = self.producer.record(delivery) {
            self.not_recorded(delivery);
        }
    }

    /// A record that the journal did not take; nothing more is delivered until it does. There may be several: one more
    /// message was on its way when the first was refused.
    pub(in crate::engine) fn not_recorded(&mut self, delivery: Delivery) {
        self.unrecorded.push_back(delivery);
        self.record_at.get_or_insert_with(|| Instant::now() + RECORD_AGAIN);
    }

    pub(super) fn record_again(&mut self, now: Instant) {
        if self.record_at.is_none_or(|due| now < due) {
            return;
        }
        self.record_at = None;
        for delivery in std::mem::take(&mut self.unrecorded) {
            if let Err(delivery) = self.producer.record(delivery) {
                self.not_recorded(delivery);
            }
        }
    }
}
