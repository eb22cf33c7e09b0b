//! The crate as programs use it: real processes, real files, real sockets.
#![allow(missing_docs)]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

mod child;
mod daemon;
mod durable;
mod event_loop;
mod hl7hosts;
mod locks;
mod logs;
mod mail;
mod services;
mod site;
mod spool;

use std::path::PathBuf;

/// The example that the tests start; cargo builds it beside them.
fn served() -> PathBuf {
    let test = std::env::current_exe().expect("the path of the test");
    let directory = test.ancestors().nth(2).expect("target/debug");
    let served = directory.join("examples/served");
    assert!(served.exists(), "{} is missing: run cargo test without --test", served.display());
    served
}
