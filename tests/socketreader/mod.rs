//! The socketreader program, as an interface engineer uses it.

pub mod certificates;
mod check;
mod crash;
mod crowd;
mod delivery;
mod disk;
mod documents;
mod faults;
mod files;
mod files_out;
mod framing;
mod grammar;
mod guard;
mod interop;
mod kinds;
mod lifecycle;
mod log;
mod manual;
mod metrics;
mod operator;
mod policy;
mod reload;
mod repair;
mod site;
pub mod support;
mod tls;
