//! HL7 v2 messages ([`hl7`]), the protocols that carry them ([`llp`]), who may send them ([`hl7hosts`]) and the
//! character set of CareVue ([`roman8`]).
//!
//! Nothing in this crate reads a socket or a clock: a message is bytes, a protocol machine is fed bytes and the
//! time and gives back events, and the programs around it do the rest.
#![forbid(unsafe_code)]

pub mod hl7;
pub mod hl7hosts;
pub mod llp;
pub mod roman8;
