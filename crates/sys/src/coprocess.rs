//! A program that runs beside this one and is spoken to through its standard input and output.
//!
//! Blocks: use a thread beside an event loop.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;

use crate::child::set_nonblocking;

/// How long a wait lasts before it is asked whether to go on waiting.
const SLICE: Duration = Duration::from_millis(100);
/// How long a program may take to end by itself, and again after SIGTERM.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often it is looked whether it has ended.
const LOOK: Duration = Duration::from_millis(5);
/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// Why an exchange came to nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum ExchangeError {
    /// The program has ended, or closed its output.
    Ended(Option<ExitStatus>),
    /// The time is up.
    TimedOut,
    /// The caller does not want to wait any more.
    Stopped,
    /// What the system says.
    System(io::Error),
}

impl fmt::Display for ExchangeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ExchangeError::Ended(Some(status)) => write!(f, "it ended, {status}"),
            ExchangeError::Ended(None) => f.write_str("it closed its output"),
            ExchangeError::TimedOut => f.write_str("no answer in time"),
            ExchangeError::Stopped => f.write_str("interrupted"),
            ExchangeError::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ExchangeError {}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> ExchangeError {
        ExchangeError::System(error)
    }
}

/// A running program in a process group of its own.
///
/// Dropped, it finds the end of its input; when it has not ended after 0.2 s, its group gets SIGTERM, and SIGKILL after
/// as long again.
#[derive(Debug)]
pub struct Coprocess {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: ChildStdout,
    buffer: Vec<u8>,
    /// It has ended and was waited for.
    is_over: bool,
}

impl Coprocess {
    /// Starts a program; gives what it writes to standard error, which must be read.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command) -> io::Result<(Coprocess, ChildStderr)> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn()?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(io::Error::other("no pipes"));
        };
        let program = Coprocess { child, stdin: Some(stdin), stdout, buffer: vec![0; PIECE], is_over: false };
        program.stdin.as_ref().map_or(Ok(()), set_nonblocking)?;
        set_nonblocking(&program.stdout)?;
        Ok((program, stderr))
    }

    /// The process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Writes `input` and hands what comes back to `heard`, until that breaks off, for `limit` at most. While nothing
    /// comes, `heard` gets an empty piece every 0.1 s, and `stop` is asked whether to give up.
    ///
    /// # Errors
    /// [`ExchangeError`]: the program is in an unknown state then; drop it.
    pub fn exchange(
        &mut self,
        input: &[u8],
        limit: Duration,
        stop: &dyn Fn() -> bool,
        mut heard: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), ExchangeError> {
        let due = Instant::now() + limit;
        let mut rest = input;
        loop {
            self.write(&mut rest)?;
            if self.read(&mut heard)?.is_break() {
                return Ok(());
            }
            if stop() {
                return Err(ExchangeError::Stopped);
            }
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ExchangeError::TimedOut);
            }
            if !self.wait(!rest.is_empty(), left.min(SLICE))? && heard(b"").is_break() {
                return Ok(());
            }
        }
    }

    /// Hands what it has written meanwhile to `heard`: one piece, if there is any.
    ///
    /// # Errors
    /// It has ended, or what the system says.
    pub fn hear(&mut self, mut heard: impl FnMut(&[u8])) -> Result<(), ExchangeError> {
        let _ = self.read(&mut |bytes| {
            heard(bytes);
            ControlFlow::Break(())
        })?;
        Ok(())
    }

    fn write(&mut self, rest: &mut &[u8]) -> Result<(), ExchangeError> {
        let Some(stdin) = &mut self.stdin else { return Ok(()) };
        while !rest.is_empty() {
            match stdin.write(rest) {
                Ok(count) => *rest = &rest[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Reading finds out that it has ended.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                    *rest = b"";
                    self.stdin = None;
                    break;
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read(
        &mut self,
        heard: &mut impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ExchangeError> {
        loop {
            match self.stdout.read(&mut self.buffer) {
                Ok(0) => return Err(ExchangeError::Ended(self.status()?)),
                Ok(count) => {
                    if heard(&self.buffer[..count]).is_break() {
                        return Ok(ControlFlow::Break(()));
                    }
                    // A program that never stops writing must not keep its time from being up.
                    return Ok(ControlFlow::Continue(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(ControlFlow::Continue(()));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Waits until a pipe can be served; false if none can.
    fn wait(&self, for_room: bool, limit: Duration) -> io::Result<bool> {
        let mut pipes = vec![PollFd::new(self.stdout.as_fd(), PollFlags::POLLIN)];
        let stdin = self.stdin.as_ref().filter(|_| for_room);
        pipes.extend(stdin.map(|stdin| PollFd::new(stdin.as_fd(), PollFlags::POLLOUT)));
        let limit = PollTimeout::try_from(limit.max(Duration::from_millis(1))).unwrap_or(PollTimeout::ZERO);
        match poll(&mut pipes, limit) {
            Ok(count) => Ok(count > 0),
            Err(nix::errno::Errno::EINTR) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    /// Its status, if it ends within a moment; what it started ends with it.
    fn status(&mut self) -> io::Result<Option<ExitStatus>> {
        if !self.ends_within(PATIENCE)? {
            return Ok(None);
        }
        self.signal(Signal::SIGKILL);
        self.is_over = true;
        self.child.wait().map(Some)
    }

    /// It stays a zombie, so that its group's number remains its own until the group is gone.
    fn ends_within(&self, limit: Duration) -> io::Result<bool> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX));
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
        let due = Instant::now() + limit;
        loop {
            let is_over = waitid(Id::Pid(pid), flags)? != WaitStatus::StillAlive;
            if is_over || Instant::now() >= due {
                return Ok(is_over);
            }
            std::thread::sleep(LOOK);
        }
    }

    fn signal(&self, signal: Signal) {
        if let Ok(group) = i32::try_from(self.child.id()) {
            // Gone already is as good.
            let _ = killpg(Pid::from_raw(group), signal);
        }
    }
}

impl Drop for Coprocess {
    fn drop(&mut self) {
        if self.is_over {
            return;
        }
        self.stdin = None;
        if !matches!(self.ends_within(PATIENCE), Ok(true)) {
            self.signal(Signal::SIGTERM);
            let _ = self.ends_within(PATIENCE);
        }
        // What it started goes with it.
        self.signal(Signal::SIGKILL);
        // Killed, so this does not take long.
        let _ = self.child.wait();
    }
}
