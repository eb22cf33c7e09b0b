//! MLLP release 1: `<SB> message <EB><CR>` and nothing else (HL7 implementation guide, appendix C).
//!
//! The protocol has no acknowledgment of its own: the only answer is another message. [`encode()`] and [`Decoder`]
//! work on frames; [`Station`] is the same behind the common [`Link`](super::Link) shape.

mod decode;
mod encode;
mod settings;
mod station;
#[cfg(test)]
mod tests;
mod verdict;

pub use decode::{Decoder, Dropped, Frame, Item};
pub use encode::{encode, encode_unchanged};
pub use settings::Settings;
pub use station::Station;
pub(in crate::llp) use station::report;

/// Start block, VT.
pub const SB: u8 = 0x0b;
/// End block, FS.
pub const EB: u8 = 0x1c;
/// Carriage return: the frame's trailer, and the end of each HL7 segment.
pub const CR: u8 = 0x0d;
