//! ANSI X3.28 as HL7 uses it: half duplex sessions of numbered, checked blocks over a serial line (HL7 v2.1
//! appendix B; subcategory two-way alternate, message-associated blocking).
//!
//! ```text
//! master: ENQ                 slave: DLE 0        (or NAK: not ready)
//! master: STX 1 ... ETB       slave: DLE 1
//! master: STX 2 ... ETX       slave: DLE 2        the message is stored
//! master: EOT                 both neutral; the other side bids to send its reply
//! ```
//!
//! [`Station`] is one end of the line. It is put together from a reader, which makes tokens out of bytes, and from the
//! rules of the master and of the slave, each in a module of its own that neither writes nor looks at a clock.
//!
//! What the variants cost: `numbering` none leaves a repeated block indistinguishable from a new one, so that a reply
//! that is late or doubled may double a block; `ack` plain makes a late reply look like the next one; `bcc` none lets
//! any damage pass that keeps the length, or with `numbering` none too, all of it. The HL7 defaults have none of
//! these gaps: within a session nothing is lost or doubled. Between sessions one gap is left in every variant: if all
//! replies to a message's last block are lost, the master reports a failure and the slave has the message.

mod blocks;
mod master;
mod reader;
mod settings;
mod slave;
mod station;
#[cfg(test)]
mod tests;
mod token;

pub use settings::{Ack, Bcc, Numbering, Priority, Settings, Term, TimeoutAction};
pub use station::Station;

/// Start of heading.
pub const SOH: u8 = 0x01;
/// Start of text.
pub const STX: u8 = 0x02;
/// End of text: the last block of a message.
pub const ETX: u8 = 0x03;
/// End of transmission: the session is over.
pub const EOT: u8 = 0x04;
/// Enquiry: a bid for the line, or "repeat your last reply".
pub const ENQ: u8 = 0x05;
/// Acknowledgment, in the plain variant.
pub const ACK: u8 = 0x06;
/// Data link escape.
pub const DLE: u8 = 0x10;
/// Negative acknowledgment.
pub const NAK: u8 = 0x15;
/// End of transmission block: more blocks follow.
pub const ETB: u8 = 0x17;
/// After DLE: reverse interrupt.
pub const RINT: u8 = 0x3c;
/// Carriage return.
pub const CR: u8 = 0x0d;
/// Line feed.
pub const LF: u8 = 0x0a;
