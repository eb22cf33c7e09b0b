//! `--since`: a moment, or how long ago.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

/// A moment, as it is typed: `2026-11-28`, `2026-11-28T03:00`, `2026-11-28T03:00:00Z`, `90m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Since {
    Moment(SystemTime),
    Ago(Duration),
}

impl Since {
    /// The moment it means.
    pub(crate) fn before(self, now: SystemTime) -> SystemTime {
        match self {
            Since::Moment(moment) => moment,
            Since::Ago(ago) => now.checked_sub(ago).unwrap_or(SystemTime::UNIX_EPOCH),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Since, String> {
        let text = text.trim();
        let local =
            |time: DateTime| time.to_zoned_datetime(TimeZone::system()).ok().map(|zoned| zoned.timestamp());
        let moment = text
            .parse::<Timestamp>()
            .ok()
            .or_else(|| local(text.parse::<DateTime>().ok()?))
            .or_else(|| local(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight())));
        if let Some(moment) = moment {
            // The journal began after 1970.
            let since = Duration::from_millis(moment.as_millisecond().try_into().unwrap_or(0));
            return Ok(Since::Moment(SystemTime::UNIX_EPOCH + since));
        }
        let days = text.strip_suffix('d').and_then(|days| days.parse::<u32>().ok());
        let ago = days
            .map(|days| Duration::from_secs(u64::from(days) * 86_400))
            .or_else(|| text.parse::<SignedDuration>().ok().and_then(|ago| ago.try_into().ok()));
        ago.map(Since::Ago).ok_or_else(|| {
            format!("\"{text}\" is no time: say 2026-11-28, 2026-11-28T03:00, 2026-11-28T03:00:00Z, 90m, 24h or 7d")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_how_long_ago() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        for (text, seconds) in [("90m", 5400), ("24h", 86_400), ("1h 30m", 5400), ("7d", 604_800), ("0s", 0)]
        {
            let since: Since = text.parse().unwrap();
            assert_eq!(since.before(now), now - Duration::from_secs(seconds), "{text}");
        }
        let moment = |text: &str| text.parse::<Since>().unwrap().before(now);
        assert_eq!(moment("1970-01-01T00:00:10Z"), SystemTime::UNIX_EPOCH + Duration::from_secs(10));
        assert_eq!(moment("2026-11-28"), moment("2026-11-28T00:00"));
        assert_eq!(moment("2026-11-28T00:00:00"), moment("2026-11-28 00:00"));
        for text in ["", "yesterday", "-3h", "2026-13-01", "7x"] {
            let error = text.parse::<Since>().unwrap_err();
            assert!(error.starts_with(&format!("\"{text}\" is no time: say ")), "{error}");
        }
    }
}
