//! The journal: every message as it came, as it went on, and both answers, a file each (cvgateway(8), FILES).

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The files of one message; each begins its names so.
pub(crate) const RECEIVED: &str = "REQ";
pub(crate) const ANSWERED: &str = "ACK";
pub(crate) const FORWARDED: &str = "FWD";
pub(crate) const FORWARD_ANSWERED: &str = "FAK";

/// The journal of a gateway.
#[derive(Debug)]
pub(crate) struct Journal {
    directory: PathBuf,
    count: AtomicU64,
    /// The day whose directory was made last.
    day: Mutex<String>,
}

/// Where the files of one message go.
#[derive(Debug)]
pub(crate) struct Entry {
    directory: PathBuf,
    /// `<UTC time>-<count>`.
    name: String,
}

impl Journal {
    /// The journal in this directory. Nothing is touched yet.
    pub(crate) fn at(directory: PathBuf) -> Journal {
        Journal { directory, count: AtomicU64::new(1), day: Mutex::default() }
    }

    /// Makes the directory where it is missing, and removes days that are older than `keep` days. A directory that
    /// cannot be written is found now, not with the first message.
    pub(crate) fn open(&self, keep: u32) -> io::Result<()> {
        make_private(&self.directory)?;
        self.entry(keep).map(drop)
    }

    /// The directory.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Begins the files of a message. On the first one of a day, days that are older than `keep` days are removed.
    pub(crate) fn entry(&self, keep: u32) -> io::Result<Entry> {
        let now = Timestamp::now();
        let time = now.to_zoned_datetime(TimeZone::UTC);
        let day = time.strftime("%Y%m%d").to_string();
        let directory = self.directory.join(&day);
        let mut last = self.day.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != day {
            make_private(&directory)?;
            *last = day;
            drop(last);
            self.remove_old(now, keep);
        }
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        Ok(Entry { directory, name: format!("{}-{count:06}", time.strftime("%Y%m%dT%H%M%S%.6fZ")) })
    }

    fn remove_old(&self, now: Timestamp, keep: u32) {
        let oldest = now.as_second() - i64::from(keep) * 86_400;
        let Ok(oldest) = Timestamp::from_second(oldest) else { return };
        let oldest = oldest.to_zoned_datetime(TimeZone::UTC).strftime("%Y%m%d").to_string();
        for day in self.days() {
            if day < oldest {
                let path = self.directory.join(&day);
                if let Err(error) = fs::remove_dir_all(&path) {
                    log::warn!("{}: cannot be removed: {error}", path.display());
                }
            }
        }
    }

    /// The days that are kept, in order.
    pub(crate) fn days(&self) -> Vec<String> {
        let names = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let names = names.filter_map(|entry| entry.file_name().into_string().ok());
        let is_day = |name: &String| name.len() == 8 && name.bytes().all(|byte| byte.is_ascii_digit());
        let mut days: Vec<String> = names.filter(is_day).collect();
        days.sort();
        days
    }
}

impl Entry {
    /// Writes one of the files; it has its name when it is whole. `part` tells several of a kind apart, else empty.
    pub(crate) fn write(&self, kind: &str, part: &str, bytes: &[u8]) -> io::Result<()> {
        let name = format!("{kind}{}{part}", self.name);
        let staged = self.directory.join(format!(".{name}.tmp"));
        let create = || OpenOptions::new().write(true).create_new(true).mode(0o600).open(&staged);
        let mut file = match create() {
            // Somebody has cleared the journal away.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                make_private(&self.directory)?;
                create()?
            }
            created => created?,
        };
        let written = file.write_all(bytes).and_then(|()| fs::rename(&staged, self.directory.join(&name)));
        written.inspect_err(|_| {
            // What is half written must not stay; that it cannot be removed either changes nothing.
            let _ = fs::remove_file(&staged);
        })
    }

    /// As log lines name the files.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

fn make_private(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(directory)
}
