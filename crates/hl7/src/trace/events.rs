//! What is found, and how a message is known again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::SystemTime;

use protogen_core::hl7::{AckCode, Message, Path};

/// What is looked for.
#[derive(Debug)]
pub(super) struct Key {
    text: String,
    patient: Path,
}

impl Key {
    #[allow(clippy::expect_used)] // a path of our own
    pub(super) fn of(text: &str) -> Key {
        Key { text: text.to_owned(), patient: "PID-3.1".parse().expect("a path") }
    }

    /// The control id of a message that is looked for.
    pub(super) fn matches(&self, message: &Message<'_>) -> Option<String> {
        let id = String::from_utf8_lossy(message.control_id()).into_owned();
        let is_meant =
            self.is(&id) || message.get_all(&self.patient).any(|value| value.raw() == self.text.as_bytes());
        is_meant.then_some(id)
    }

    /// Whether a control id is the one, or that of a part: a gateway counts the parts of a message behind a dot.
    fn is(&self, id: &str) -> bool {
        let rest = id.strip_prefix(&self.text);
        rest.is_some_and(|rest| {
            rest.is_empty()
                || rest
                    .strip_prefix('.')
                    .is_some_and(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
        })
    }
}

/// Something that happened to a message.
#[derive(Debug)]
pub(super) struct Event {
    /// [`UNIX_EPOCH`](SystemTime::UNIX_EPOCH) where nothing tells it.
    pub(super) time: SystemTime,
    /// The control id, of the whole where it is a part.
    pub(super) id: String,
    /// The file or the journal that tells it.
    pub(super) place: PathBuf,
    pub(super) what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A router stored it: from this connection, under this number.
    Stored { from: String, number: u64 },
    /// It waits for an output of the router.
    Pending { output: String },
    /// The router delivered it: to this output, with this answer.
    Delivered { output: String, answer: String },
    /// The router wrote it to a file.
    Written { output: String, file: PathBuf },
    /// It is a dead letter of an output.
    Dead { output: String, answer: String },
    /// An operator dropped it.
    Dropped { output: String },
    /// An output of the router does not want it.
    Filtered { output: String, why: String },
    /// It waits in a spool directory, whose queue is blocked for this reason.
    Spooled { blocked: Option<String> },
    /// It is what a message was before an operator edited it.
    Edited,
    /// It was refused; it waits in its spool directory for an operator.
    Refused { answer: String },
    /// It left a spool directory.
    Sent { answer: Option<String> },
    /// A gateway received it.
    Received,
    /// A gateway sent it on.
    Forwarded,
    /// What the gateway was answered.
    Taken { answer: String },
    /// What the gateway answered.
    Answered { answer: String },
    /// A log names it.
    Logged { line: String },
}

impl Event {
    /// In order of time; what has none comes last. File systems count time in steps of some milliseconds: within one,
    /// things stand as they follow upon each other.
    pub(super) fn order(&self) -> (bool, SystemTime, u8) {
        let step = match self.what {
            What::Stored { .. } => 0,
            What::Received => 2,
            What::Forwarded => 3,
            What::Taken { .. } => 4,
            What::Answered { .. } => 5,
            What::Sent { .. } | What::Refused { .. } => 6,
            What::Logged { .. } => 7,
            _ => 1,
        };
        (self.time == SystemTime::UNIX_EPOCH, self.time, step)
    }
}

impl What {
    /// For programs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            What::Stored { .. } => "stored",
            What::Pending { .. } => "waiting",
            What::Delivered { .. } | What::Written { .. } => "delivered",
            What::Dead { .. } => "dead",
            What::Dropped { .. } => "dropped",
            What::Filtered { .. } => "filtered",
            What::Spooled { .. } => "spooled",
            What::Edited => "edited",
            What::Refused { .. } => "refused",
            What::Sent { .. } => "sent",
            What::Received => "received",
            What::Forwarded => "forwarded",
            What::Taken { .. } => "taken",
            What::Answered { .. } => "answered",
            What::Logged { .. } => "log",
        }
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        match self {
            What::Stored { from, number } => format!("came by {from}, stored as number {number}"),
            What::Pending { output } => format!("waits for {output}"),
            What::Delivered { output, answer } if answer.is_empty() => format!("delivered to {output}"),
            What::Delivered { output, answer } => format!("delivered to {output}: {answer}"),
            What::Written { output, file } => format!("written by {output} as {}", file.display()),
            What::Dead { output, answer } => format!("dead letter of {output}: {answer}"),
            What::Dropped { output } => format!("dropped by an operator, for {output}"),
            What::Filtered { output, why } => format!("not for {output}: {why}"),
            What::Spooled { blocked: None } => "waits in this spool directory".to_owned(),
            What::Spooled { blocked: Some(reason) } => {
                format!("waits in this spool directory, whose queue is blocked: {reason}")
            }
            What::Edited => "an operator edited it; this is what it was before".to_owned(),
            What::Refused { answer } => format!("refused, waits here for an operator: {answer}"),
            What::Sent { answer: Some(answer) } => format!("sent from the spool directory: {answer}"),
            What::Sent { answer: None } => "left the spool directory without an answer".to_owned(),
            What::Received => "received by the gateway".to_owned(),
            What::Forwarded => "sent on to CareVue".to_owned(),
            What::Taken { answer } => format!("answered by CareVue: {answer}"),
            What::Answered { answer } => format!("answered by the gateway: {answer}"),
            What::Logged { line } => line.clone(),
        }
    }
}

/// All that is found.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) key: Key,
    /// The longest message, in bytes.
    pub(super) max_size: usize,
    pub(super) events: Vec<Event>,
    /// Logs, to be searched when the control ids are known.
    pub(super) logs: Vec<PathBuf>,
    /// Directories and logs that were met, by device and inode.
    pub(super) seen: BTreeSet<(u64, u64)>,
    /// What could not be read.
    pub(super) troubles: Vec<String>,
}

impl Found {
    pub(super) fn new(key: Key, max_size: usize) -> Found {
        Found {
            key,
            max_size,
            events: Vec::new(),
            logs: Vec::new(),
            seen: BTreeSet::new(),
            troubles: Vec::new(),
        }
    }

    pub(super) fn add(&mut self, time: SystemTime, id: String, place: &std::path::Path, what: What) {
        self.events.push(Event { time, id, place: place.to_owned(), what });
    }

    /// The control ids of what was found.
    pub(super) fn ids(&self) -> BTreeSet<String> {
        self.events.iter().map(|event| event.id.clone()).filter(|id| !id.is_empty()).collect()
    }
}

/// An answer in short: MSA-1 and MSA-3, and never anything else of it.
pub(super) fn answer(bytes: &[u8]) -> String {
    let Ok(message) = Message::parse(bytes) else { return String::from_utf8_lossy(bytes).trim().to_owned() };
    let code = AckCode::of(&message).map(|code| code.to_string()).unwrap_or_default();
    let text = message.segments().find(|segment| segment.name() == b"MSA");
    let text =
        text.map(|segment| String::from_utf8_lossy(segment.field(3).raw()).into_owned()).unwrap_or_default();
    format!("{code} {text}").trim().to_owned()
}
