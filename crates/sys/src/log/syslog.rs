//! The system log, over its datagram socket.
//!
//! syslog(3) waits for a slow log daemon, keeps its state in the C library and cannot be pointed at a test's socket.
//! This writes the same records and never waits: what the daemon cannot take is counted, and the next record that gets
//! through says how many are missing. Without a log daemon records go to standard error.

use std::fmt;
use std::io::{self, Write};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ::log::{Level, Record};

use super::printable;

/// Where log daemons listen.
pub const DEV_LOG: &str = "/dev/log";
/// The longest record, in bytes; the rest is cut.
pub const MAX_RECORD: usize = 8192;

/// Which kind of program a record is from (syslog(3)); `local0` unless the site says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Facility(u8);

/// Those a site may choose, with their numbers (RFC 5424, 6.2.1).
const FACILITIES: [(&str, u8); 10] = [
    ("user", 1),
    ("daemon", 3),
    ("local0", 16),
    ("local1", 17),
    ("local2", 18),
    ("local3", 19),
    ("local4", 20),
    ("local5", 21),
    ("local6", 22),
    ("local7", 23),
];

impl Default for Facility {
    fn default() -> Facility {
        Facility(16)
    }
}

/// A facility that does not exist, or is not for these programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownFacility(String);

impl fmt::Display for UnknownFacility {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is no syslog facility; choose user, daemon or local0 to local7", self.0)
    }
}

impl std::error::Error for UnknownFacility {}

impl FromStr for Facility {
    type Err = UnknownFacility;

    fn from_str(name: &str) -> Result<Facility, UnknownFacility> {
        let found = FACILITIES.iter().find(|row| row.0 == name);
        found.map(|row| Facility(row.1)).ok_or_else(|| UnknownFacility(name.to_owned()))
    }
}

/// Writes a record as log daemons read it: `<priority>tool[pid]: text`. The daemon adds the time.
pub(super) fn write_record(
    out: &mut dyn Write,
    record: &Record<'_>,
    facility: Facility,
    tool: &str,
) -> io::Result<()> {
    let (severity, kind) = match record.level() {
        Level::Error => (3, ""),
        Level::Warn => (4, "warning: "),
        Level::Info => (6, ""),
        Level::Debug | Level::Trace => (7, "debug: "),
    };
    let priority = facility.0 * 8 + severity;
    write!(out, "<{priority}>{tool}[{}]: {kind}{}", std::process::id(), printable(record.args()))
}

/// Sends each write as one record.
#[derive(Debug)]
pub(super) struct Syslog {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    missing: u64,
}

impl Syslog {
    pub(super) fn new(path: &Path) -> Syslog {
        Syslog { path: path.to_owned(), socket: connect(path).ok(), missing: 0 }
    }

    /// Sends a record; a daemon that was restarted has a new socket, so a failure is tried once more on that.
    fn send(&mut self, record: &[u8]) -> io::Result<()> {
        if let Some(socket) = &self.socket {
            match socket.send(record) {
                Err(error) if error.kind() != io::ErrorKind::WouldBlock => self.socket = None,
                result => return result.map(drop),
            }
        }
        let socket = connect(&self.path)?;
        socket.send(record)?;
        self.socket = Some(socket);
        Ok(())
    }

    fn note_missing(&mut self, record: &[u8]) -> io::Result<()> {
        let head = record.split(|byte| *byte == b':').next().unwrap_or_default();
        let mut note = head.to_vec();
        note.extend_from_slice(
            format!(": warning: {} log records before this one are missing", self.missing).as_bytes(),
        );
        self.send(&note)
    }
}

impl Write for Syslog {
    fn write(&mut self, record: &[u8]) -> io::Result<usize> {
        let sent = &record[..record.len().min(MAX_RECORD)];
        if self.missing > 0 && self.note_missing(sent).is_ok() {
            self.missing = 0;
        }
        match self.send(sent) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.missing += 1,
            Err(_) => {
                // No log daemon: better on standard error than nowhere. If that fails too, the record is counted.
                let mut line = sent.splitn(2, |byte| *byte == b'>').nth(1).unwrap_or(sent).to_vec();
                line.push(b'\n');
                if io::stderr().write_all(&line).is_err() {
                    self.missing += 1;
                }
            }
        }
        Ok(record.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn connect(path: &Path) -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.connect(path)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
