//! A message cut into blocks.

use super::{CR, Settings};

/// Where in a message the current block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    start: usize,
    end: usize,
}

impl Cut {
    /// The block that begins at `start`.
    pub(super) fn at(start: usize, message: &[u8], settings: &Settings) -> Self {
        let rest = &message[start.min(message.len())..];
        let mut length = rest.len().min(settings.block_size);
        if settings.segment_per_block
            && let Some(cr) = rest[..length].iter().position(|b| *b == CR)
        {
            length = cr + 1;
        }
        Self { start, end: start + length }
    }

    /// The block after this one.
    pub(super) fn next(self, message: &[u8], settings: &Settings) -> Self {
        Self::at(self.end, message, settings)
    }

    pub(super) fn text(self, message: &[u8]) -> &[u8] {
        message.get(self.start..self.end).unwrap_or_default()
    }

    pub(super) fn is_last(self, message: &[u8]) -> bool {
        self.end >= message.len()
    }
}
