//! Names of written files: they never repeat, and sort in the order of writing.
//!
//! The last time and count are kept in `statedir/names`, so that a clock that is set back, or a reader that has emptied
//! the directory, brings no name twice. That file is not synced: after a power cut the clock has moved on.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::Path;

use jiff::civil::DateTime;
use jiff::{SignedDuration, ZonedDateTime};
use memchr::memchr2;
use protogen_core::hl7::Message;

use crate::config::Naming;
use crate::rejects::file_name;

const FORM: &str = "%Y%m%d%H%M%S";
/// The most names of one second: five digits count them.
const MAX_COUNT: u32 = 99_999;
/// The most bytes of a field of MSH in a name: with five of them a name stays below the system's 255.
const MAX_PART: usize = 36;

#[derive(Debug)]
pub(super) struct Names {
    naming: Naming,
    suffix: String,
    last: Option<(DateTime, u32)>,
    mark: File,
}

impl Names {
    pub(super) fn open(
        naming: Naming,
        suffix: String,
        connection: &str,
        statedir: &Path,
    ) -> io::Result<Names> {
        let directory = statedir.join("names");
        if !directory.is_dir() {
            DirBuilder::new().mode(0o700).create(&directory).map_err(|error| named(&directory, &error))?;
        }
        let path = directory.join(file_name(connection));
        let mark =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let mark = mark.map_err(|error| named(&path, &error))?;
        let mut text = [0; 32];
        let length = mark.read_at(&mut text, 0)?;
        let last = std::str::from_utf8(&text[..length]).ok().and_then(read_mark);
        if last.is_none() && length > 0 {
            let what = format!("{}: holds no time and count; remove it", path.display());
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(Names { naming, suffix, last, mark })
    }

    /// The name for a message that is written now; false beside it if the message should have an HL7 prefix and cannot.
    pub(super) fn next(&mut self, message: &[u8], now: &ZonedDateTime) -> (OsString, bool) {
        let (time, count) = self.step(now.datetime());
        let (mut name, is_whole) = prefix(&self.naming, message);
        name.extend_from_slice(format!("{}_{count:05}{}", time.strftime(FORM), self.suffix).as_bytes());
        (OsString::from_vec(name), is_whole)
    }

    /// The next place in time: now, or behind the last one where the clock has not moved on.
    fn step(&mut self, now: DateTime) -> (DateTime, u32) {
        let now = now.with().subsec_nanosecond(0).build().unwrap_or(now);
        let next = match self.last {
            Some((last, count)) if now <= last && count < MAX_COUNT => (last, count + 1),
            Some((last, _)) if now <= last => {
                (last.checked_add(SignedDuration::from_secs(1)).unwrap_or(last), 0)
            }
            _ => (now, 0),
        };
        self.last = Some(next);
        next
    }

    /// Remembers the last name across a restart.
    pub(super) fn save(&self) -> io::Result<()> {
        let Some((time, count)) = self.last else { return Ok(()) };
        self.mark.write_all_at(format!("{} {count:05}\n", time.strftime(FORM)).as_bytes(), 0)
    }
}

/// How the name begins; false beside it if the message should have an HL7 prefix and cannot.
pub(super) fn prefix(naming: &Naming, message: &[u8]) -> (Vec<u8>, bool) {
    match naming {
        Naming::Prefix(prefix) => (prefix.clone().into_bytes(), true),
        Naming::Hl7 => match hl7_prefix(message) {
            Some(prefix) => (prefix, true),
            None => (Vec::new(), false),
        },
    }
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn read_mark(text: &str) -> Option<(DateTime, u32)> {
    let (time, count) = text.trim_end().split_once(' ')?;
    Some((DateTime::strptime(FORM, time).ok()?, count.parse().ok()?))
}

/// `SRC_FAC_DST_FAC_TYPE_` of MSH-3 to MSH-6 and MSH-9.1 (manual, 4.2.2.2); `None` if the message has no MSH.
fn hl7_prefix(message: &[u8]) -> Option<Vec<u8>> {
    let end = memchr2(b'\r', b'\n', message).unwrap_or(message.len());
    let header = Message::parse(&message[..end]).ok()?;
    let mut prefix = Vec::new();
    for field in [3, 4, 5, 6, 9] {
        let value = header.header(field).component(1);
        let value = value.raw();
        prefix.extend(value[..value.len().min(MAX_PART)].iter().map(|byte| clean(*byte)));
        prefix.push(b'_');
    }
    // No name is hidden.
    if prefix.first() == Some(&b'.') {
        prefix[0] = b'-';
    }
    Some(prefix)
}

/// No byte of a message has a meaning in a path.
fn clean(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() || byte == b'.' || byte == b'-' { byte } else { b'-' }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protogen_testkit::Dir;

    fn at(text: &str) -> ZonedDateTime {
        DateTime::strptime(FORM, text).unwrap().to_zoned_datetime(jiff::tz::TimeZone::UTC).unwrap()
    }

    fn open(dir: &Dir, naming: Naming) -> Names {
        Names::open(naming, ".hl7".into(), "out", dir.path()).unwrap()
    }

    fn next(names: &mut Names, message: &[u8], time: &str) -> String {
        names.next(message, &at(time)).0.into_string().unwrap()
    }

    #[test]
    fn the_manuals_example() {
        let dir = Dir::new();
        let mut names = open(&dir, Naming::Hl7);
        let message = b"MSH|^~\\&|ORBIS^x|UKD|OPUSL|UKD|20101102||ADT^A01|1|P|2.3\rPID|1\r";
        assert_eq!(
            next(&mut names, message, "20101102124510"),
            "ORBIS_UKD_OPUSL_UKD_ADT_20101102124510_00000.hl7"
        );
        assert_eq!(next(&mut names, b"MSH|^~\\&|||||", "20101102124510"), "_____20101102124510_00001.hl7");
    }

    #[test]
    fn no_field_chooses_a_path() {
        let dir = Dir::new();
        let mut names = open(&dir, Naming::Hl7);
        let message = b"MSH|^~\\&|../../etc|/a b|\xFC\0$(x)|.|1||A*T|1\r";
        assert_eq!(
            next(&mut names, message, "20260101000000"),
            "-.-..-etc_-a-b_----x-_._A-T_20260101000000_00000.hl7"
        );
        let long = [b"MSH|^~\\&|".as_slice(), &[b'x'; 5000], b"|y"].concat();
        assert!(next(&mut names, &long, "20260101000000").len() < 250);
        let (name, whole) = names.next(b"no message", &at("20260101000001"));
        assert_eq!((name.to_str(), whole), (Some("20260101000001_00000.hl7"), false));
    }

    #[test]
    fn a_name_never_sorts_before_the_last_one() {
        let dir = Dir::new();
        let mut names = open(&dir, Naming::Prefix("p".into()));
        assert_eq!(next(&mut names, b"", "20261025025959"), "p20261025025959_00000.hl7");
        // The clock goes back an hour.
        assert_eq!(next(&mut names, b"", "20261025020000"), "p20261025025959_00001.hl7");
        names.save().unwrap();
        drop(names);
        let mut names = open(&dir, Naming::Prefix("p".into()));
        assert_eq!(next(&mut names, b"", "20261025020001"), "p20261025025959_00002.hl7");
        assert_eq!(next(&mut names, b"", "20261025030000"), "p20261025030000_00000.hl7");
        names.last = Some((at("20261231235959").datetime(), MAX_COUNT));
        assert_eq!(next(&mut names, b"", "20261231235959"), "p20270101000000_00000.hl7");
        std::fs::write(dir.join("names/out"), "nonsense").unwrap();
        let error = Names::open(Naming::Hl7, String::new(), "out", dir.path()).unwrap_err();
        assert!(error.to_string().ends_with("names/out: holds no time and count; remove it"), "{error}");
    }
}
