//! Tells the service manager how a daemon is doing (`Type=notify`; sd_notify(3)).
//!
//! Without `NOTIFY_SOCKET` in the environment every call does nothing.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The longest status text, in characters; the rest is cut.
pub const MAX_STATUS: usize = 512;

/// The way to the service manager, if there is one.
#[derive(Debug, Clone, Default)]
pub struct Notifier {
    socket: Option<OsString>,
}

impl Notifier {
    /// The one that `NOTIFY_SOCKET` names.
    #[must_use]
    pub fn from_environment() -> Notifier {
        Notifier::new(std::env::var_os("NOTIFY_SOCKET"))
    }

    /// One at a path, or at the abstract name after a leading `@`; none for `None` or an empty name.
    #[must_use]
    pub fn new(socket: Option<OsString>) -> Notifier {
        Notifier { socket: socket.filter(|name| !name.is_empty()) }
    }

    /// Whether anybody listens to notifications.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.socket.is_some()
    }

    /// The daemon serves from now on. Names this process as the main one, for it may have forked.
    ///
    /// # Errors
    /// What the system says; worth a warning in the log, no more.
    pub fn ready(&self) -> io::Result<()> {
        self.send(&format!("READY=1\nMAINPID={}", std::process::id()))
    }

    /// The daemon begins to end.
    ///
    /// # Errors
    /// As [`ready`](Notifier::ready).
    pub fn stopping(&self) -> io::Result<()> {
        self.send("STOPPING=1")
    }

    /// One line for people, shown by `systemctl status`. Control characters become blanks.
    ///
    /// # Errors
    /// As [`ready`](Notifier::ready).
    pub fn status(&self, text: &str) -> io::Result<()> {
        let line: String =
            text.chars().take(MAX_STATUS).map(|c| if c.is_control() { ' ' } else { c }).collect();
        self.send(&format!("STATUS={line}"))
    }

    /// Never waits: a manager that does not read its socket must not hold the daemon up.
    fn send(&self, state: &str) -> io::Result<()> {
        let Some(name) = &self.socket else { return Ok(()) };
        let socket = UnixDatagram::unbound()?;
        socket.set_nonblocking(true)?;
        socket.send_to_addr(state.as_bytes(), &address(name)?).map(drop)
    }
}

fn address(name: &OsStr) -> io::Result<SocketAddr> {
    match name.as_bytes() {
        [b'@', abstract_name @ ..] => SocketAddr::from_abstract_name(abstract_name),
        _ => SocketAddr::from_pathname(name),
    }
}
