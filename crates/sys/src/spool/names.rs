//! Names that never repeat and sort in time.

use std::ffi::OsStr;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::Offset;

/// The most names of one microsecond; then the next one begins early.
const MAX_SEQUENCE: u16 = 9999;

/// Makes names `PREFIX<UTC time>-<seq>`: `20261123T184000.123456-0000`.
///
/// Of two names of one namer the later one sorts after the earlier one bytewise, whatever the clock does. Two
/// processes may make the same name in the same microsecond; a [`Producer`](super::Producer) then takes the next one.
#[derive(Debug, Clone, Default)]
pub struct Namer {
    prefix: String,
    /// Microseconds since 1970.
    time: i64,
    sequence: u16,
}

impl Namer {
    /// A namer whose names begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Namer {
        Namer { prefix: prefix.to_owned(), time: 0, sequence: 0 }
    }

    /// Goes on after `name`, which an earlier run made; anything else is ignored. With this, names sort in time also
    /// when the clock was set back between the runs.
    pub fn resume_after(&mut self, name: &OsStr) {
        if let Some(earlier) = name.to_str().and_then(|name| self.parse(name))
            && earlier > (self.time, self.sequence)
        {
            (self.time, self.sequence) = earlier;
        }
    }

    /// The next name, given the time.
    pub fn next(&mut self, now: SystemTime) -> String {
        let now = Timestamp::try_from(now).map_or(0, Timestamp::as_microsecond);
        if now > self.time {
            (self.time, self.sequence) = (now, 0);
        } else if self.sequence < MAX_SEQUENCE {
            self.sequence += 1;
        } else {
            (self.time, self.sequence) = (self.time.saturating_add(1), 0);
        }
        let time = Timestamp::from_microsecond(self.time).unwrap_or(Timestamp::MAX);
        let time = Offset::UTC.to_datetime(time).strftime("%Y%m%dT%H%M%S.%6f").to_string();
        format!("{}{time}-{:04}", self.prefix, self.sequence)
    }

    fn parse(&self, name: &str) -> Option<(i64, u16)> {
        let (time, sequence) = name.strip_prefix(&self.prefix)?.split_once('-')?;
        if sequence.len() != 4 {
            return None;
        }
        let time = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%S.%6f", time).ok()?;
        let time = Offset::UTC.to_timestamp(time).ok()?.as_microsecond();
        Some((time, sequence.parse().ok()?))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn at(micros: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_micros(micros)
    }

    #[test]
    fn a_name_is_the_time_and_a_number() {
        let mut namer = Namer::new("REQ");
        let now = at(1_795_459_200_123_456);
        assert_eq!(namer.next(now), "REQ20261123T184000.123456-0000");
        assert_eq!(namer.next(now), "REQ20261123T184000.123456-0001");
        assert_eq!(namer.next(now - Duration::from_secs(3600)), "REQ20261123T184000.123456-0002");
    }

    #[test]
    fn a_new_run_goes_on_after_the_last_name_of_the_old_one() {
        let mut namer = Namer::new("REQ");
        namer.resume_after(OsStr::new("REQ20261123T184000.123456-0007"));
        namer.resume_after(OsStr::new("REQ20251123T184000.123456-0009"));
        namer.resume_after(OsStr::new("REQsomething-else"));
        namer.resume_after(OsStr::new("ACK20991123T184000.123456-0001"));
        assert_eq!(namer.next(at(0)), "REQ20261123T184000.123456-0008");
    }

    proptest! {
        #[test]
        fn names_rise_whatever_the_clock_does(clock in prop::collection::vec(0u64..3, 2..200)) {
            let mut namer = Namer { sequence: MAX_SEQUENCE - 3, ..Namer::new("") };
            let names: Vec<String> = clock.iter().map(|tick| namer.next(at(*tick))).collect();
            prop_assert!(names.windows(2).all(|pair| pair[0] < pair[1]), "{names:?}");
        }
    }
}
