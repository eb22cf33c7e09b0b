//! What was told lately, mails and system messages, so that it is told once: a blocked queue asks every minute.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use protogen_sys::durable;
use protogen_sys::files::{RealFiles, read_bounded};
use protogen_sys::lock::{Lock, LockError};
use protogen_sys::site::Site;

use crate::say;

/// The same text is not told again within this time.
const QUIET: Duration = Duration::from_secs(900);
/// Different texts that are told within it: senders of nonsense do not flood a mailbox.
const MOST: usize = 50;
/// The most that is read of what was told, in bytes.
const MAX_FILE: usize = 64 << 10;

/// Runs `tell` unless this text was told lately. `kind` names the file of the spool area that remembers it. Where that
/// cannot be locked within `wait`, or written, it is told once too often.
pub(crate) fn once<E>(
    site: &Site,
    kind: &str,
    text: &[u8],
    wait: Duration,
    tell: impl FnOnce() -> Result<(), E>,
) -> Result<(), E> {
    let Ok(_lock) = lock(site, &format!(".idb_direct.{kind}.lock"), wait) else { return tell() };
    let path = site.spool(&format!(".idb_direct.{kind}"));
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let mut told = lately(&read_bounded(&path, MAX_FILE).unwrap_or_default(), now);
    if told.iter().any(|(_, other)| other == text) {
        return Ok(());
    }
    if told.len() >= MOST {
        say(&format!("warning: {MOST} of these were told within {} minutes; this one is not", minutes()));
        return Ok(());
    }
    tell()?;
    told.push((now, text.to_vec()));
    let lines = told.iter().map(|(time, text)| [format!("{time}\t").as_bytes(), text, b"\n"].concat());
    if let Err(error) = durable::write(&RealFiles, &path, &lines.collect::<Vec<_>>().concat()) {
        say(&format!("warning: {error}"));
    }
    Ok(())
}

/// How long a text is not told again, in minutes.
pub(crate) fn minutes() -> u64 {
    QUIET.as_secs() / 60
}

/// The texts told within [`QUIET`]. A clock that was set back makes them old, too.
fn lately(file: &[u8], now: u64) -> Vec<(u64, Vec<u8>)> {
    let entry = |line: &[u8]| {
        let tab = line.iter().position(|byte| *byte == b'\t')?;
        let time: u64 = std::str::from_utf8(&line[..tab]).ok()?.parse().ok()?;
        (now.abs_diff(time) < QUIET.as_secs()).then(|| (time, line[tab + 1..].to_vec()))
    };
    file.split(|byte| *byte == b'\n').filter_map(entry).collect()
}

/// A lock of the spool area, or none, with a warning, where it cannot be made.
///
/// # Errors
/// Another process holds it for longer than this.
pub(crate) fn lock(site: &Site, name: &str, wait: Duration) -> Result<Option<Lock>, LockError> {
    match Lock::take_within(&site.spool(name), wait) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ LockError::Held { .. }) => Err(error),
        Err(error) => {
            say(&format!("warning: {error}"));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_told_once_in_a_while() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(directory.path().join("var/spool")).unwrap();
        let home = directory.path().as_os_str().to_owned();
        let site = Site::from_variables(|name| (name == "PG_HOME").then(|| home.clone()));
        let mut count = 0;
        let mut tell = |text: &str, works: bool| {
            let done = once(&site, "test", text.as_bytes(), QUIET, || {
                count += 1;
                if works { Ok(()) } else { Err(()) }
            });
            assert!(done.is_ok() || !works);
            count
        };
        // What could not be told is tried again.
        assert_eq!([tell("a", false), tell("a", true), tell("a", true), tell("b", true)], [1, 2, 2, 3]);
        let path = site.spool(".idb_direct.test");
        let text = String::from_utf8(std::fs::read(&path).unwrap()).unwrap();
        let [old, later] = [-1_i64, 1].map(|sign| {
            let shift = |line: &str| {
                let (time, text) = line.split_once('\t').unwrap();
                format!("{}\t{text}\n", time.parse::<i64>().unwrap() + sign * 900)
            };
            text.lines().map(shift).collect::<String>()
        });
        for (file, told) in [(old.as_str(), 4), (later.as_str(), 5), ("no time\ta\n\nx", 6)] {
            std::fs::write(&path, file).unwrap();
            assert_eq!(tell("a", true), told, "{file:?}");
        }
        let told = (0..60).map(|n| tell(&format!("text {n}"), true)).last();
        assert_eq!(told, Some(6 + 49));
    }
}
