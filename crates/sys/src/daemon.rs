//! Becoming a server: the startup process forks, waits until the server is ready, and tells what came of it.
//!
//! The order in a program: read the command line and the configuration, bind what can fail, [`detach`], make the
//! pid file, threads and the event loop in the server, then [`Readiness::ready`]. The startup process prints the
//! server's process id, or why there is none, and ends.
//!
//! The working directory stays, so that relative names on the command line stay right. The server leads a session
//! without a terminal; it must open terminals with `O_NOCTTY`, or it has one again.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, dup2_stderr, dup2_stdin, dup2_stdout, getpid, getsid, isatty, setsid};

use crate::unsafe_calls::{fork_single_threaded, give_up_terminal};

/// The longest reason that a server can give for not starting, in bytes.
pub const MAX_REASON: usize = 4096;
/// What the server writes when it is ready; anything else is the reason why it is not.
const READY: &[u8] = b"\0ready";

/// A server that did not come to be.
#[derive(Debug)]
#[non_exhaustive]
pub enum DaemonError {
    /// The process could not fork or leave its terminal.
    Detach(io::Error),
    /// The server says why it cannot serve.
    Failed {
        /// The reason, for standard error.
        reason: String,
        /// The exit status it ended with.
        status: u8,
    },
    /// The server ended without a word.
    Ended {
        /// How, as in "exit status 1".
        how: String,
    },
    /// The server was not ready in time, and was told to end.
    TimedOut {
        /// Its process id.
        pid: u32,
        /// How long it was waited for.
        after: Duration,
    },
}

impl fmt::Display for DaemonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DaemonError::Detach(error) => {
                write!(f, "cannot leave the terminal: {error}; run it in the foreground")
            }
            DaemonError::Failed { reason, .. } => f.write_str(reason),
            DaemonError::Ended { how } => {
                write!(f, "the server ended before it was ready: {how}; see the log")
            }
            DaemonError::TimedOut { pid, after } => {
                write!(
                    f,
                    "the server (process {pid}) was not ready after {} s and was told to end",
                    after.as_secs()
                )
            }
        }
    }
}

impl std::error::Error for DaemonError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            DaemonError::Detach(error) => Some(error),
            _ => None,
        }
    }
}

/// Which of the two processes this is.
#[derive(Debug)]
#[must_use]
pub enum Detached {
    /// The one that was started: wait for the server, tell, and end.
    Startup(Starting),
    /// The server.
    Server(Readiness),
}

/// Forks the server off. It leads a session of its own, with standard input and output on `/dev/null`; standard error
/// stays until it [is ready](Readiness::ready), for warnings at the start.
///
/// # Errors
/// [`DaemonError::Detach`]; also when this process already has several threads.
pub fn detach() -> Result<Detached, DaemonError> {
    let (reader, writer) = pipe().map_err(DaemonError::Detach)?;
    match fork_single_threaded().map_err(DaemonError::Detach)? {
        ForkResult::Parent { child } => Ok(Detached::Startup(Starting { server: child, reader })),
        ForkResult::Child => {
            let readiness = Readiness { writer };
            let left = setsid().map(drop).map_err(io::Error::from).and_then(|()| {
                let null = dev_null()?;
                dup2_stdin(&null)?;
                dup2_stdout(&null)?;
                Ok(())
            });
            match left {
                Ok(()) => Ok(Detached::Server(readiness)),
                Err(error) => Err(DaemonError::Detach(error)),
            }
        }
    }
}

/// The startup process's view of the server.
#[derive(Debug)]
pub struct Starting {
    server: Pid,
    reader: PipeReader,
}

impl Starting {
    /// Waits until the server is ready, at most for `limit`, and gives its process id.
    ///
    /// # Errors
    /// Why there is no server.
    pub fn wait(mut self, limit: Duration) -> Result<u32, DaemonError> {
        let pid = self.server.as_raw().unsigned_abs();
        let Some(report) = self.read_report(Instant::now() + limit).map_err(DaemonError::Detach)? else {
            // It may end by itself at this very moment.
            let _ = kill(self.server, Signal::SIGTERM);
            return Err(DaemonError::TimedOut { pid, after: limit });
        };
        match report.as_slice() {
            READY => Ok(pid),
            [] => Err(DaemonError::Ended { how: self.how_it_ended() }),
            [status, reason @ ..] => Err(DaemonError::Failed {
                reason: String::from_utf8_lossy(reason).into_owned(),
                status: *status,
            }),
        }
    }

    /// Everything up to the end of the pipe; `None` if it did not come in time.
    fn read_report(&mut self, end: Instant) -> io::Result<Option<Vec<u8>>> {
        let mut report = Vec::new();
        let mut piece = [0; 512];
        while report.len() <= MAX_REASON {
            let left = end.saturating_duration_since(Instant::now());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.reader.as_fd(), PollFlags::POLLIN)], timeout) {
                Ok(0) if left.is_zero() => return Ok(None),
                Ok(0) | Err(Errno::EINTR) => continue,
                Err(error) => return Err(error.into()),
                Ok(_) => {}
            }
            match self.reader.read(&mut piece)? {
                0 => break,
                count => report.extend_from_slice(&piece[..count]),
            }
            if report == READY {
                break;
            }
        }
        Ok(Some(report))
    }

    /// The pipe is closed when the process is about to end, so this waits for moments only.
    fn how_it_ended(&self) -> String {
        for _ in 0..100 {
            match waitpid(self.server, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::Exited(_, status)) => return format!("exit status {status}"),
                Ok(WaitStatus::Signaled(_, signal, _)) => return format!("killed by {signal}"),
                Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => break,
            }
        }
        "for a reason that is not known".to_owned()
    }
}

/// The server's way to tell the startup process how it went. Dropped without a word, the startup process reports that
/// the server ended.
#[derive(Debug)]
#[must_use = "the startup process waits for it"]
pub struct Readiness {
    writer: PipeWriter,
}

impl Readiness {
    /// The server serves: the startup process prints the process id and ends. Standard error goes to `/dev/null`.
    ///
    /// # Errors
    /// When the startup process is gone (it was killed, or gave up) or `/dev/null` cannot be opened.
    pub fn ready(mut self) -> io::Result<()> {
        // First the streams: a caller that reads standard error to its end must not wait for the server.
        dup2_stderr(dev_null()?)?;
        self.writer.write_all(READY)
    }

    /// The server cannot serve, for this reason; the startup process prints it and ends with this status. At most
    /// [`MAX_REASON`] bytes are told.
    pub fn failed(mut self, status: u8, reason: &str) {
        let reason = reason.as_bytes();
        let mut report = vec![status.max(1)];
        report.extend_from_slice(&reason[..reason.len().min(MAX_REASON)]);
        // If the startup process is gone, there is nobody left to tell.
        let _ = self.writer.write_all(&report);
    }
}

/// Which process cleans up what was made before the fork: links, sockets, terminal settings.
///
/// Guards that are to outlive [`detach`] share one. The startup process calls [`leave`](Owner::leave) when the server
/// has taken over, the server [`take`](Owner::take).
#[derive(Debug, Clone)]
pub struct Owner(Arc<AtomicU32>);

impl Owner {
    /// This process.
    #[must_use]
    pub fn this_process() -> Owner {
        Owner(Arc::new(AtomicU32::new(std::process::id())))
    }

    /// From now on this process cleans up: it is the server.
    pub fn take(&self) {
        self.0.store(std::process::id(), Ordering::Relaxed);
    }

    /// This process no longer cleans up: the server does.
    pub fn leave(&self) {
        self.0.store(0, Ordering::Relaxed);
    }

    /// Whether this process cleans up.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.0.load(Ordering::Relaxed) == std::process::id()
    }
}

/// Leaves the terminal without forking: a new session where possible, else without the controlling terminal, and
/// every standard stream that is a terminal goes to `/dev/null`. Streams that are files or pipes stay.
///
/// # Errors
/// What the system says.
pub fn leave_terminal() -> io::Result<()> {
    match setsid() {
        Ok(_) => {}
        // This process leads a group, as one does that a shell started: it cannot lead a session too.
        Err(Errno::EPERM) => leave_controlling_terminal()?,
        Err(error) => return Err(error.into()),
    }
    let null = dev_null()?;
    if is_terminal(io::stdin()) {
        dup2_stdin(&null)?;
    }
    if is_terminal(io::stdout()) {
        dup2_stdout(&null)?;
    }
    if is_terminal(io::stderr()) {
        dup2_stderr(&null)?;
    }
    Ok(())
}

fn leave_controlling_terminal() -> io::Result<()> {
    let terminal = match OpenOptions::new().read(true).write(true).open("/dev/tty") {
        Ok(terminal) => terminal,
        // There is none: init(8) or a service manager started this process.
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::ENXIO | nix::libc::ENOENT)) => {
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    // A session leader that leaves its terminal is sent SIGHUP, which must not end it.
    let hang_up = if getsid(None)? == getpid() {
        Some(signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::new(AtomicBool::new(false)))?)
    } else {
        None
    };
    let left = give_up_terminal(terminal.as_fd());
    if let Some(hang_up) = hang_up {
        signal_hook::low_level::unregister(hang_up);
    }
    left
}

fn is_terminal(stream: impl AsFd) -> bool {
    isatty(stream).unwrap_or(false)
}

fn dev_null() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/null")
}
