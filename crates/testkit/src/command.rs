//! Running a program and asserting on what it did.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use protogen_sys::child::{self, Limits};

use crate::TIMEOUT;

/// What is kept of each output stream, in bytes.
const MAX_OUTPUT: usize = 256 << 20;

/// A program to run. The environment is the test's own, without what would change a tool's behaviour.
#[derive(Debug, Clone)]
pub struct TestCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
    directory: Option<PathBuf>,
    variables: Vec<(OsString, OsString)>,
    input: Vec<u8>,
    timeout: Duration,
}

impl TestCommand {
    /// The program at this path, such as `env!("CARGO_BIN_EXE_hl7")`.
    #[must_use]
    pub fn new(program: impl AsRef<Path>) -> TestCommand {
        TestCommand {
            program: program.as_ref().to_owned(),
            arguments: Vec::new(),
            directory: None,
            variables: Vec::new(),
            input: Vec::new(),
            timeout: TIMEOUT,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> TestCommand {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> TestCommand {
        self.arguments.extend(arguments.into_iter().map(|argument| argument.as_ref().to_owned()));
        self
    }

    /// Runs it in this directory.
    #[must_use]
    pub fn in_dir(mut self, directory: impl AsRef<Path>) -> TestCommand {
        self.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets a variable.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> TestCommand {
        self.variables.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Feeds it this on standard input; without it, standard input is empty.
    #[must_use]
    pub fn stdin(mut self, input: impl AsRef<[u8]>) -> TestCommand {
        self.input = input.as_ref().to_owned();
        self
    }

    /// Kills it, and fails, after this time instead of [`TIMEOUT`].
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> TestCommand {
        self.timeout = timeout;
        self
    }

    /// The command as `std` knows it.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments);
        for name in ["RUST_LOG", "NOTIFY_SOCKET", "PG_HOME", "PG_CODELIB", "PG_CID", "ADMIN", "CAREVUE"] {
            command.env_remove(name);
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    /// Runs it to its end.
    ///
    /// # Panics
    /// When it cannot be started or its time is up.
    #[must_use = "assert on what the program did"]
    pub fn run(&self) -> Output {
        let limits = Limits { time: self.timeout, output: MAX_OUTPUT };
        let finished = child::run(&mut self.command(), &self.input, limits)
            .unwrap_or_else(|error| panic!("{self}: cannot run: {error}"));
        let output = Output {
            told: self.to_string(),
            status: finished.status,
            stdout: finished.stdout,
            stderr: finished.stderr,
        };
        assert!(!finished.timed_out, "it was killed after {:?}\n{output}", self.timeout);
        output
    }
}

impl fmt::Display for TestCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.variables {
            write!(f, "{}={value:?} ", name.display())?;
        }
        write!(f, "{}", self.program.display())?;
        for argument in &self.arguments {
            write!(f, " {argument:?}")?;
        }
        self.directory.as_ref().map_or(Ok(()), |directory| write!(f, "\n  in {}", directory.display()))
    }
}

/// What a program did. A failed assertion shows all of it.
#[derive(Debug, Clone)]
pub struct Output {
    told: String,
    /// Its status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text.
    #[must_use]
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Standard error as text.
    #[must_use]
    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Asserts exit status 0.
    #[track_caller]
    pub fn success(&self) -> &Output {
        self.code(0)
    }

    /// Asserts an exit status.
    #[track_caller]
    pub fn code(&self, expected: i32) -> &Output {
        assert!(self.status.code() == Some(expected), "expected exit status {expected}\n{self}");
        self
    }

    /// Asserts all of standard output.
    #[track_caller]
    pub fn stdout_is(&self, expected: impl AsRef<[u8]>) -> &Output {
        let expected = expected.as_ref();
        let shown = expected.escape_ascii();
        assert!(self.stdout == expected, "expected on standard output: {shown}\n{self}");
        self
    }

    /// Asserts a part of standard output.
    #[track_caller]
    pub fn stdout_contains(&self, expected: &str) -> &Output {
        assert!(self.stdout().contains(expected), "expected within standard output: {expected}\n{self}");
        self
    }

    /// Asserts all of standard error.
    #[track_caller]
    pub fn stderr_is(&self, expected: &str) -> &Output {
        assert!(self.stderr() == expected, "expected on standard error: {expected}\n{self}");
        self
    }

    /// Asserts a part of standard error.
    #[track_caller]
    pub fn stderr_contains(&self, expected: &str) -> &Output {
        assert!(self.stderr().contains(expected), "expected within standard error: {expected}\n{self}");
        self
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "command: {}", self.told)?;
        writeln!(f, "{}", self.status)?;
        writeln!(f, "standard output:\n{}", self.stdout())?;
        write!(f, "standard error:\n{}", self.stderr())
    }
}
