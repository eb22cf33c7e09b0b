//! Pseudo terminals, as serial lines and as terminals.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use nix::pty::{Winsize, openpty};
use nix::sys::termios::{SetArg, cfmakeraw, tcgetattr, tcsetattr};
use nix::unistd::ttyname;

/// A pseudo terminal: the test holds the master, the program opens [`path`](Pty::path).
#[derive(Debug)]
pub struct Pty {
    master: File,
    /// Open as long as the pair, so that the master does not hang up between two users of the slave.
    slave: File,
    path: PathBuf,
}

impl Pty {
    /// One in raw mode, which passes every byte as it is: a serial line.
    ///
    /// # Errors
    /// What the system says.
    pub fn raw() -> io::Result<Pty> {
        let pty = Pty::terminal(24, 80)?;
        let mut settings = tcgetattr(&pty.slave)?;
        cfmakeraw(&mut settings);
        tcsetattr(&pty.slave, SetArg::TCSANOW, &settings)?;
        Ok(pty)
    }

    /// One with the system's settings (echo, lines, signals): a user's terminal.
    ///
    /// # Errors
    /// What the system says.
    pub fn terminal(rows: u16, columns: u16) -> io::Result<Pty> {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        let pair = openpty(&size, None)?;
        let path = ttyname(&pair.slave)?;
        // A copy is not passed on to programs that are started, which would keep a line alive that hung up.
        Ok(Pty { master: pair.master.try_clone()?.into(), slave: pair.slave.try_clone()?.into(), path })
    }

    /// The slave's device.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The master: what is written here is typed at, or received by, the slave.
    #[must_use]
    pub fn master(&self) -> &File {
        &self.master
    }

    /// The slave, to hand to a child as its standard streams.
    ///
    /// # Errors
    /// What the system says.
    pub fn slave(&self) -> io::Result<File> {
        self.slave.try_clone()
    }

    /// Hangs up: the slave's users read the end and get SIGHUP.
    pub fn hang_up(self) {
        drop(self.master);
    }
}
