//! Where a message is now, from what happened to it.

use std::time::{Duration, SystemTime};

use super::events::{Event, What};

/// How much two clocks, or two moments of one step, may differ.
const CLOCKS: Duration = Duration::from_secs(2);

/// The end of the story of a message, as far as it is known.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) id: String,
    /// Whether each of its ways ends somewhere.
    pub(super) is_accounted: bool,
    pub(super) told: String,
}

/// Where a message is, from its events in order of time.
pub(super) fn close(id: &str, events: &[&Event]) -> Account {
    let mut ends = Vec::new();
    let mut lost = Vec::new();
    // Who sent it and has no answer sends it again, or did.
    let is_held = events.iter().any(|event| {
        matches!(
            event.what,
            What::Spooled { .. }
                | What::Refused { .. }
                | What::Pending { .. }
                | What::Sent { answer: Some(_) }
                | What::Answered { .. }
        )
    });
    // "Later" is no end, where there is one.
    let is_settled = events.iter().any(|event| match &event.what {
        What::Answered { answer } => !is_later(answer),
        What::Spooled { .. } | What::Refused { .. } | What::Pending { .. } | What::Sent { .. } => true,
        _ => false,
    });
    // A router's journal first: the time of a file may be some milliseconds before that of its message.
    let is_of_a_router = |event: &&&Event| {
        matches!(
            event.what,
            What::Pending { .. }
                | What::Dead { .. }
                | What::Dropped { .. }
                | What::Filtered { .. }
                | What::Delivered { .. }
        )
    };
    let (first, then): (Vec<&Event>, Vec<&Event>) = events.iter().partition(|event| is_of_a_router(event));
    for event in first.into_iter().chain(then) {
        match &event.what {
            What::Pending { output } => ends.push(format!("waiting for {output}")),
            What::Dead { output, .. } => ends.push(format!("dead letter of {output}")),
            What::Dropped { output } => ends.push(format!("dropped, for {output}")),
            What::Filtered { output, why } => ends.push(format!("not for {output} ({why})")),
            What::Delivered { output, answer } => {
                ends.push(format!("at the receiver of {output} ({answer})"));
            }
            What::Spooled { blocked: None } => ends.push(format!("waiting as {}", event.place.display())),
            What::Spooled { blocked: Some(_) } => {
                ends.push(format!("waiting in a blocked queue as {}", event.place.display()));
            }
            What::Refused { answer } => {
                ends.push(format!("refused ({answer}), waiting as {}", event.place.display()));
            }
            What::Written { file, .. } => match follows(file, event.time, events) {
                Follow::Known => {}
                Follow::Elsewhere => ends.push(format!("written as {}", file.display())),
                Follow::Gone => {
                    lost.push(format!("{} is not there any more, and nothing tells why", file.display()));
                }
            },
            What::Sent { answer: None } => {
                lost.push(format!("{} has no answer beside it", event.place.display()));
            }
            What::Sent { answer: Some(answer) } => ends.push(format!("sent ({answer})")),
            What::Received => match answered(event, events) {
                Some(answer) if is_later(&answer) && is_settled => {}
                Some(answer) if is_later(&answer) => {
                    ends.push(format!("put off by the gateway ({answer}), its sender has it"));
                }
                Some(answer) => ends.push(format!("handled by the gateway ({answer})")),
                None if is_held => {}
                None => lost.push(format!("{} has no answer", event.place.display())),
            },
            What::Stored { .. }
            | What::Edited
            | What::Forwarded
            | What::Taken { .. }
            | What::Answered { .. }
            | What::Logged { .. } => {}
        }
    }
    if ends.is_empty() && lost.is_empty() && events.iter().any(|event| event.what == What::Edited) {
        ends.push("edited by an operator, and gone on under another control id".to_owned());
    }
    if ends.is_empty() && lost.is_empty() {
        lost.push(match events.iter().any(|event| matches!(event.what, What::Stored { .. })) {
            true => "it was stored, and no output is to have it".to_owned(),
            false => "only logs name it".to_owned(),
        });
    }
    let mut told = std::collections::BTreeSet::new();
    ends.retain(|end| told.insert(end.clone()));
    let is_accounted = lost.is_empty();
    let told = lost.into_iter().chain(ends).collect::<Vec<_>>().join("; ");
    Account { id: id.to_owned(), is_accounted, told }
}

/// Whether an answer means that the message is to be sent again.
fn is_later(answer: &str) -> bool {
    answer == "AR" || answer.starts_with("AR ")
}

enum Follow {
    /// Something else tells about it.
    Known,
    /// It is outside of what was read, or still there.
    Elsewhere,
    Gone,
}

/// What became of a file that the router wrote then: the next program has it, or had it. A sender whose control ids begin
/// anew has other messages of this one, so what came in before is not it; clocks of logs may differ a little.
fn follows(file: &std::path::Path, written: SystemTime, events: &[&Event]) -> Follow {
    let name = file.file_name();
    let is_known = events.iter().any(|event| {
        matches!(event.what, What::Spooled { .. } | What::Refused { .. } | What::Sent { .. })
            && event.place.file_name() == name
            || event.what == What::Edited && name.is_some_and(|name| is_original(event, name))
            || matches!(event.what, What::Received) && event.time + CLOCKS >= written
    });
    match is_known {
        true => Follow::Known,
        // Read by no program of ours: whether it is still there is its reader's affair.
        false if file.exists() => Follow::Elsewhere,
        false if file.parent().is_some_and(is_spool) => Follow::Gone,
        false => Follow::Elsewhere,
    }
}

fn is_original(event: &Event, name: &std::ffi::OsStr) -> bool {
    super::files::original_of(&event.place).is_some_and(|original| *name == *original)
}

/// Whether files wait here for a program of ours, which would tell what it did with them.
fn is_spool(directory: &std::path::Path) -> bool {
    directory.components().any(|part| part.as_os_str() == "spool")
}

/// The gateway's answer to a request of its journal.
fn answered(request: &Event, events: &[&Event]) -> Option<String> {
    let suffix = |event: &Event| {
        event.place.file_name().map(|name| name.to_string_lossy().chars().skip(3).collect::<String>())
    };
    let wanted = suffix(request);
    events.iter().find_map(|event| match &event.what {
        What::Answered { answer } if suffix(event) == wanted => Some(answer.clone()),
        _ => None,
    })
}
