//! The socketreader program, as an interface engineer uses it.

mod faults;
mod grammar;
mod manual;
mod site;
