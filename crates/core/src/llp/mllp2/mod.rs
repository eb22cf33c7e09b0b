//! MLLP release 2: release 1 framing, and a commit block for every content block (HL7 V3 transport, MLLP R2).
//!
//! Each side is a source and a destination at once. A source sends one content block and waits for its commit block,
//! `<SB><ACK><EB><CR>` or `<SB><NAK><EB><CR>`; a destination stores a content block before it says ACK.
//!
//! The protocol promises delivery *at least* once: when a commit block is lost the source sends again, and the
//! destination cannot tell a repetition from a new message that looks the same. Only a repetition that comes
//! while the first is still being stored is recognised and dropped.

mod settings;
mod station;
#[cfg(test)]
mod tests;

pub use settings::Settings;
pub use station::Station;

/// Acknowledgment, the one byte of a positive commit block.
pub const ACK: u8 = 0x06;
/// Negative acknowledgment, the one byte of a negative commit block.
pub const NAK: u8 = 0x15;
