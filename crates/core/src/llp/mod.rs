//! Lower layer protocols: how a message crosses a line.
//!
//! Every protocol here is a machine that does no input or output and reads no clock. The program around it feeds
//! it what it read and what time it is, and asks it four things, until all four have nothing more to say:
//!
//! - [`Link::poll_event`]: what happened (a message came, a message was delivered, or could not be);
//! - [`Link::poll_transmit`]: bytes to write to the line now;
//! - [`Link::poll_timeout`]: when to call [`Link::handle_timeout`], if nothing else happens before;
//! - [`Link::is_idle`]: whether the line is free.
//!
//! | machine | protocol | `Delivered` says | a duplicate is |
//! |---|---|---|---|
//! | [`mllp::Station`] | MLLP release 1 | never said: `Sent` is all there is | not visible to the protocol |
//! | [`mllp2::Station`] | MLLP release 2 | the peer has stored it | possible when a commit block was lost |
//! | [`hllp::Station`] | HLLP | the peer has answered it with a message | possible when `on_timeout` resends |
//! | [`x328::Station`] | ANSI X3.28 | the peer acknowledged the last block | discarded by the block number |
//! | [`illp::Client`], [`illp::Server`] | ILLP | the server's reply has come | not possible |
//!
//! All of them keep the same promises: memory is bounded by the settings, nothing a peer sends can make them
//! panic, and every message accepted by [`Link::send`] ends in exactly one of `Delivered`, `Sent` or `Failed`.
//! Whoever only needs frames, not a dialogue, uses [`mllp::Decoder`] and [`mllp::encode`] alone.

mod event;
#[doc(hidden)]
pub mod fuzz;
pub mod hllp;
pub mod illp;
mod link;
pub mod mllp;
pub mod mllp2;
mod port;
mod queue;
mod settings;
pub mod x328;

#[cfg(test)]
mod rig;

pub use event::{Event, Failure, Note, NoteKind, SendError, SendId};
pub use link::{Counters, Kind, Link};
pub use settings::SettingsError;
