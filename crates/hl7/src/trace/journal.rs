//! The journal of a router.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use protogen_core::hl7::Message;
use protogen_journal::{Entry, Outcome, OutputStats, Reader};

use super::events::{Found, What, answer};

struct Kept {
    id: String,
    time: SystemTime,
    connection: String,
    /// By output.
    settled: BTreeMap<String, (Outcome, Vec<u8>)>,
}

/// Reads a journal, also while a router writes it.
pub(super) fn read(directory: &Path, found: &mut Found) {
    if let Err(error) = history(directory, found) {
        found.troubles.push(format!("{error}"));
    }
}

fn history(directory: &Path, found: &mut Found) -> Result<(), protogen_journal::JournalError> {
    let reader = Reader::open(directory)?;
    let mut kept: BTreeMap<u64, Kept> = BTreeMap::new();
    reader.history(|entry| {
        match entry {
            Entry::Stored(stored) => {
                let id = Message::parse(&stored.bytes).ok().and_then(|message| found.key.matches(&message));
                if let Some(id) = id {
                    let (time, connection) = (stored.time, stored.connection);
                    kept.insert(stored.sequence, Kept { id, time, connection, settled: BTreeMap::new() });
                }
            }
            Entry::Settled { sequence, output, outcome, note } => {
                if let Some(message) = kept.get_mut(&sequence) {
                    message.settled.insert(output.to_owned(), (outcome, note));
                }
            }
            _ => {}
        }
        ControlFlow::<()>::Continue(())
    })?;
    let outputs = reader.stats().outputs;
    for (number, message) in kept {
        let Kept { id, time, connection, mut settled } = message;
        for output in &outputs {
            let is_for = output.inputs.contains(&connection);
            if let Some(what) = state(output, number, settled.remove(&output.name), is_for) {
                found.add(time, id.clone(), directory, what);
            }
        }
        // Outputs that are gone.
        for (output, (outcome, note)) in settled {
            if let Some(what) = told(&output, outcome, note) {
                found.add(time, id.clone(), directory, what);
            }
        }
        found.add(time, id, directory, What::Stored { from: connection, number });
    }
    // The coming of a message stands before what became of it, at the same time.
    let is_later = |what: &What| !matches!(what, What::Stored { .. });
    found.events.sort_by_key(|event| (event.time, is_later(&event.what)));
    Ok(())
}

fn state(output: &OutputStats, number: u64, last: Option<(Outcome, Vec<u8>)>, is_for: bool) -> Option<What> {
    let name = &output.name;
    let is_before_the_cursor = output.cursor.is_none_or(|cursor| number < cursor);
    match last {
        Some((outcome, note)) => told(name, outcome, note),
        None if !is_for => None,
        None if is_before_the_cursor => Some(What::Dropped { output: name.clone() }),
        None => Some(What::Pending { output: name.clone() }),
    }
}

fn told(output: &str, outcome: Outcome, note: Vec<u8>) -> Option<What> {
    let output = output.to_owned();
    Some(match outcome {
        Outcome::Delivered if note.first() == Some(&b'/') => {
            What::Written { output, file: PathBuf::from(std::ffi::OsString::from_vec(note)) }
        }
        Outcome::Delivered => What::Delivered { output, answer: answer(&note) },
        Outcome::Dead => What::Dead { output, answer: answer(&note) },
        Outcome::Filtered => What::Filtered { output, why: String::from_utf8_lossy(&note).into_owned() },
        Outcome::Dropped | Outcome::DroppedThrough(_) => What::Dropped { output },
        Outcome::Resend | Outcome::Tries(_) => What::Pending { output },
        _ => return None,
    })
}
