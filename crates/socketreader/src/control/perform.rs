//! The changes that operators make, in the daemon or, while it is down, in the command itself.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::SystemTime;

use protogen_journal::{Completion, Delivery, Outcome, Producer, Reader};
use serde_json::{Value, json};

use super::select::{MAX_SELECTED, Output, Standing, Which};
use crate::board::{Board, Pause};
use crate::log;

/// How many records are handed over before they are written.
const CHUNK: usize = 1000;
/// How many refusals an answer names.
const NAMED: usize = 20;

/// What is changed about an outgoing connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Change {
    /// Nothing more is sent.
    Pause,
    /// It is sent again.
    Resume,
    /// Messages are sent again, or after all.
    Resend(Vec<Which>),
    /// Messages are given up.
    Drop(Vec<Which>),
}

impl Change {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Change::Pause => "pause",
            Change::Resume => "resume",
            Change::Resend(_) => "resend",
            Change::Drop(_) => "drop",
        }
    }

    fn which(&self) -> &[Which] {
        match self {
            Change::Pause | Change::Resume => &[],
            Change::Resend(which) | Change::Drop(which) => which,
        }
    }

    /// As a request to the daemon.
    pub(crate) fn request(&self, connection: &str) -> Value {
        let which: Vec<String> = self.which().iter().map(Which::to_string).collect();
        json!({ "command": self.name(), "connection": connection, "messages": which })
    }

    /// From a request to the daemon; `None` if it is none of these.
    pub(crate) fn requested(request: &Value) -> Option<Result<Change, String>> {
        let words = request["messages"].as_array().into_iter().flatten();
        let which = || {
            words
                .map(|word| word.as_str().unwrap_or_default().parse())
                .collect::<Result<Vec<Which>, String>>()
        };
        match request["command"].as_str()? {
            "pause" => Some(Ok(Change::Pause)),
            "resume" => Some(Ok(Change::Resume)),
            "resend" => Some(which().map(Change::Resend)),
            "drop" => Some(which().map(Change::Drop)),
            _ => None,
        }
    }
}

/// What a change is made on.
pub(crate) struct Ground<'a> {
    pub(crate) board: &'a Arc<Board>,
    pub(crate) journal: &'a Reader,
    /// Nobody else's: whatever it is told is about this change.
    pub(crate) producer: &'a Producer,
}

impl Ground<'_> {
    /// Makes a change, and logs who made it.
    ///
    /// # Errors
    /// What is wrong, and what to do.
    pub(crate) fn perform(&self, name: &str, change: &Change, who: &str) -> Result<Value, String> {
        let outbox = self.board.outbox(name);
        let known = || {
            let outboxes = self.board.outboxes();
            let names: Vec<&str> = outboxes.iter().map(|outbox| &*outbox.name).collect();
            format!("no outgoing connection is called \"{name}\"; there are {}", names.join(", "))
        };
        let (done, text) = match (change, outbox) {
            (Change::Pause | Change::Resume, None) => return Err(known()),
            (Change::Pause, Some(outbox)) => {
                let pause = Pause { since: SystemTime::now(), by: who.to_owned() };
                self.board.set_pause(&outbox, Some(pause)).map_err(|error| error.to_string())?;
                (json!({}), "paused".to_owned())
            }
            (Change::Resume, Some(outbox)) => {
                self.board.set_pause(&outbox, None).map_err(|error| error.to_string())?;
                // What is tried in growing pauses is tried at once.
                outbox.changed();
                (json!({}), "resumed".to_owned())
            }
            (Change::Resend(which) | Change::Drop(which), outbox) => {
                // A connection that is no longer in use may have messages all the same.
                let output = Output::of(self.journal, name).ok_or_else(known)?;
                let (count, refused) = self.records(&output, which, matches!(change, Change::Drop(_)))?;
                if let Some(outbox) = outbox {
                    outbox.changed();
                }
                let which: Vec<String> = which.iter().map(Which::to_string).collect();
                let named: Vec<&Value> = refused.iter().take(NAMED).collect();
                let done = json!({ "messages": count, "refused": refused.len(), "why": named });
                let verb = if matches!(change, Change::Drop(_)) { "dropped" } else { "to be sent again" };
                (done, format!("{count} messages {verb}, {} not ({})", refused.len(), which.join(" ")))
            }
        };
        log::always!(name, "{text}, by {who}");
        Ok(done)
    }

    fn records(
        &self,
        output: &Output<'_>,
        which: &[Which],
        drops: bool,
    ) -> Result<(u64, Vec<Value>), String> {
        let mut chosen: Vec<(u64, Standing)> = Vec::new();
        let found = output.each(which, |stored| {
            chosen.push((stored.sequence, output.standing(stored.sequence)));
            if chosen.len() > MAX_SELECTED { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found.map_err(|error| error.to_string())?;
        if chosen.len() > MAX_SELECTED {
            return Err(format!("that are more than {MAX_SELECTED} messages; name fewer"));
        }
        let mut refused = Vec::new();
        chosen.retain(|(sequence, standing)| {
            let why = match (standing, drops) {
                (Standing::Done, true) => "is delivered or dropped",
                (Standing::Waiting, false) => "waits already",
                _ => return true,
            };
            refused.push(json!({ "message": sequence, "why": why }));
            false
        });
        let outcome = if drops { Outcome::Dropped } else { Outcome::Resend };
        let name: Arc<str> = output.name.into();
        let mut count = chosen.len() as u64;
        for chunk in chosen.chunks(CHUNK) {
            for (sequence, _) in chunk {
                let delivery =
                    Delivery { sequence: *sequence, output: Arc::clone(&name), outcome, note: Vec::new() };
                if let Err(delivery) = self.producer.record(delivery) {
                    refused.push(json!({ "message": delivery.sequence, "why": "the journal is busy" }));
                    count = count.saturating_sub(1);
                }
            }
            // Written before the next ones, and its results are there.
            self.producer.store(&[]);
            let mut results = Vec::new();
            self.producer.completions(&mut results);
            for result in results {
                if let Completion::Unrecorded { delivery, refusal } = result {
                    refused.push(json!({ "message": delivery.sequence, "why": refusal.to_string() }));
                    count = count.saturating_sub(1);
                }
            }
        }
        Ok((count, refused))
    }
}
