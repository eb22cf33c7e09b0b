//! Files that appear in a directory, as the system tells of them (inotify(7)).

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Change {
    /// A file was renamed to this name: whoever does so has finished it.
    Renamed(OsString),
    /// A file of this name was made, or was closed after it was written.
    Written(OsString),
    /// More has happened than the system keeps: look at everything.
    Overflow,
    /// The directory was removed or renamed, or its file system unmounted: nothing more will be told of it.
    Lost,
}

/// Watches one directory, but not those in it.
#[derive(Debug)]
pub struct DirectoryWatch {
    inotify: Inotify,
    identity: (u64, u64),
}

impl DirectoryWatch {
    /// Watches a directory from now on. What was there before must be looked for afterwards.
    ///
    /// # Errors
    /// There is no such directory; or what is to be raised, where the system watches no more.
    pub fn of(directory: &Path) -> io::Result<DirectoryWatch> {
        let inotify = Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK)
            .map_err(|error| limited(error, Errno::EMFILE, "fs.inotify.max_user_instances"))?;
        let wanted = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVED_TO
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        inotify
            .add_watch(directory, wanted)
            .map_err(|error| limited(error, Errno::ENOSPC, "fs.inotify.max_user_watches"))?;
        // Were it another one by now, the change would be told.
        Ok(DirectoryWatch { identity: DirectoryWatch::identity_of(directory)?, inotify })
    }

    /// Whether the path still leads to the directory that is watched: not where one above it was renamed.
    #[must_use]
    pub fn is_of(&self, directory: &Path) -> bool {
        DirectoryWatch::identity_of(directory).is_ok_and(|found| found == self.identity)
    }

    /// Which directory is watched: device and inode.
    #[must_use]
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// Device and inode of a directory.
    ///
    /// # Errors
    /// It is not there.
    pub fn identity_of(directory: &Path) -> io::Result<(u64, u64)> {
        let found = directory.metadata()?;
        Ok((found.dev(), found.ino()))
    }

    /// Waits for changes, for `limit` at most, and gives them in their order.
    ///
    /// # Errors
    /// What the system says.
    pub fn wait(&self, limit: Duration) -> io::Result<Vec<Change>> {
        let mut waiting = [PollFd::new(self.inotify.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
        match poll(&mut waiting, limit) {
            Ok(0) | Err(Errno::EINTR) => return Ok(Vec::new()),
            Ok(_) => {}
            Err(error) => return Err(error.into()),
        }
        let events = match self.inotify.read_events() {
            Ok(events) => events,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(Vec::new()),
            Err(error) => return Err(error.into()),
        };
        let is_gone = AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_UNMOUNT
            | AddWatchFlags::IN_IGNORED;
        let changes = events.into_iter().filter_map(|event| match event.name {
            _ if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) => Some(Change::Overflow),
            _ if event.mask.intersects(is_gone) => Some(Change::Lost),
            _ if event.mask.contains(AddWatchFlags::IN_ISDIR) => None,
            Some(name) if event.mask.contains(AddWatchFlags::IN_MOVED_TO) => Some(Change::Renamed(name)),
            Some(name) => Some(Change::Written(name)),
            None => None,
        });
        Ok(changes.collect())
    }
}

/// The error of a limit with the name of the limit.
fn limited(error: Errno, limit: Errno, name: &str) -> io::Error {
    match error == limit {
        true => io::Error::other(format!("the system watches no more directories; raise {name} (sysctl)")),
        false => error.into(),
    }
}
