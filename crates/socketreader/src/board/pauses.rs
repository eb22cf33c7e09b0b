//! The file of the pauses: they survive a restart.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use jiff::Timestamp;
use protogen_sys::durable;
use protogen_sys::files::{RealFiles, read_bounded};
use serde_json::{Value, json};

use super::Pause;

/// Its name in the state directory.
pub(super) const PAUSES: &str = "pauses";
/// The most bytes of it.
const MAX_PAUSES: usize = 4 << 20;

/// Writes the file.
pub(super) fn save(file: &Path, pauses: impl Iterator<Item = (String, Pause)>) -> io::Result<()> {
    let entries = pauses.map(|(name, Pause { since, by })| {
        let since = Timestamp::try_from(since).unwrap_or_default().to_string();
        (name, json!({ "since": since, "by": by }))
    });
    let all = Value::from(entries.collect::<serde_json::Map<_, _>>());
    durable::write(&RealFiles, file, format!("{all:#}\n").as_bytes()).map_err(io::Error::other)
}

/// The pauses that a file holds, by connection.
pub(crate) fn pauses_in(statedir: &Path) -> io::Result<BTreeMap<String, Pause>> {
    read(&statedir.join(PAUSES))
}

/// Reads the file; none is as good as an empty one.
pub(super) fn read(file: &Path) -> io::Result<BTreeMap<String, Pause>> {
    let broken = |why: String| io::Error::other(format!("{}: {why}; remove it", file.display()));
    let bytes = match read_bounded(file, MAX_PAUSES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        bytes => bytes?,
    };
    let all: Value = serde_json::from_slice(&bytes).map_err(|error| broken(error.to_string()))?;
    let Value::Object(all) = all else { return Err(broken("holds no pauses".to_owned())) };
    let pauses = all.into_iter().map(|(name, pause)| {
        let since: Timestamp = pause["since"].as_str().unwrap_or_default().parse().unwrap_or_default();
        let since = UNIX_EPOCH + Duration::from_millis(since.as_millisecond().try_into().unwrap_or(0));
        let by = pause["by"].as_str().unwrap_or_default().to_owned();
        (name, Pause { since, by })
    });
    Ok(pauses.collect())
}
