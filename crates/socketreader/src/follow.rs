//! One line a delivery, for those who follow.

use std::time::SystemTime;

use protogen_core::hl7::{AckCode, Message};
use protogen_journal::{Outcome, Stored};
use serde_json::{Value, json};

/// What became of a message in an output, without its contents: its names, its way, its answer, and how long it took.
pub(crate) fn line(output: &str, stored: &Stored, outcome: Outcome, note: &[u8]) -> Value {
    let message = Message::parse(&stored.bytes).ok();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let id = message.as_ref().map(|message| text(message.control_id())).unwrap_or_default();
    let kind = message.as_ref().map(|message| text(message.header(9).raw())).unwrap_or_default();
    let answer = Message::parse(note).ok().as_ref().and_then(AckCode::of).map(|code| code.to_string());
    let outcome = match outcome {
        Outcome::Delivered => "delivered",
        Outcome::Dead => "dead",
        Outcome::Dropped => "dropped",
        Outcome::Filtered => "filtered",
        _ => "other",
    };
    let taken = SystemTime::now().duration_since(stored.time).unwrap_or_default();
    json!({
        "sequence": stored.sequence,
        "id": id,
        "type": kind,
        "from": stored.connection,
        "to": output,
        "outcome": outcome,
        "answer": answer,
        "milliseconds": u64::try_from(taken.as_millis()).unwrap_or(u64::MAX),
    })
}
