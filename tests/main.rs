//! The one integration test binary: every program as its users run it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a panic is how a test reports

mod carevue_sim;
mod chain;
mod codes;
mod cvgateway;
mod hl7;
mod hl7tocv;
mod idb_direct;
mod install;
mod llpdrv;
mod pages;
mod readme;
mod socketreader;
mod support;
