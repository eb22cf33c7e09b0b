//! Delimiters, limits and timers of MLLP.

use std::time::Duration;

use super::{CR, EB, SB};
use crate::llp::SettingsError;

/// How frames look and what a receiver bears with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Start of block. Default SB, 0x0B. Must not occur in messages.
    pub sob: Vec<u8>,
    /// End of data. Default EB, 0x1C. Must not occur in messages.
    pub eod: Vec<u8>,
    /// End of block, right after `eod`. Default CR, 0x0D; may be empty.
    pub eob: Vec<u8>,
    /// Hold the peer to the grammar of release 2: no byte below 0x20 but CR, no EB without CR, no junk accepted
    /// as data. Default off: the receiver is tolerant, as [`Decoder`](super::Decoder) says.
    pub strict: bool,
    /// Longest message taken or sent, in bytes. Default 16 MiB.
    pub max_message: usize,
    /// How long an `eod` may stand at the end of the input before it counts as the end of the frame although `eob`
    /// has not come. Default 500 ms. Not used when strict.
    pub eb_grace: Duration,
    /// How long an unfinished frame may go without a further byte before it is dropped. Default 60 s.
    pub frame_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sob: vec![SB],
            eod: vec![EB],
            eob: vec![CR],
            strict: false,
            max_message: 16 << 20,
            eb_grace: Duration::from_millis(500),
            frame_timeout: Duration::from_secs(60),
        }
    }
}

impl Settings {
    /// Longest delimiter, in bytes: what may have to be held back until more input decides.
    pub const MAX_DELIMITER: usize = 64;

    /// Whether these settings can work.
    ///
    /// # Errors
    /// Names the first one that cannot.
    pub fn check(&self) -> Result<(), SettingsError> {
        let unless = SettingsError::unless;
        let fits = |d: &[u8]| d.len() <= Self::MAX_DELIMITER;
        unless(!self.sob.is_empty() && fits(&self.sob), "sob", "must have 1 to 64 bytes")?;
        unless(!self.eod.is_empty() && fits(&self.eod), "eod", "must have 1 to 64 bytes")?;
        unless(fits(&self.eob), "eob", "must have at most 64 bytes")?;
        unless(!self.eod.starts_with(&self.sob), "eod", "must not begin with sob")?;
        unless(!self.sob.starts_with(&self.eod), "sob", "must not begin with eod")?;
        unless(self.max_message > 0, "max_message", "must be at least 1")?;
        SettingsError::timer(self.eb_grace, "eb_grace")?;
        SettingsError::timer(self.frame_timeout, "frame_timeout")
    }
}
