//! How threads share the processor.

use std::io;

/// Lets the calling thread give way to others where the processor is short; it cannot be taken back. `by` is a nice
/// value: 0 changes nothing, 19 gives way the most.
///
/// # Errors
/// What the system says.
pub fn give_way(by: u8) -> io::Result<()> {
    crate::unsafe_calls::give_way(by)
}
