//! Running a program to its end, with a time-out and bounded output.

use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// How long the end of a program is waited for between two looks, at most.
const LOOK: Duration = Duration::from_millis(20);

/// What bounds a run.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The whole run; then the program and its process group are killed.
    pub time: Duration,
    /// Bytes kept of each of standard output and standard error; more is read and thrown away.
    pub output: usize,
}

/// How a program ended and what it wrote.
#[derive(Debug)]
pub struct Finished {
    /// Its status; a signal for one that was killed.
    pub status: ExitStatus,
    /// What it wrote on standard output.
    pub stdout: Vec<u8>,
    /// What it wrote on standard error.
    pub stderr: Vec<u8>,
    /// Whether it was killed because its time was up.
    pub timed_out: bool,
}

/// A shell for a command of the site's configuration. Programs that stand beside this one are found even where a service
/// was given a short `PATH`: their directory is the last of it.
#[must_use]
pub fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command);
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into());
    let here =
        std::env::current_exe().ok().and_then(|program| program.parent().map(std::path::Path::to_owned));
    if let Ok(path) = std::env::join_paths(std::env::split_paths(&path).chain(here)) {
        shell.env("PATH", path);
    }
    shell
}

/// Runs `command` in a process group of its own, gives it `input` on standard input, and waits for its end.
///
/// It is over when the program ends, even if a process that it left behind holds its output open. A program that does
/// not read its input is not waited for. Blocks: use a thread beside an event loop.
///
/// # Errors
/// When the program cannot be started or waited for.
pub fn run(command: &mut Command, input: &[u8], limits: Limits) -> io::Result<Finished> {
    let deadline = Instant::now() + limits.time;
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn()?;
    let mut pipes = Pipes {
        stdin: child.stdin.take(),
        stdout: child.stdout.take(),
        stderr: child.stderr.take(),
        input,
        finished: Output::new(limits.output),
        errors: Output::new(limits.output),
    };
    let outcome = pipes.nonblocking().and_then(|()| pipes.serve(&mut child, deadline));
    let (status, timed_out) = match outcome {
        Ok(Some(status)) => (status, false),
        Ok(None) => (kill(&mut child)?, true),
        Err(error) => {
            kill(&mut child)?;
            return Err(error);
        }
    };
    pipes.read_what_is_there()?;
    Ok(Finished { status, stdout: pipes.finished.kept, stderr: pipes.errors.kept, timed_out })
}

fn kill(child: &mut Child) -> io::Result<ExitStatus> {
    if let Ok(group) = i32::try_from(child.id()) {
        // Gone already is as good as killed.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    child.wait()
}

struct Pipes<'i> {
    stdin: Option<std::process::ChildStdin>,
    stdout: Option<std::process::ChildStdout>,
    stderr: Option<std::process::ChildStderr>,
    input: &'i [u8],
    finished: Output,
    errors: Output,
}

impl Pipes<'_> {
    fn nonblocking(&self) -> io::Result<()> {
        self.stdin.as_ref().map_or(Ok(()), set_nonblocking)?;
        self.stdout.as_ref().map_or(Ok(()), set_nonblocking)?;
        self.stderr.as_ref().map_or(Ok(()), set_nonblocking)
    }

    /// Moves bytes until the program ends; `None` if the deadline comes first.
    fn serve(&mut self, child: &mut Child, deadline: Instant) -> io::Result<Option<ExitStatus>> {
        let mut pause = Duration::from_millis(1);
        loop {
            self.write_input()?;
            self.read_what_is_there()?;
            if let Some(status) = child.try_wait()? {
                return Ok(Some(status));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            self.wait_for_pipes(pause.min(left))?;
            pause = (pause * 2).min(LOOK);
        }
    }

    /// Waits until a pipe can be served, or for `time`: no pipe tells when a program ends whose children live on.
    fn wait_for_pipes(&self, time: Duration) -> io::Result<()> {
        let mut pipes = Vec::with_capacity(3);
        pipes.extend(self.stdin.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLOUT)));
        pipes.extend(self.stdout.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        pipes.extend(self.stderr.as_ref().map(|pipe| PollFd::new(pipe.as_fd(), PollFlags::POLLIN)));
        let timeout = PollTimeout::try_from(time.max(Duration::from_millis(1))).unwrap_or(PollTimeout::ZERO);
        match poll(&mut pipes, timeout) {
            Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn write_input(&mut self) -> io::Result<()> {
        while let Some(pipe) = &mut self.stdin {
            if self.input.is_empty() {
                self.stdin = None;
                break;
            }
            match pipe.write(self.input) {
                Ok(count) => self.input = &self.input[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // The program does not want the rest; its status says whether that matters.
                Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.stdin = None,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn read_what_is_there(&mut self) -> io::Result<()> {
        self.finished.take_from(&mut self.stdout)?;
        self.errors.take_from(&mut self.stderr)
    }
}

pub(crate) fn set_nonblocking(pipe: &impl AsFd) -> io::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(pipe, FcntlArg::F_GETFL)?);
    fcntl(pipe, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK)).map(drop).map_err(io::Error::from)
}

/// The beginning of what a pipe gave.
struct Output {
    kept: Vec<u8>,
    limit: usize,
}

impl Output {
    fn new(limit: usize) -> Output {
        Output { kept: Vec::new(), limit }
    }

    /// Reads until there is nothing more for now, one buffer's worth of patience: a program that writes without end
    /// must not keep its deadline from being seen.
    fn take_from(&mut self, pipe: &mut Option<impl Read>) -> io::Result<()> {
        let mut buffer = [0; 16 << 10];
        for _ in 0..64 {
            let Some(source) = pipe else { break };
            match source.read(&mut buffer) {
                Ok(0) => *pipe = None,
                Ok(count) => {
                    let room = self.limit.saturating_sub(self.kept.len()).min(count);
                    self.kept.extend_from_slice(&buffer[..room]);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
