//! The socketreader program, as an interface engineer uses it.

mod check;
mod crash;
mod disk;
mod documents;
mod faults;
mod grammar;
mod manual;
mod site;
