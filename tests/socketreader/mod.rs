//! The socketreader program, as an interface engineer uses it.

mod check;
mod crash;
mod delivery;
mod disk;
mod documents;
mod faults;
mod framing;
mod grammar;
mod kinds;
mod lifecycle;
mod manual;
mod repair;
mod site;
mod support;
