//! The socketreader program, as an interface engineer uses it.

mod grammar;
