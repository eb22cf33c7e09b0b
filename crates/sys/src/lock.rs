//! Locks that die with their owner: flock(2) on a file that says who holds it.
//!
//! "The file exists" is never the lock. The kernel gives the lock up when its owner ends, however it ends, so a file
//! left behind by a crash or a power cut locks nobody out.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use fs2::FileExt;
use jiff::Timestamp;

/// The name of a queue's run lock.
pub const RUN_LOCK: &str = ".run.lock";

/// How often a lock is tried again when its file was replaced or somebody looked at it at that moment.
const ATTEMPTS: u32 = 250;
const PAUSE: Duration = Duration::from_millis(2);
/// Between two tries for a lock that is held.
const LONG_PAUSE: Duration = Duration::from_millis(20);
/// The most that is read of a lock file, in bytes.
const MAX_TEXT: u64 = 1024;

/// A lock held by this process; dropped, it is given up and its file removed.
///
/// The lock belongs to the process that took it: a forked child that drops its copy neither gives it up nor removes
/// the file. Take it after forking.
#[derive(Debug)]
#[must_use = "the lock is given up when this is dropped"]
pub struct Lock {
    file: File,
    path: PathBuf,
    owner: u32,
}

/// Who holds a lock, as its file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The process, 0 if the file does not say.
    pub pid: u32,
    /// The host it runs on, empty if the file does not say.
    pub host: String,
    /// Since when it holds the lock.
    pub since: Option<SystemTime>,
    /// Whether the lock is held at this moment. False: its owner is dead and the next one to ask gets the lock.
    pub alive: bool,
}

/// Why a lock was not taken.
#[derive(Debug)]
#[non_exhaustive]
pub enum LockError {
    /// Somebody else holds it.
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who that is.
        holder: Holder,
    },
    /// The file could not be made, locked or written.
    File {
        /// The lock file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.pid {
            0 => f.write_str("an unknown process")?,
            pid => write!(f, "process {pid}")?,
        }
        if !self.host.is_empty() {
            write!(f, " on {}", self.host)?;
        }
        match self.since.and_then(|since| Timestamp::try_from(since).ok()) {
            Some(since) => write!(f, " since {since:.0}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LockError::Held { path, holder } => write!(f, "{}: held by {holder}", path.display()),
            LockError::File { path, source } => write!(f, "{}: cannot lock: {source}", path.display()),
        }
    }
}

impl std::error::Error for LockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LockError::Held { .. } => None,
            LockError::File { source, .. } => Some(source),
        }
    }
}

impl Lock {
    /// Takes the lock, or says at once who holds it. The file is made with mode 0600.
    ///
    /// # Errors
    /// [`LockError::Held`], or [`LockError::File`] with what the system said.
    pub fn take(path: &Path) -> Result<Lock, LockError> {
        Lock::take_with(path, 0o600, &description())
    }

    /// Takes the lock, waiting so long for whoever holds it.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_within(path: &Path, wait: Duration) -> Result<Lock, LockError> {
        let end = Instant::now() + wait;
        loop {
            match Lock::take(path) {
                Err(LockError::Held { .. }) if Instant::now() < end => std::thread::sleep(LONG_PAUSE),
                result => return result,
            }
        }
    }

    /// Takes the lock of a queue: `.run.lock` in its directory.
    ///
    /// # Errors
    /// As [`Lock::take`].
    pub fn take_run_lock(queue: &Path) -> Result<Lock, LockError> {
        Lock::take(&queue.join(RUN_LOCK))
    }

    /// Takes the lock and writes `text` into its file.
    pub(crate) fn take_with(path: &Path, mode: u32, text: &str) -> Result<Lock, LockError> {
        let failed = |source| LockError::File { path: path.to_owned(), source };
        let mut held = None;
        for _ in 0..ATTEMPTS {
            let file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(mode)
                .custom_flags(nix::libc::O_NOFOLLOW)
                .open(path)
                .map_err(failed)?;
            match try_exclusive(&file).map_err(failed)? {
                Tried::Locked if is_same_file(&file, path) => {
                    let mut lock = Lock { file, path: path.to_owned(), owner: std::process::id() };
                    lock.describe(text).map_err(failed)?;
                    return Ok(lock);
                }
                Tried::Owned => {
                    held = Some(Holder { alive: true, ..read_holder(&file) });
                    if held.as_ref().is_some_and(|holder| holder.pid != 0) {
                        break;
                    }
                    // Its owner took it this moment and is about to write who it is.
                    std::thread::sleep(PAUSE);
                }
                // Its last owner removed the file between our open and our lock, or somebody is looking at it.
                Tried::Locked | Tried::LookedAt => std::thread::sleep(PAUSE),
            }
        }
        Err(match held {
            Some(holder) => LockError::Held { path: path.to_owned(), holder },
            None => failed(io::Error::new(io::ErrorKind::WouldBlock, "it changes hands too fast; try again")),
        })
    }

    /// The lock file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn describe(&mut self, text: &str) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.rewind()?;
        self.file.write_all(text.as_bytes())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Not the file of somebody who was told to remove ours, and not in a forked child.
        if self.owner == std::process::id() {
            if is_same_file(&self.file, &self.path) {
                let _ = std::fs::remove_file(&self.path);
            }
            let _ = FileExt::unlock(&self.file);
        }
    }
}

/// Takes a lock that lives as long as any copy of the file is open, also one that a fork made: for what is bound before
/// [`detach`](crate::daemon::detach). Who removes the file removes it while the lock is held.
pub(crate) fn plain(path: &Path) -> io::Result<File> {
    for _ in 0..ATTEMPTS {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
        match FileExt::try_lock_exclusive(&file) {
            Ok(()) if is_same_file(&file, path) => return Ok(file),
            // Its last owner removed it between our open and our lock.
            Ok(()) => {}
            Err(error) if is_contended(&error) => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "in use by another program"));
            }
            Err(error) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "its lock changes hands too fast; try again"))
}

/// Who holds the lock at `path`, or held it last; `None` without a lock file.
///
/// Looking does not keep anybody from taking the lock.
///
/// # Errors
/// When the file cannot be read.
pub fn holder(path: &Path) -> io::Result<Option<Holder>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let alive = match FileExt::try_lock_shared(&file) {
        Ok(()) => false,
        Err(error) if is_contended(&error) => true,
        Err(error) => return Err(error),
    };
    FileExt::unlock(&file)?;
    Ok(Some(Holder { alive, ..read_holder(&file) }))
}

/// Removes a lock file by order of an operator, alive or not: the next to ask gets a lock of its own, and the old
/// owner keeps working without one. Ask first whether [`Holder::alive`].
///
/// # Errors
/// What the system says; a missing file is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

enum Tried {
    Locked,
    /// Somebody holds it.
    Owned,
    /// Somebody else looks at it with a shared lock, in [`holder`] or here.
    LookedAt,
}

fn try_exclusive(file: &File) -> io::Result<Tried> {
    match FileExt::try_lock_exclusive(file) {
        Ok(()) => return Ok(Tried::Locked),
        Err(error) if is_contended(&error) => {}
        Err(error) => return Err(error),
    }
    match FileExt::try_lock_shared(file) {
        Ok(()) => FileExt::unlock(file).map(|()| Tried::LookedAt),
        Err(error) if is_contended(&error) => Ok(Tried::Owned),
        Err(error) => Err(error),
    }
}

fn is_contended(error: &io::Error) -> bool {
    error.raw_os_error() == fs2::lock_contended_error().raw_os_error()
}

fn is_same_file(file: &File, path: &Path) -> bool {
    match (file.metadata(), std::fs::symlink_metadata(path)) {
        (Ok(ours), Ok(named)) => ours.dev() == named.dev() && ours.ino() == named.ino(),
        _ => false,
    }
}

/// `PID HOST TIME`, one a line.
fn description() -> String {
    format!("{}\n{}\n{:.0}\n", std::process::id(), crate::site::host_name(), Timestamp::now())
}

fn read_holder(file: &File) -> Holder {
    let mut text = Vec::new();
    // A file that cannot be read says nothing, and that is what the holder then is: unknown.
    let _ = file.take(MAX_TEXT).read_to_end(&mut text);
    let text = String::from_utf8_lossy(&text);
    let mut lines = text.lines();
    let mut next = || lines.next().unwrap_or_default().trim();
    Holder {
        pid: next().parse().unwrap_or(0),
        host: next().chars().filter(|c| !c.is_control()).collect(),
        since: next().parse::<Timestamp>().ok().and_then(|since| SystemTime::try_from(since).ok()),
        alive: false,
    }
}
