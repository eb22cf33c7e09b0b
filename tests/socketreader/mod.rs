//! The socketreader program, as an interface engineer uses it.

mod check;
mod documents;
mod faults;
mod grammar;
mod manual;
mod site;
