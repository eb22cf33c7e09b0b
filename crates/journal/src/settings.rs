//! What a journal is told when it is opened.

use std::time::Duration;

use crate::error::JournalError;

/// The smallest segment, in bytes; small ones are for tests.
pub const MIN_SEGMENT: u64 = 4096;
/// The largest segment, in bytes: offsets stay well within what every file system takes.
pub const MAX_SEGMENT: u64 = 4 << 30;
/// The longest name of an output or a connection, in bytes.
pub const MAX_NAME: usize = 255;

/// An outgoing connection: a queue of its own over the messages of some incoming ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its name, at most [`MAX_NAME`] bytes.
    pub name: String,
    /// The connections whose messages it gets. A change counts for messages that come after it.
    pub inputs: Vec<String>,
}

/// How a journal is kept. [`Settings::default`] has the values that are named below, and no outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The outputs. One that is no longer named stays in the journal as long as messages wait in it or are dead in it.
    pub outputs: Vec<Output>,
    /// The size of new segments in bytes (64 MiB).
    pub segment_size: u64,
    /// Whether a message is on stable storage before it is reported as stored (yes). Without, a power cut may lose
    /// what was stored last; the death of the process loses nothing.
    pub durable: bool,
    /// How long messages are kept after every output is done with them (7 days); zero keeps none.
    pub keep: Duration,
    /// The most bytes of segments that are kept for that time (2 GiB); what still waits is kept beyond it.
    pub keep_size: u64,
    /// The longest message in bytes (16 MiB), at most half a segment.
    pub max_message: usize,
    /// The most messages that are queued or whose results are not collected yet (16,384).
    pub queue_messages: usize,
    /// The most bytes of queued messages (8 MiB); a longer message is queued alone.
    pub queue_bytes: usize,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            outputs: Vec::new(),
            segment_size: 64 << 20,
            durable: true,
            keep: Duration::from_secs(7 * 24 * 60 * 60),
            keep_size: 2 << 30,
            max_message: 16 << 20,
            queue_messages: 16_384,
            queue_bytes: 8 << 20,
        }
    }
}

impl Settings {
    /// The part of a segment that messages leave free while no further segment is ready, so that delivery records
    /// fit when the disk is full.
    pub(crate) fn reserve(capacity: u64) -> u64 {
        capacity / 8
    }

    /// The most bytes of a segment's opening that all exceptions may take.
    pub(crate) fn max_exception_bytes(&self) -> u64 {
        self.segment_size / 8
    }

    pub(crate) fn check(&self) -> Result<(), JournalError> {
        let refuse = |what: String| Err(JournalError::Setting(what));
        if !(MIN_SEGMENT..=MAX_SEGMENT).contains(&self.segment_size) {
            return refuse(format!(
                "a segment of {} bytes: it must have {MIN_SEGMENT} to {MAX_SEGMENT}",
                self.segment_size
            ));
        }
        if self.max_message as u64 > self.segment_size / 2 {
            return refuse(format!(
                "messages of {} bytes: at most half a segment, {} bytes",
                self.max_message,
                self.segment_size / 2
            ));
        }
        if self.queue_messages == 0 {
            return refuse("a queue for no message: queue_messages must be 1 or more".to_owned());
        }
        for (index, output) in self.outputs.iter().enumerate() {
            if self.outputs[..index].iter().any(|other| other.name == output.name) {
                return refuse(format!("two outputs are named {}", output.name));
            }
            for name in output.inputs.iter().chain([&output.name]) {
                if name.is_empty() || name.len() > MAX_NAME {
                    return refuse(format!("the name '{name}': it must have 1 to {MAX_NAME} bytes"));
                }
            }
        }
        Ok(())
    }
}
