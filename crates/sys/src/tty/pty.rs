//! A pseudo terminal of our own, with a name that others know.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{PtyMaster, grantpt, posix_openpt, ptsname_r, unlockpt};
use nix::sys::termios::{FlushArg, SetArg, cfmakeraw, tcflush, tcgetattr, tcsetattr};

use crate::daemon::Owner;
use crate::files::beside;
use crate::lock;

/// The master of a pseudo terminal whose slave is at the end of a symbolic link.
///
/// Programs open the link, talk, and close it; the pty stays. Dropped by its owner, the link goes.
#[derive(Debug)]
#[must_use = "the pseudo terminal is gone when this is dropped"]
pub struct Pty {
    master: File,
    slave: PathBuf,
    link: PathBuf,
    lock_path: PathBuf,
    _lock: File,
    owner: Owner,
}

/// What `-p` finds at a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing, or a link that a crash left behind: a pty can be allocated.
    Free,
    /// A terminal device that is not ours.
    Terminal,
}

impl Pty {
    /// Whether a pty can be allocated at `link`, or a terminal is there already.
    ///
    /// A link with our lock file beside it is one that we made: who holds the lock decides, not where it leads, for
    /// the number of a dead pty is given to another one.
    ///
    /// # Errors
    /// When something else is there.
    pub fn look(link: &Path) -> io::Result<Found> {
        match fs::symlink_metadata(link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Found::Free),
            Err(error) => return Err(error),
            Ok(data) if data.is_symlink() && beside(link, ".lock").exists() => return Ok(Found::Free),
            Ok(_) => {}
        }
        match fs::metadata(link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Found::Free),
            Err(error) => Err(error),
            Ok(data) if data.file_type().is_char_device() => Ok(Found::Terminal),
            Ok(_) => {
                Err(io::Error::new(io::ErrorKind::AlreadyExists, "exists and is no terminal; remove it"))
            }
        }
    }

    /// Allocates one in raw mode and points `link` at its slave.
    ///
    /// # Errors
    /// When another program has the link, or what the system says.
    pub fn allocate(link: &Path, owner: Owner) -> io::Result<Pty> {
        let lock_path = beside(link, ".lock");
        let lock = lock::plain(&lock_path)?;
        let made = make_pair().and_then(|(master, slave)| {
            point(link, &slave)?;
            Ok((master, slave))
        });
        if made.is_err() {
            let _ = fs::remove_file(&lock_path);
        }
        let (master, slave) = made?;
        Ok(Pty { master, slave, link: link.to_owned(), lock_path, _lock: lock, owner })
    }

    /// The slave's own name.
    #[must_use]
    pub fn slave(&self) -> &Path {
        &self.slave
    }

    /// Whether any program has the slave open.
    #[must_use]
    pub fn has_client(&self) -> bool {
        let mut asked = [PollFd::new(self.master.as_fd(), PollFlags::empty())];
        match poll(&mut asked, PollTimeout::ZERO) {
            Ok(_) => !asked[0].revents().is_some_and(|events| events.contains(PollFlags::POLLHUP)),
            Err(_) => false,
        }
    }

    /// Whether the client has read all that was written; so does one that has gone.
    ///
    /// # Errors
    /// What the system says.
    pub fn is_read(&self) -> io::Result<bool> {
        let slave = open_slave(&self.slave)?;
        Ok(poll(&mut [PollFd::new(slave.as_fd(), PollFlags::POLLIN)], PollTimeout::ZERO)? == 0)
    }

    /// Throws away what the last client did not read, or the next one would take it for an answer to itself.
    ///
    /// # Errors
    /// What the system says.
    pub fn discard_unread(&self) -> io::Result<()> {
        Ok(tcflush(open_slave(&self.slave)?, FlushArg::TCIFLUSH)?)
    }

    /// Hangs up on the client: the link leads to a new pty.
    ///
    /// # Errors
    /// When none can be made; the old one stays in use.
    pub fn renew(&mut self) -> io::Result<()> {
        let (master, slave) = make_pair()?;
        point(&self.link, &slave)?;
        (self.master, self.slave) = (master, slave);
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        if self.owner.is_here() {
            if fs::read_link(&self.link).is_ok_and(|target| target == self.slave) {
                let _ = fs::remove_file(&self.link);
            }
            let _ = fs::remove_file(&self.lock_path);
        }
    }
}

/// A master that does not block, and its slave: raw, and not open, so that it is seen when a client comes and goes.
fn make_pair() -> io::Result<(File, PathBuf)> {
    let master: PtyMaster = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC)?;
    grantpt(&master)?;
    unlockpt(&master)?;
    let slave = PathBuf::from(ptsname_r(&master)?);
    let open = open_slave(&slave)?;
    let mut settings = tcgetattr(&open)?;
    cfmakeraw(&mut settings);
    tcsetattr(&open, SetArg::TCSANOW, &settings)?;
    fcntl(&master, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    Ok((File::from(std::os::fd::OwnedFd::from(master)), slave))
}

fn open_slave(slave: &Path) -> io::Result<File> {
    let flags = nix::libc::O_NOCTTY | nix::libc::O_NONBLOCK;
    OpenOptions::new().read(true).write(true).custom_flags(flags).open(slave)
}

/// Points the link at the slave in one step: there is no moment without it.
fn point(link: &Path, slave: &Path) -> io::Result<()> {
    let new = beside(link, ".new");
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(slave, &new)?;
    fs::rename(&new, link)
}

super::device!(Pty, master);

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    fn pty(link: &Path) -> Pty {
        Pty::allocate(link, Owner::this_process()).unwrap()
    }

    #[test]
    fn clients_come_and_go_and_leave_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("line");
        let mut pty = pty(&link);
        assert!(!pty.has_client());
        let mut client = open_slave(&link).unwrap();
        assert!(pty.has_client());
        client.write_all(b"\x04\x03one\r").unwrap();
        let mut got = [0; 100];
        assert_eq!((pty.read(&mut got).unwrap(), &got[..6]), (6, &b"\x04\x03one\r"[..]));
        pty.write_all(b"never read").unwrap();
        drop(client);
        assert_eq!(pty.read(&mut got).unwrap(), 0, "the end of the line");
        assert!(!pty.has_client());
        assert!(!pty.is_read().unwrap());
        pty.discard_unread().unwrap();
        assert!(pty.is_read().unwrap());
        let mut next = open_slave(&link).unwrap();
        pty.write_all(b"yours").unwrap();
        let mut got = [0; 5];
        while next.read(&mut got).is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock) {}
        assert_eq!(&got, b"yours");
    }

    #[test]
    fn the_link_is_one_programs_own() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("line");
        let first = pty(&link);
        let error = Pty::allocate(&link, Owner::this_process()).unwrap_err();
        assert!(error.to_string().contains("in use by another program"), "{error}");
        assert_eq!(fs::read_link(&link).unwrap(), first.slave());
        first.owner.leave();
        drop(first);
        assert_eq!(Pty::look(&link).unwrap(), Found::Free, "a crash left it");
        let mut second = pty(&link);
        let old = second.slave().to_owned();
        second.renew().unwrap();
        assert!(fs::read_link(&link).unwrap() == second.slave() && second.slave() != old);
        drop(second);
        assert_eq!(directory.path().read_dir().unwrap().count(), 0, "all is removed");
    }

    #[test]
    fn a_name_is_free_a_terminal_or_a_mistake() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("line");
        assert_eq!(Pty::look(&link).unwrap(), Found::Free);
        let (_master, slave) = make_pair().unwrap();
        symlink(&slave, &link).unwrap();
        assert_eq!(
            (Pty::look(&link).unwrap(), Pty::look(&slave).unwrap()),
            (Found::Terminal, Found::Terminal)
        );
        fs::remove_file(&link).unwrap();
        symlink("/nowhere", &link).unwrap();
        assert_eq!(Pty::look(&link).unwrap(), Found::Free);
        fs::remove_file(&link).unwrap();
        fs::write(&link, "").unwrap();
        assert!(Pty::look(&link).unwrap_err().to_string().contains("is no terminal"));
    }
}
