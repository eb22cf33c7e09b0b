//! The crate as programs use it: real processes, real files, real sockets.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

mod child;
mod coprocess;
mod daemon;
mod directory_watch;
mod durable;
mod event_loop;
mod hl7hosts;
mod locks;
mod logs;
mod mail;
mod services;
mod site;
mod spool;

/// The program that the tests start.
const SERVED: &str = env!("CARGO_BIN_EXE_served");
