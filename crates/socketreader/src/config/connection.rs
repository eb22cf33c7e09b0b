//! One connection: a section of the configuration, resolved.

use std::path::PathBuf;
use std::time::Duration;

use protogen_core::hl7hosts::Peers;
use protogen_core::llp::mllp;
use protogen_sys::services::{Place, ServiceError};

use super::{Gate, Mask, Policy};

/// A connection that `useconnections` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Its section's name; also its name in the log and in the journal.
    pub name: String,
    /// The line of its section's header, counted from 1.
    pub line: usize,
    /// The queue that joins it to others.
    pub queue: String,
    /// Whether its messages are HL7: they are answered with HL7 acknowledgments, and may name files.
    pub use_hl7: bool,
    /// What it does.
    pub kind: Kind,
    /// Of an outgoing connection: when so many messages wait, senders are told to try later.
    pub max_pending: u64,
    /// Of an outgoing connection: a message that has waited longer is an alert; zero never is.
    pub max_age: Duration,
    /// Of an outgoing connection: which messages it delivers.
    pub gate: Gate,
    /// What it does wrong on purpose.
    pub debug: Debug,
}

/// The four kinds, with the options of each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Takes messages from peers.
    SocketIn(Socket),
    /// Brings messages to a peer.
    SocketOut(Socket),
    /// Takes messages from a directory.
    FileIn(FileIn),
    /// Writes messages to a directory.
    FileOut(FileOut),
}

impl Kind {
    /// Whether messages come in here.
    #[must_use]
    pub fn is_input(&self) -> bool {
        matches!(self, Kind::SocketIn(_) | Kind::FileIn(_))
    }

    /// The longest message taken here, in bytes, if messages come in.
    #[must_use]
    pub fn max_size(&self) -> Option<usize> {
        match self {
            Kind::SocketIn(socket) => Some(socket.max_size),
            Kind::FileIn(file) => Some(file.max_size),
            Kind::SocketOut(_) | Kind::FileOut(_) => None,
        }
    }

    /// What a person calls it.
    #[must_use]
    pub fn shown(&self) -> &'static str {
        match self {
            Kind::SocketIn(_) => "socket in",
            Kind::SocketOut(_) => "socket out",
            Kind::FileIn(_) => "file in",
            Kind::FileOut(_) => "file out",
        }
    }

    /// The socket's options, if it is one.
    #[must_use]
    pub fn socket(&self) -> Option<&Socket> {
        match self {
            Kind::SocketIn(socket) | Kind::SocketOut(socket) => Some(socket),
            Kind::FileIn(_) | Kind::FileOut(_) => None,
        }
    }
}

/// A connection over TCP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Whether we listen (`createserversocket`), or connect.
    pub server: bool,
    /// The name or address to listen on or to connect to, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether messages are acknowledged: sent for what comes in, awaited for what goes out.
    pub use_ack: bool,
    /// Whether HL7 acknowledgments are committed too, and messages beside them: release 2 of MLLP.
    pub mllp2: bool,
    /// The frames. `max_message` and `frame_timeout` follow from `max_size` and `timeout` here; for an outgoing
    /// connection `max_message` is the longest message of its inputs.
    pub mllp: mllp::Settings,
    /// Where the original kept its queue; only the place of the state directory may follow from it.
    pub queuedb: Option<PathBuf>,
    /// The longest message taken, in bytes.
    pub max_size: usize,
    /// The most connections of a server that are open at once.
    pub max_connections: usize,
    /// Of an outgoing connection: what it does with answers.
    pub policy: Policy,
    /// How long the peer may be silent when it owes something: the rest of a frame, an answer, a connection.
    pub timeout: Duration,
    /// After so much silence the system asks whether the peer is still there; zero never.
    pub keepalive: Duration,
    /// Who may connect to a server; empty for everybody.
    pub allow: Vec<Peers>,
    /// How TLS is spoken, if it is.
    pub tls: Option<Tls>,
}

/// The files of a connection that speaks TLS. They are read at the start and on SIGHUP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// Our certificate and those that signed it, absolute; a server has one.
    pub cert: Option<PathBuf>,
    /// Its private key, absolute; may be the same file.
    pub key: Option<PathBuf>,
    /// The certificates that are trusted, absolute.
    pub ca: PathBuf,
    /// Whether the peer must show a certificate that these vouch for.
    pub verify: bool,
    /// The name that a server's certificate must have.
    pub name: String,
}

impl Socket {
    /// The place to listen on or to connect to.
    ///
    /// # Errors
    /// None for what was read from a configuration: the host is checked there.
    pub fn place(&self) -> Result<Place, ServiceError> {
        format!("{}%{}", self.port, self.host).parse()
    }
}

/// A directory that messages are taken from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileIn {
    /// The directory (`messagedir`), absolute.
    pub dir: PathBuf,
    /// Whether one LF is removed from the end of each message.
    pub newline: bool,
    /// Which files.
    pub mask: Mask,
    /// The time between two scans.
    pub cycletime: Duration,
    /// The most files of one scan.
    pub maxfiles: usize,
    /// How long a file must be unchanged before it counts as complete.
    pub settle: Duration,
    /// Where unreadable files go, absolute; made when first needed.
    pub errordir: PathBuf,
    /// The longest message taken, in bytes.
    pub max_size: usize,
}

/// A directory that messages are written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileOut {
    /// The directory (`messagedir`), absolute.
    pub dir: PathBuf,
    /// Whether one LF is added to each message.
    pub newline: bool,
    /// How names begin.
    pub naming: Naming,
    /// How names end; the dot is part of it. Holds no slash.
    pub suffix: String,
    /// The mode of the files; `None` leaves it to the umask, as with other programs.
    pub filemode: Option<u32>,
}

/// How the names of written files begin; time, count and suffix follow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Naming {
    /// With MSH-3 to MSH-6 and the message's type.
    Hl7,
    /// With this text; holds no slash, may be empty.
    Prefix(String),
}

/// What a connection does wrong on purpose, to try out its peer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Debug {
    /// Log frames as hexadecimal digits.
    pub dump: bool,
    /// Answer nothing.
    pub noack: bool,
    /// Answer every message with a rejection.
    pub nack: bool,
    /// Wait before each answer.
    pub delayack: Duration,
    /// Cut this share of incoming connections, in percent.
    pub drop: u8,
    /// Write at most this many bytes a second.
    pub slow: Option<u32>,
}
