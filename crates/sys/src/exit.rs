//! The exit statuses that all programs share.

use std::process::ExitCode;

/// How a program ended, as its caller sees it. Only `idb_direct` has statuses of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
#[repr(u8)]
pub enum Exit {
    /// All was done.
    Done = 0,
    /// The work was done and the answer is no: a negative acknowledgment, nothing found.
    Negative = 1,
    /// The command line or the configuration is wrong; trying again does not help.
    Usage = 2,
    /// It could not be done now; the same call may succeed later (`EX_TEMPFAIL` of sysexits(3)).
    TryLater = 75,
}

impl Exit {
    /// The status as a number.
    #[must_use]
    pub fn status(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> ExitCode {
        ExitCode::from(exit.status())
    }
}

/// How a program ends whose command line is not to be carried out: what clap has to say is printed. Help and the version
/// are status 0, all else is `usage`.
pub fn command_line_ends(error: &clap::Error, usage: impl Into<ExitCode>) -> ExitCode {
    // A closed pipe is no reason to fail.
    let _ = error.print();
    if error.use_stderr() { usage.into() } else { ExitCode::SUCCESS }
}
