//! The configuration: from the text of socketReader.cfg(5) to what the program works with.
//!
//! Files name nothing that is not checked here: every path is absolute, every number in its range.

mod connection;
mod mask;
mod types;

pub use connection::{Connection, Debug, FileIn, FileOut, Kind, Naming, Socket};
pub use mask::Mask;
pub use types::{Config, General, LogLevel, StateDir, StateDirFrom};
