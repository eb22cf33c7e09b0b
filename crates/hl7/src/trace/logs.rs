//! Lines of logs that name a message.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::time::{Duration, SystemTime};

use flate2::read::MultiGzDecoder;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::events::{Found, What};

/// The longest line that is looked at, in bytes.
const MAX_LINE: usize = 64 << 10;

/// Whether a file is a log, by its name: `NAME.log` or `log`, or one of these as logrotate(8) leaves it: `NAME.log.1`,
/// `NAME.log-20261128`, both with `.gz` behind it where it is compressed.
pub(super) fn is_one(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    let rotated = name.trim_end_matches(|character: char| character.is_ascii_digit());
    // A date may have a time behind it: -20261128-1795824000.
    let dated = rotated.trim_end_matches(|character: char| character == '-' || character.is_ascii_digit());
    let numbered = rotated.strip_suffix('.').filter(|_| rotated.len() < name.len());
    let dated = Some(dated).filter(|_| rotated.ends_with('-') && rotated.len() < name.len());
    [Some(name), numbered, dated].into_iter().flatten().any(|name| name.ends_with(".log") || name == "log")
}

/// Adds the lines that name one of these control ids as a word.
pub(super) fn search(log: &Path, ids: &BTreeSet<String>, found: &mut Found) {
    if let Err(error) = lines_of(log, ids, found) {
        found.troubles.push(format!("{}: {error}", log.display()));
    }
}

fn lines_of(log: &Path, ids: &BTreeSet<String>, found: &mut Found) -> io::Result<()> {
    let file = File::open(log)?;
    let is_compressed = log.extension() == Some(OsStr::new("gz"));
    let text: Box<dyn Read> =
        if is_compressed { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    let mut lines = BufReader::new(text);
    let mut line = Vec::new();
    loop {
        line.clear();
        if Read::take(&mut lines, MAX_LINE as u64).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        // A log at debug has whole messages: those are no news, and private.
        if text.contains("MSH|") {
            continue;
        }
        for id in ids.iter().filter(|id| is_named(text, id)) {
            let time = time(text).unwrap_or(SystemTime::UNIX_EPOCH);
            found.add(time, id.clone(), log, What::Logged { line: text.to_owned() });
        }
    }
}

fn is_named(line: &str, id: &str) -> bool {
    let is_of_a_word = |character: Option<char>| character.is_some_and(char::is_alphanumeric);
    line.match_indices(id).any(|(at, _)| {
        !is_of_a_word(line[..at].chars().next_back()) && !is_of_a_word(line[at + id.len()..].chars().next())
    })
}

/// The time at the beginning of a line, `2026-11-23 21:05:09,123` with or without its offset.
fn time(line: &str) -> Option<SystemTime> {
    let words: Vec<&str> = line.splitn(3, ' ').collect();
    if let Some(Ok(time)) = words.first().map(|word| word.parse::<Timestamp>()) {
        return system_time(time);
    }
    let [date, clock, ..] = words[..] else { return None };
    let local: DateTime = format!("{date} {}", clock.replace(',', ".")).parse().ok()?;
    system_time(local.to_zoned_datetime(TimeZone::system()).ok()?.timestamp())
}

fn system_time(time: Timestamp) -> Option<SystemTime> {
    Some(SystemTime::UNIX_EPOCH + Duration::from_millis(time.as_millisecond().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_word_of_its_own() {
        assert!(is_named("message 1 delivered: A1 ADT^A01", "A1"));
        assert!(is_named("\"A1\"", "A1"));
        assert!(!is_named("A11 BA1", "A1"));
        assert!(is_named("A11 A1", "A1"));
    }

    #[test]
    fn logs_and_what_rotation_makes_of_them() {
        for name in ["a.log", "log", "a.log.1", "log.12.gz", "a.log-20261128", "a.log-20261128-1795824000.gz"]
        {
            assert!(is_one(OsStr::new(name)), "{name}");
        }
        for name in ["a.log.", "a.log-", "1", "blog", "a.log.old", "catalog.1", "a.login", "log1", ".gz"] {
            assert!(!is_one(OsStr::new(name)), "{name}");
        }
    }

    #[test]
    fn times_of_logs() {
        assert!(time("2026-11-23 21:05:09,123 socketreader in - INFO - x").is_some());
        let whole = SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_467_909_500);
        assert_eq!(time("2026-11-23T21:05:09.5Z x"), Some(whole));
        assert_eq!(time("no time at all"), None);
    }
}
