//! What is wrong with a machine's settings.

use std::fmt;
use std::time::Duration;

/// A setting that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SettingsError {
    /// The setting's name.
    pub setting: &'static str,
    /// What it should be.
    pub rule: &'static str,
}

impl SettingsError {
    pub(super) fn unless(ok: bool, setting: &'static str, rule: &'static str) -> Result<(), Self> {
        if ok { Ok(()) } else { Err(Self { setting, rule }) }
    }

    /// Timers are longer than nothing and shorter than a day, so that adding one to a time never overflows.
    pub(super) fn timer(value: Duration, setting: &'static str) -> Result<(), Self> {
        let day = Duration::from_secs(86_400);
        Self::unless(!value.is_zero() && value <= day, setting, "must be longer than 0 and at most a day")
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.setting, self.rule)
    }
}

impl std::error::Error for SettingsError {}
