//! The socketreader program, as an interface engineer uses it.

mod alerts;
mod check;
mod crash;
mod crowd;
mod delivery;
mod disk;
mod documents;
mod faults;
mod files;
mod files_out;
mod filter;
mod framing;
mod grammar;
mod interop;
mod kinds;
mod lifecycle;
mod log;
mod manual;
mod operator;
mod pipe;
mod policy;
mod receivers;
mod repair;
mod site;
pub mod support;
mod tryout;
