//! The socketreader program, as an interface engineer uses it.

mod check;
mod crowd;
mod delivery;
mod documents;
mod faults;
mod files;
mod files_out;
mod framing;
mod grammar;
mod interop;
mod kinds;
mod lifecycle;
mod log;
mod manual;
mod site;
mod support;
