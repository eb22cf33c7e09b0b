//! Files in: taken in name order, deleted only when the journal has them on stable storage.

mod fate;

use std::collections::{BinaryHeap, HashMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use protogen_journal::Producer;
use protogen_sys::files::read_bounded_plain;

use super::arrivals::Arrivals;
use super::complete::Watch;
use crate::backoff::Backoff;
use crate::bell::Bell;
use crate::board::Joined;
use crate::config::FileIn;
use crate::log;
use fate::Identity;

/// The most bytes that are handed to the journal at once; a longer message goes alone.
const GROUP_BYTES: usize = 4 << 20;
/// The shortest time between two looks while a file is not complete.
const BREATH: Duration = Duration::from_millis(20);
pub(super) struct Reader {
    name: Arc<str>,
    settings: FileIn,
    producer: Producer,
    journal: protogen_journal::Reader,
    /// Who gets the messages.
    outboxes: Joined,
    /// One of them has enough: the files stay.
    is_full: bool,
    bell: Arc<Bell>,
    watch: Watch,
    /// What tells of files that come; `None` where the directory cannot be watched.
    arrivals: Option<Arrivals>,
    /// That was said.
    is_unwatched: bool,
    /// Could be neither read nor moved away, or not deleted: named once, and left alone until they are others.
    stuck: HashMap<OsString, Identity>,
    backoff: Backoff,
}

/// A file that was read.
struct Taken {
    path: PathBuf,
    about: Metadata,
    bytes: Vec<u8>,
}

/// What a scan gave.
enum Scan {
    /// There is more.
    More,
    /// A file is still being written.
    Settling,
    Nothing,
    Failed(String),
}

impl Reader {
    pub(super) fn new(
        name: &str,
        settings: FileIn,
        producer: Producer,
        journal: protogen_journal::Reader,
        outboxes: Joined,
        bell: Arc<Bell>,
    ) -> Reader {
        Reader {
            name: name.into(),
            settings,
            producer,
            journal,
            outboxes,
            is_full: false,
            bell,
            watch: Watch::default(),
            arrivals: None,
            is_unwatched: false,
            stuck: HashMap::new(),
            backoff: Backoff::default(),
        }
    }

    pub(super) fn run(mut self) {
        loop {
            let goes_on = match self.scan() {
                Scan::More => !self.bell.is_stopping(),
                // Woken by files that come, but not by each of many that have to wait for this one.
                Scan::Settling => {
                    self.bell.pause(BREATH)
                        && self.bell.wait(self.settings.settle.min(self.settings.cycletime))
                }
                Scan::Nothing => self.bell.wait(self.settings.cycletime),
                Scan::Failed(why) => {
                    let pause = self.backoff.pause();
                    log::error!(&self.name, "{why}; tried again in {} s", pause.as_secs());
                    self.bell.pause(pause)
                }
            };
            if !goes_on {
                break;
            }
        }
    }

    /// Whether an outgoing connection has enough, so that the files stay where they are.
    fn look(&mut self) -> bool {
        let outboxes = self.outboxes.now();
        let full = outboxes.iter().find(|(outbox, most)| self.journal.pending(&outbox.name) >= *most);
        match (full, self.is_full) {
            (Some((outbox, most)), false) => log::warning!(
                &self.name,
                "no file is taken: {most} messages wait for {}, maxpending allows no more",
                outbox.name
            ),
            (None, true) => log::warning!(&self.name, "files are taken again"),
            _ => {}
        }
        self.is_full = full.is_some();
        self.is_full
    }

    /// Watches the directory, if it is not watched: before it is looked into, so that nothing is missed.
    fn watch_directory(&mut self) {
        let FileIn { dir, mask, cycletime, .. } = &self.settings;
        if !self.arrivals.as_ref().is_some_and(|arrivals| arrivals.is_of(dir)) {
            let watched = Arrivals::watch(dir, mask.clone(), Arc::clone(&self.bell));
            match &watched {
                Ok(_) => log::info!(&self.name, "{}: watched", dir.display()),
                // That is said of every look.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if !self.is_unwatched => log::warning!(
                    &self.name,
                    "{}: cannot be watched: {error}; it is looked into every {} s",
                    dir.display(),
                    cycletime.as_secs_f64()
                ),
                Err(_) => {}
            }
            self.is_unwatched = watched.is_err();
            self.arrivals = watched.ok();
        }
        if let Some(arrivals) = &self.arrivals {
            self.watch.learn(arrivals.news());
        }
    }

    fn scan(&mut self) -> Scan {
        self.watch_directory();
        if self.look() {
            return Scan::Settling;
        }
        let (names, mut more) = match self.names() {
            Ok(found) => found,
            Err(error) => return Scan::Failed(format!("{}: {error}", self.settings.dir.display())),
        };
        let (mut settling, mut failed) = (false, None);
        let (mut taken, mut bytes, mut set_aside) = (Vec::new(), 0, 0);
        for name in &names {
            match self.take(name) {
                // The files behind it have to wait, or they would overtake it.
                Ok(None) => {
                    settling = true;
                    if self.watch.is_overdue(name, self.settings.settle, Instant::now()) {
                        let path = self.settings.dir.join(name);
                        log::error!(
                            &self.name,
                            "{}: is being written all the time; the files behind it wait, move it away",
                            path.display()
                        );
                    }
                    break;
                }
                Ok(Some(file)) => {
                    bytes += file.bytes.len();
                    taken.push(file);
                }
                Err(error) if is_passing(&error) => {
                    failed = Some(format!("{}: {error}", self.settings.dir.join(name).display()));
                    break;
                }
                Err(error) => set_aside += usize::from(self.set_aside(name, &error)),
            }
            if bytes >= GROUP_BYTES {
                more = true;
                break;
            }
        }
        let count = taken.len() + set_aside;
        if let Some(why) = self.store(taken).err().or(failed) {
            return Scan::Failed(why);
        }
        self.backoff.reset();
        match (settling, more && count > 0) {
            (true, _) => Scan::Settling,
            (false, true) => Scan::More,
            (false, false) => Scan::Nothing,
        }
    }

    /// The first `maxfiles` names that match, in order, and whether there are more.
    fn names(&mut self) -> io::Result<(Vec<OsString>, bool)> {
        let (mut first, mut renamed) = (BinaryHeap::new(), HashSet::new());
        let mut more = false;
        for entry in fs::read_dir(&self.settings.dir)? {
            let entry = entry?;
            let name = entry.file_name();
            // Directories, links and devices are not messages.
            let is_file = entry.file_type().is_ok_and(|kind| kind.is_file());
            if !is_file || !self.settings.mask.matches(&name) || self.is_stuck(&entry) {
                continue;
            }
            if self.watch.is_renamed(&name) {
                renamed.insert(name.clone());
            }
            first.push(name);
            if first.len() > self.settings.maxfiles {
                more = true;
                first.pop();
            }
        }
        let names = first.into_sorted_vec();
        self.watch.keep_only(&names);
        self.watch.keep_renamed(renamed);
        Ok((names, more))
    }

    /// Reads a file; `None` if it is not complete.
    fn take(&mut self, name: &OsStr) -> io::Result<Option<Taken>> {
        let path = self.settings.dir.join(name);
        let about = fs::symlink_metadata(&path)?;
        let settle = self.settings.settle;
        if !self.watch.is_complete(name, &about, settle, Instant::now(), SystemTime::now()) {
            return Ok(None);
        }
        let mut bytes = read_bounded_plain(&path, self.settings.max_size)?;
        if self.settings.newline && bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if bytes.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the file is empty"));
        }
        Ok(Some(Taken { path, about, bytes }))
    }
}

/// Errors of the system as it is just now, not of the file.
fn is_passing(error: &io::Error) -> bool {
    use nix::errno::Errno::{EMFILE, ENFILE, ENOMEM, ESTALE};
    let raw = error.raw_os_error();
    [EMFILE, ENFILE, ENOMEM, ESTALE].into_iter().any(|passing| raw == Some(passing as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_without_room_is_not_the_files_fault() {
        let error = |errno: nix::errno::Errno| io::Error::from(errno);
        assert!(is_passing(&error(nix::errno::Errno::EMFILE)));
        assert!(is_passing(&error(nix::errno::Errno::ENOMEM)));
        assert!(!is_passing(&error(nix::errno::Errno::EACCES)));
        assert!(!is_passing(&io::Error::other("the file is empty")));
    }
}
