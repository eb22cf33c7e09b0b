//! The log in the original's form: `TIME - CONNECTION - LEVEL - text` (manual, 4.1).
//!
//! The original's six levels do not fit the `log` crate's five, so each line carries the name of its own.

use std::fmt;
use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};

use ::log::{Level, LevelFilter, Record};
use memchr::memchr2;
use protogen_core::hl7::Message;
use protogen_journal::{Outcome, Stored};
use protogen_sys::log::{Log, LogError, Setup, printable};

use crate::config::LogLevel;

/// What stands in a line in place of a connection's name, for what concerns the whole process.
pub(crate) const GENERAL: &str = "general";

/// From which level on lines are written.
static LEVEL: AtomicU8 = AtomicU8::new(LogLevel::Warning as u8);

/// From now on, lines from this level on are written.
pub(crate) fn set_level(level: LogLevel) {
    LEVEL.store(level as u8, Ordering::Relaxed);
}

/// Starts the log: to a file, or to standard error in the foreground, else to syslog.
pub(crate) fn start(file: Option<&Path>, level: LogLevel, foreground: bool) -> Result<Log, LogError> {
    LEVEL.store(level as u8, Ordering::Relaxed);
    Setup::new("socketreader")
        .foreground(foreground)
        .file(file)
        .level(LevelFilter::Warn)
        // Ours are judged by `is_on`; of the libraries, what concerns an operator.
        .filter(Some(match level {
            LogLevel::Critical => "off,socketreader=trace",
            LogLevel::Error | LogLevel::Warning => "error,socketreader=trace",
            _ => "warn,socketreader=trace",
        }))
        .format(Box::new(write))
        .install()
}

fn write(out: &mut dyn Write, record: &Record<'_>) -> io::Result<()> {
    let now = jiff::ZonedDateTime::now().strftime("%Y-%m-%d %H:%M:%S,%3f").to_string();
    let text = printable(record.args());
    match record.target().strip_prefix("socketreader ") {
        Some(connection) => writeln!(out, "{now} - {connection} - {text}"),
        // A library's line.
        None => {
            let level = if record.level() == Level::Warn { "WARNING" } else { record.level().as_str() };
            writeln!(out, "{now} - {GENERAL} - {level} - {text}")
        }
    }
}

/// Whether lines of this level are written. `warning` writes errors and critical lines only, as the manual says.
pub(crate) fn is_on(level: LogLevel) -> bool {
    let set = LEVEL.load(Ordering::Relaxed);
    match level {
        LogLevel::Warning => set >= LogLevel::Prod as u8,
        level => set >= level as u8,
    }
}

/// Writes a line about a connection. Message content only at `debug`, and at `prod` for transfers that failed.
pub(crate) fn line(level: LogLevel, connection: &str, text: fmt::Arguments<'_>) {
    if !is_on(level) {
        return;
    }
    let (name, mapped) = match level {
        LogLevel::Critical => ("CRITICAL", Level::Error),
        LogLevel::Error => ("ERROR", Level::Error),
        LogLevel::Warning => ("WARNING", Level::Warn),
        LogLevel::Prod => ("PROD", Level::Warn),
        LogLevel::Info => ("INFO", Level::Info),
        LogLevel::Debug => ("DEBUG", Level::Debug),
    };
    ::log::log!(target: &format!("socketreader {connection}"), mapped, "{name} - {text}");
}

/// Writes a line whatever the level: what operators change must be traceable.
pub(crate) fn trace(connection: &str, text: fmt::Arguments<'_>) {
    ::log::log!(target: &format!("socketreader {connection}"), Level::Error, "INFO - {text}");
}

macro_rules! critical {
    ($connection:expr, $($arg:tt)+) => {
        $crate::log::line($crate::config::LogLevel::Critical, $connection, format_args!($($arg)+))
    };
}
macro_rules! error {
    ($connection:expr, $($arg:tt)+) => {
        $crate::log::line($crate::config::LogLevel::Error, $connection, format_args!($($arg)+))
    };
}
macro_rules! warning {
    ($connection:expr, $($arg:tt)+) => {
        $crate::log::line($crate::config::LogLevel::Warning, $connection, format_args!($($arg)+))
    };
}
macro_rules! prod {
    ($connection:expr, $($arg:tt)+) => {
        $crate::log::line($crate::config::LogLevel::Prod, $connection, format_args!($($arg)+))
    };
}
macro_rules! info {
    ($connection:expr, $($arg:tt)+) => {
        $crate::log::line($crate::config::LogLevel::Info, $connection, format_args!($($arg)+))
    };
}
macro_rules! debug {
    ($connection:expr, $($arg:tt)+) => {
        $crate::log::line($crate::config::LogLevel::Debug, $connection, format_args!($($arg)+))
    };
}
macro_rules! always {
    ($connection:expr, $($arg:tt)+) => {
        $crate::log::trace($connection, format_args!($($arg)+))
    };
}
pub(crate) use {always, critical, debug, error, info, prod, warning};

/// Writes a message that came or went, at `debug`: as hexadecimal digits where `dump` says so.
pub(crate) fn received_or_sent(connection: &str, peer: &str, what: &str, message: &[u8], dump: bool) {
    if !is_on(LogLevel::Debug) {
    } else if dump {
        let digits: String = message.iter().map(|byte| format!(" {byte:02x}")).collect();
        debug!(connection, "{peer}: {what}, in hexadecimal:{digits}");
    } else {
        debug!(connection, "{peer}: {what} {}", message.escape_ascii());
    }
}

/// Writes what is recorded of a message that is settled without a receiver. A note of ours at `info`; what was answered
/// may have parts of the message in it.
pub(crate) fn unwanted(connection: &str, stored: &Stored, outcome: Outcome, note: &[u8]) {
    let (sequence, named) = (stored.sequence, Named(&stored.bytes));
    if outcome == Outcome::Filtered {
        let why = String::from_utf8_lossy(note);
        info!(connection, "message {sequence} is not delivered, {why}: {named}");
    } else {
        error!(connection, "message {sequence} is a dead letter, kept in the journal: {named}");
        prod!(connection, "its answer was {}", note.escape_ascii());
    }
}

/// A message as lines above `debug` name it: its type, its control id and its size.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Named<'a>(pub(crate) &'a [u8]);

/// The most bytes of a field that are shown.
const MAX_SHOWN: usize = 40;

impl fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = memchr2(b'\r', b'\n', self.0).map_or(self.0, |end| &self.0[..end]);
        if let Ok(header) = Message::parse(header) {
            let fields = [header.header(9).raw(), header.control_id()];
            let shown = fields.iter().filter(|field| !field.is_empty()).map(|field| {
                let (cut, dots) =
                    if field.len() > MAX_SHOWN { (MAX_SHOWN, "...") } else { (field.len(), "") };
                format!("{}{dots}", field[..cut].escape_ascii())
            });
            let shown: Vec<String> = shown.collect();
            if !shown.is_empty() {
                write!(f, "{}, ", shown.join(" "))?;
            }
        }
        write!(f, "{} bytes", self.0.len())
    }
}
