//! What holds for the whole process, and what follows from all connections together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use protogen_journal::Output;

use super::{Connection, Problem};

/// A configuration without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The file it was read from, absolute.
    pub file: PathBuf,
    /// The options of `[general]`.
    pub general: General,
    /// The connections in use, in the order of `useconnections`. Names are unique; every queue has an input and an
    /// output.
    pub connections: Vec<Connection>,
    /// What is odd about it; the log names it at the start.
    pub warnings: Vec<Problem>,
}

/// The options of `[general]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct General {
    /// Where to log; `None` leaves it to standard error or syslog. Absolute; its directory exists.
    pub logfile: Option<PathBuf>,
    /// From which level on.
    pub loglvl: LogLevel,
    /// Where the journal and everything else that must survive a restart is kept.
    pub statedir: StateDir,
    /// Whether a message is on stable storage before it is acknowledged. Without, a power cut may lose messages.
    pub durable: bool,
    /// How long delivered messages are kept; zero keeps none.
    pub keep: Duration,
    /// The most bytes of messages that are kept for that time.
    pub keepsize: u64,
    /// Who is called when something needs a person; `None` for nobody.
    pub alert: Option<Alert>,
    /// The shortest time between two alerts about one queue.
    pub mail_interval: Duration,
    /// Less room than this on the state directory's disk, in bytes, is an alert; 0 never is.
    pub disk_low: u64,
    /// A longer sync than this is an alert; zero never is.
    pub slow_sync: Duration,
    /// Where figures are served over HTTP, if they are.
    pub metrics: Option<SocketAddr>,
}

/// Who is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alert {
    /// The administrator of the site, by mail.
    Mail,
    /// This command of the shell, which reads the text on its standard input.
    Command(String),
}

/// The levels of the original, from the fewest lines to the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// What ends the program.
    Critical,
    /// What needs a person. `warning` prints errors too.
    Error,
    /// The same lines as `error`: errors and critical only (manual, 4.1).
    Warning,
    /// Warnings too, and transfers that failed, with the whole message.
    Prod,
    /// What happens.
    Info,
    /// Everything, contents of messages too.
    Debug,
}

/// A directory, and why it is this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateDir {
    /// The directory, absolute. It need not exist yet; the one that holds it does.
    pub path: PathBuf,
    /// Who says so.
    pub from: StateDirFrom,
}

/// Who named the state directory, in the order of precedence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StateDirFrom {
    /// `statedir` in `[general]`.
    Option,
    /// The directory of this connection's `queuedb`, the first in `useconnections` that has one.
    Queuedb(String),
    /// `STATE_DIRECTORY`, which systemd sets.
    Environment,
    /// Nobody: it is `socketReader.state` beside the configuration.
    BesideConfiguration,
}

impl StateDir {
    /// The directory of the journal.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.path.join("journal")
    }
}

/// A queue with the names of what is on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// The connections that messages come from, at least one.
    pub inputs: Vec<String>,
    /// The connections that every one of them goes to, at least one.
    pub outputs: Vec<String>,
}

impl Config {
    /// The queues, in the order of their first connections.
    #[must_use]
    pub fn queues(&self) -> Vec<Queue> {
        let mut queues: Vec<Queue> = Vec::new();
        for connection in &self.connections {
            let place = queues.iter().position(|queue| queue.name == connection.queue).unwrap_or_else(|| {
                let name = connection.queue.clone();
                queues.push(Queue { name, inputs: Vec::new(), outputs: Vec::new() });
                queues.len() - 1
            });
            let queue = &mut queues[place];
            let end = if connection.kind.is_input() { &mut queue.inputs } else { &mut queue.outputs };
            end.push(connection.name.clone());
        }
        queues
    }

    /// The outgoing connections, each with the incoming ones on its queue (manual, chapter 2: every output of a queue
    /// gets every message of all its inputs).
    #[must_use]
    pub fn outputs(&self) -> Vec<Output> {
        let outputs = self.connections.iter().filter(|connection| !connection.kind.is_input());
        outputs
            .map(|output| Output {
                name: output.name.clone(),
                inputs: self.inputs(&output.queue).map(|input| input.name.clone()).collect(),
            })
            .collect()
    }

    /// The incoming connections of a queue.
    pub fn inputs<'a>(&'a self, queue: &'a str) -> impl Iterator<Item = &'a Connection> {
        self.connections
            .iter()
            .filter(move |connection| connection.kind.is_input() && connection.queue == queue)
    }

    /// The longest message that any connection takes, in bytes.
    #[must_use]
    pub fn max_size(&self) -> usize {
        let sizes = self.connections.iter().filter_map(|connection| connection.kind.max_size());
        sizes.max().unwrap_or(protogen_core::hl7::MAX_MESSAGE)
    }

    /// How the journal is to be kept.
    #[must_use]
    pub fn journal_settings(&self) -> protogen_journal::Settings {
        let defaults = protogen_journal::Settings::default();
        let max_message = self.max_size();
        // A message takes at most half a segment.
        let segment_size = (max_message as u64).saturating_mul(2).max(defaults.segment_size);
        protogen_journal::Settings {
            outputs: self.outputs(),
            durable: self.general.durable,
            keep: self.general.keep,
            keep_size: self.general.keepsize,
            max_message,
            segment_size,
            ..defaults
        }
    }
}
