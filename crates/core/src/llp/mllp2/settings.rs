//! Timers and limits of MLLP release 2.

use std::time::Duration;

use crate::llp::{SettingsError, mllp};

/// How a release 2 connection behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The frames. Defaults as in release 1; `frame_timeout` (60 s) must be at least twice `commit_timeout`, so
    /// that the source gives up before the destination does.
    pub framing: mllp::Settings,
    /// How long to wait for a commit block. Default 30 s.
    pub commit_timeout: Duration,
    /// How often a content block is sent again after a NAK or no answer. Default 2; `u32::MAX` is for ever.
    pub retries: u32,
    /// How long to wait after a NAK before sending again: it mostly means a full disk, which takes a while.
    /// Default 1 s.
    pub retry_pause: Duration,
    /// How many messages may wait to be sent, and how many received ones may wait to be stored. Default 8.
    pub queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            framing: mllp::Settings::default(),
            commit_timeout: Duration::from_secs(30),
            retries: 2,
            retry_pause: Duration::from_secs(1),
            queue: 8,
        }
    }
}

impl Settings {
    /// Whether these settings can work.
    ///
    /// # Errors
    /// Names the first one that cannot.
    pub fn check(&self) -> Result<(), SettingsError> {
        self.framing.check()?;
        SettingsError::timer(self.commit_timeout, "commit_timeout")?;
        SettingsError::timer(self.retry_pause, "retry_pause")?;
        let twice = self.framing.frame_timeout >= self.commit_timeout * 2;
        SettingsError::unless(twice, "frame_timeout", "must be at least twice commit_timeout")?;
        SettingsError::unless(self.queue > 0, "queue", "must be at least 1")
    }
}
