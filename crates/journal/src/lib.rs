//! The durable message queue: what was reported as stored survives a crash and a power cut.
//!
//! A [`Journal`] is a directory of segments, written by one thread. [`Producer`]s hand it messages and delivery
//! records; the writer takes all that waits, does one write and one sync, and hands the results back. A message is
//! stored once, however many outputs it has; each output has a cursor, and an [`OutputReader`] that gives its messages
//! in order. A [`Reader`] of another process needs no lock.
//!
//! The files are described in journal(5).

mod error;
mod journal;
mod keeper;
mod queue;
mod reader;
mod record;
mod recover;
mod repair;
mod scan;
mod settings;
mod skip;
mod state;
mod store;

pub use error::{JournalError, Refusal};
pub use journal::{Journal, Message};
pub use queue::{Completion, Producer};
pub use reader::{Entry, OutputReader, OutputStats, Reader, Stats, Stored};
pub use record::{Counts, Exception, MAX_NOTE, Outcome};
pub use repair::{Repaired, repair};
pub use settings::{MAX_NAME, MAX_SEGMENT, MIN_SEGMENT, Output, Settings};
pub use store::{Delivery, Recovery};
