//! Limits and timers of ILLP.

use std::time::Duration;

use crate::llp::SettingsError;

/// How an ILLP connection behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The client's connection id; none is sent where it is empty. Default empty.
    pub token: Vec<u8>,
    /// Longest message, in bytes. Default 16 MiB.
    pub max_message: usize,
    /// How long the connection may go without a byte. It runs while the peer's message is awaited, not while the
    /// server's program works. Default 60 s.
    pub idle_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { token: Vec::new(), max_message: 16 << 20, idle_timeout: Duration::from_secs(60) }
    }
}

impl Settings {
    /// Whether these settings can work.
    ///
    /// # Errors
    /// Names the first one that cannot.
    pub fn check(&self) -> Result<(), SettingsError> {
        let token = super::is_token(&self.token);
        SettingsError::unless(
            token,
            "token",
            "must be at most 63 printable ASCII characters without blanks",
        )?;
        SettingsError::unless(self.max_message > 0, "max_message", "must be at least 1")?;
        SettingsError::timer(self.idle_timeout, "idle_timeout")
    }
}
