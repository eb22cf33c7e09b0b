//! Delivery records that were refused and are to come again.
//!
//! A record settles all messages before it, so one that comes after a refused one of the same output must not be taken
//! first: what was refused would then neither wait nor be settled.

use std::collections::HashMap;
use std::sync::Arc;

use super::commit::Delivery;
use crate::error::Refusal;
use crate::record::Outcome;

/// The first refused record of each output.
#[derive(Debug, Default)]
pub(super) struct Owed(HashMap<Arc<str>, (u64, Refusal)>);

impl Owed {
    /// Why a record has to wait for one before it.
    pub(super) fn reason_against(&self, delivery: &Delivery) -> Option<Refusal> {
        let (first, refusal) = self.0.get(&delivery.output)?;
        (goes_in_turn(delivery.outcome) && delivery.sequence > *first).then_some(*refusal)
    }

    /// Takes note of what became of a record; `cursor` is the first message that its output has not settled.
    pub(super) fn note(&mut self, delivery: &Delivery, cursor: u64, result: Result<(), Refusal>) {
        match result {
            Err(refusal @ (Refusal::Full | Refusal::Failed | Refusal::TooMany)) => {
                if goes_in_turn(delivery.outcome) && delivery.sequence >= cursor {
                    let owed = self.0.entry(Arc::clone(&delivery.output));
                    owed.and_modify(|(first, _)| *first = delivery.sequence.min(*first))
                        .or_insert((delivery.sequence, refusal));
                }
            }
            _ => {
                // An operator may have settled it meanwhile.
                if self.0.get(&delivery.output).is_some_and(|(first, _)| *first < cursor) {
                    self.0.remove(&delivery.output);
                }
            }
        }
    }
}

/// Whether an output records it in the order of its messages.
fn goes_in_turn(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Delivered | Outcome::Dead | Outcome::Filtered)
}
