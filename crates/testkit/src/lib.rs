//! For tests only: fresh directories, running programs, scripted peers, bad lines and power cuts.
//!
//! A helper that cannot do its work panics with all that is known: it runs in tests, where that is the report.
#![allow(clippy::panic, clippy::expect_used)] // a panic is how a test helper reports

pub mod command;
pub mod daemon;
pub mod dir;
pub mod line;
pub mod loinc;
pub mod peer;
pub mod powercut;
pub mod pty;
pub mod random;
pub mod smtp;
pub mod tmpfs;

/// How long any step of a test may take. It only ends what hangs: a slow disk that others use too is no failure.
pub const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(120);

/// Says that a test cannot be made here, and why; it passes then.
///
/// # Panics
/// Where `CI` is set: what passes there was tested.
pub fn not_tested(why: impl std::fmt::Display) {
    assert!(std::env::var_os("CI").is_none(), "not tested: {why}");
    println!("not tested: {why}");
}

pub use command::{Output, TestCommand};
pub use daemon::Daemon;
pub use dir::Dir;
/// A test that opens many connections asks for them; see there.
pub use protogen_sys::open_files::raise_limit as raise_open_files;
