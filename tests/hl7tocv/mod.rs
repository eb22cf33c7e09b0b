//! hl7tocv, over a stand-in for the gateway and over the real one.

mod batch;
mod crash;
mod list;
mod operator;
mod program;
mod support;
mod terminal;
