//! Where a program's diagnostics go.
//!
//! Standard error when it is a terminal or the program stays in the foreground, else syslog; `--log FILE` names a
//! file instead, opened again on SIGHUP. `RUST_LOG` filters. Programs write through the `log` crate, and never put the
//! content of a message above `debug`.

mod file;
mod syslog;

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

use ::log::{Level, LevelFilter, Record};
use env_logger::{Builder, Target};

use file::LogFile;
use syslog::Syslog;
pub use syslog::{DEV_LOG, Facility, MAX_RECORD};

/// Writes one record in a program's own form, with its line end.
pub type Format = Box<dyn Fn(&mut dyn Write, &Record<'_>) -> io::Result<()> + Send + Sync>;

/// How to log; [`install`](Setup::install) makes it so.
pub struct Setup {
    tool: String,
    foreground: bool,
    terminal: bool,
    file: Option<PathBuf>,
    facility: Facility,
    syslog_socket: PathBuf,
    level: LevelFilter,
    filter: Option<String>,
    format: Option<Format>,
}

/// A log that could not be set up.
#[derive(Debug)]
#[non_exhaustive]
pub enum LogError {
    /// The log file cannot be opened.
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another logger was installed before.
    Installed,
}

impl fmt::Display for LogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LogError::Open { path, source } => write!(f, "{}: cannot open the log: {source}", path.display()),
            LogError::Installed => f.write_str("there is a logger already"),
        }
    }
}

impl std::error::Error for LogError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            LogError::Open { source, .. } => Some(source),
            LogError::Installed => None,
        }
    }
}

/// The log in use.
#[derive(Debug, Clone)]
pub struct Log {
    file: Option<LogFile>,
}

impl Log {
    /// Opens the log file again, on SIGHUP, after it was renamed away. Other targets need nothing.
    ///
    /// # Errors
    /// When it cannot be opened; the old file stays in use.
    pub fn reopen(&self) -> Result<(), LogError> {
        self.file.as_ref().map_or(Ok(()), LogFile::reopen)
    }
}

impl Setup {
    /// Logging for the program called `tool`: from `info` up, in the background.
    #[must_use]
    pub fn new(tool: &str) -> Setup {
        Setup {
            tool: tool.to_owned(),
            foreground: false,
            terminal: true,
            file: None,
            facility: Facility::default(),
            syslog_socket: DEV_LOG.into(),
            level: LevelFilter::Info,
            filter: std::env::var("RUST_LOG").ok(),
            format: None,
        }
    }

    /// Whether the program stays in the foreground; then it writes to standard error.
    #[must_use]
    pub fn foreground(self, foreground: bool) -> Setup {
        Setup { foreground, ..self }
    }

    /// Whether a terminal at standard error is written to; not by a program that has a use for it of its own.
    #[must_use]
    pub fn terminal(self, terminal: bool) -> Setup {
        Setup { terminal, ..self }
    }

    /// Writes to a file instead (mode 0600, appended to).
    #[must_use]
    pub fn file(self, file: Option<&Path>) -> Setup {
        Setup { file: file.map(Path::to_owned), ..self }
    }

    /// The facility for syslog.
    #[must_use]
    pub fn facility(self, facility: Facility) -> Setup {
        Setup { facility, ..self }
    }

    /// Another socket than [`DEV_LOG`].
    #[must_use]
    pub fn syslog_socket(self, socket: &Path) -> Setup {
        Setup { syslog_socket: socket.to_owned(), ..self }
    }

    /// The level when `RUST_LOG` says nothing.
    #[must_use]
    pub fn level(self, level: LevelFilter) -> Setup {
        Setup { level, ..self }
    }

    /// Another filter than `RUST_LOG`.
    #[must_use]
    pub fn filter(self, filter: Option<&str>) -> Setup {
        Setup { filter: filter.map(str::to_owned), ..self }
    }

    /// Another form of the lines in a file or on standard error. It must keep control characters out of the lines
    /// itself: see [`printable`].
    #[must_use]
    pub fn format(self, format: Format) -> Setup {
        Setup { format: Some(format), ..self }
    }

    /// Makes this the log of the process. In a daemon, call it after forking.
    ///
    /// # Errors
    /// [`LogError::Open`] for a file, [`LogError::Installed`] on a second call.
    pub fn install(self) -> Result<Log, LogError> {
        let (logger, log) = self.build()?;
        let most = logger.filter();
        ::log::set_boxed_logger(Box::new(logger)).map_err(|_| LogError::Installed)?;
        ::log::set_max_level(most);
        Ok(log)
    }

    fn build(self) -> Result<(env_logger::Logger, Log), LogError> {
        let mut builder = Builder::new();
        builder.filter_level(self.level);
        if let Some(filter) = &self.filter {
            builder.parse_filters(filter);
        }
        let tool = self.tool;
        let mut log = Log { file: None };
        if let Some(path) = &self.file {
            let file = LogFile::open(path)?;
            let format = self.format.unwrap_or_else(|| file_lines(tool));
            builder
                .target(Target::Pipe(Box::new(file.clone())))
                .format(move |out, record| format(out, record));
            log.file = Some(file);
        } else if self.foreground || self.terminal && io::stderr().is_terminal() {
            let format = self.format.unwrap_or_else(|| plain_lines(tool));
            builder.target(Target::Stderr).format(move |out, record| format(out, record));
        } else {
            let syslog = Syslog::new(&self.syslog_socket);
            let facility = self.facility;
            builder
                .target(Target::Pipe(Box::new(syslog)))
                .format(move |out, record| syslog::write_record(out, record, facility, &tool));
        }
        Ok((builder.build(), log))
    }
}

/// `tool: text`, as people read it: `tool: FILE:LINE: cause`, warnings with `warning:`.
fn plain_lines(tool: String) -> Format {
    Box::new(move |out, record| {
        let kind = match record.level() {
            Level::Warn => "warning: ",
            Level::Debug => "debug: ",
            Level::Trace => "trace: ",
            Level::Error | Level::Info => "",
        };
        writeln!(out, "{tool}: {kind}{}", printable(record.args()))
    })
}

/// `TIME tool[pid]: level: text`, in UTC.
fn file_lines(tool: String) -> Format {
    Box::new(move |out, record| {
        let level = record.level().as_str().to_ascii_lowercase();
        let (now, pid) = (jiff::Timestamp::now(), std::process::id());
        writeln!(out, "{now:.3} {tool}[{pid}]: {level}: {}", printable(record.args()))
    })
}

/// The text on one line: control characters are escaped, so that a value from outside cannot forge a line or move a
/// terminal's cursor.
#[must_use]
pub fn printable(text: &fmt::Arguments<'_>) -> String {
    let mut line = String::new();
    for c in text.to_string().chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}
