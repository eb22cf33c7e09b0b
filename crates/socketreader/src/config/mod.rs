//! The configuration: from the text of socketReader.cfg(5) to what the program works with.
//!
//! [`ini`] has the grammar, [`options`] the table of what sections may hold, `section` reads one by the other into
//! drafts, `resolve` makes connections of them, `together` and `surroundings` check these against each other and
//! against the host. Nothing stops at the first fault: a [`Report`] names all of them.

mod connection;
mod debug;
mod delivery;
mod draft;
mod fault;
mod gate;
pub mod ini;
mod interpolate;
mod mask;
pub mod options;
mod problem;
mod python;
mod read;
mod report;
mod resolve;
mod section;
mod surroundings;
mod table;
mod together;
mod types;
mod value;

pub use connection::{Connection, Debug, FileIn, FileOut, Kind, Naming, Socket, Tls};
pub use debug::KEYS as DEBUG_KEYS;
pub use delivery::{MatchAck, OnRefusal, Policy, Refusal};
pub use gate::{Gate, Pipe};
pub use mask::Mask;
pub use problem::{Problem, Severity};
pub use read::{Scope, load, parse};
pub use report::Report;
pub use types::{Alert, Config, General, LogLevel, Queue, StateDir, StateDirFrom};
