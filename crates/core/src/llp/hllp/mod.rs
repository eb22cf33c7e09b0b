//! HLLP, the hybrid lower layer protocol: framed blocks with a character count and a checksum, and a negative
//! acknowledgment for damaged ones (HL7 implementation guide, appendix C).
//!
//! `<SB> t vv <CR> data ccccc xxx <EB><CR>`, where `t` is D for data (requests and replies alike) or N for "not
//! acknowledged". There is no positive acknowledgment: the reply message is one.

mod block;
mod decode;
mod reply;
mod settings;
mod station;
#[cfg(test)]
mod tests;

pub use settings::{Bcc, OnBadReply, OnTimeout, Settings};
pub use station::Station;

/// Start block, VT; a default.
pub const SB: u8 = 0x0b;
/// End block, FS; a default.
pub const EB: u8 = 0x1c;
/// Carriage return.
pub const CR: u8 = 0x0d;

/// Block type: data.
pub const DATA: u8 = b'D';
/// Block type: negative acknowledgment.
pub const NAK: u8 = b'N';

/// Reason in a NAK block: the character count is wrong.
pub const WRONG_COUNT: u8 = b'C';
/// Reason in a NAK block: the checksum is wrong.
pub const WRONG_SUM: u8 = b'X';
/// Reason in a NAK block: the data is too long for the receiver.
pub const TOO_LONG: u8 = b'B';
/// Reason in a NAK block: anything else.
pub const OTHER: u8 = b'G';

/// SB, `t`, `vv` and CR.
const HEADER: usize = 5;
/// `ccccc` and `xxx`.
const TRAILER: usize = 8;
/// The longest data whose count fits in five digits.
pub const MAX_DATA: usize = 99_999 - HEADER;
