//! `--list`: the state of the queues, for a person or a monitoring script.

use std::time::SystemTime;

use anyhow::{Context, Result};
use jiff::Timestamp;
use protogen_sys::exit::Exit;
use protogen_sys::lock::{self, Holder, RUN_LOCK};
use protogen_sys::spool::{self, Census, ErrorMark};
use serde_json::{Value, json};

use crate::settings::Queue;

/// What is known of a queue.
struct State<'a> {
    queue: &'a Queue,
    census: Census,
    refused: usize,
    mark: Option<ErrorMark>,
    holder: Option<Holder>,
}

/// Prints it.
///
/// # Errors
/// When a spool cannot be read.
pub(crate) fn list(queues: &[Queue], as_json: bool) -> Result<(String, Exit)> {
    let states = queues.iter().map(State::of).collect::<Result<Vec<_>>>()?;
    let exit = if states.iter().any(|state| state.mark.is_some()) { Exit::Negative } else { Exit::Done };
    let text = match as_json {
        true => format!("{:#}\n", Value::Array(states.iter().map(State::json).collect())),
        false => states.iter().map(State::text).collect(),
    };
    Ok((text, exit))
}

impl<'a> State<'a> {
    fn of(queue: &'a Queue) -> Result<State<'a>> {
        let spool = spool::Queue::open(&queue.spool, &queue.log).with_context(|| queue.name.clone())?;
        let census = spool.census().with_context(|| queue.name.clone())?;
        let refused = spool.count_negative().with_context(|| queue.name.clone())?;
        // A mark that cannot be read is one.
        let mark = spool
            .error_mark()
            .unwrap_or_else(|error| Some(ErrorMark { since: None, reason: error.to_string() }));
        let holder = lock::holder(&queue.spool.join(RUN_LOCK)).ok().flatten().filter(|holder| holder.alive);
        Ok(State { queue, census, refused, mark, holder })
    }

    fn text(&self) -> String {
        let State { census, refused, .. } = self;
        let mut line = format!(
            "{}: {} waiting, {} locked, {refused} refused",
            self.queue.name, census.waiting, census.locked
        );
        if let Some(oldest) = census.oldest {
            line += &format!(", oldest {}", time(oldest));
        }
        if let Some(holder) = &self.holder {
            line += &format!(", in work by {holder}");
        }
        line.push('\n');
        if let Some(mark) = &self.mark {
            let since = mark.since.map_or(String::new(), |since| format!(" since {}", time(since)));
            line += &format!("  blocked{since}: {}\n", mark.reason.replace('\n', "\n  "));
        }
        line
    }

    fn json(&self) -> Value {
        let blocked =
            self.mark.as_ref().map(|mark| json!({"since": mark.since.map(time), "why": mark.reason}));
        let holder = self.holder.as_ref();
        let holder = holder
            .map(|holder| json!({"pid": holder.pid, "host": holder.host, "since": holder.since.map(time)}));
        json!({
            "queue": self.queue.name,
            "spool": self.queue.spool.to_string_lossy(),
            "log": self.queue.log.to_string_lossy(),
            "gateway": self.queue.manner.gateway.to_string(),
            "waiting": self.census.waiting,
            "locked": self.census.locked,
            "refused": self.refused,
            "oldest": self.census.oldest.map(time),
            "blocked": blocked,
            "in_work": holder,
        })
    }
}

/// A time in UTC, by the second.
pub(crate) fn time(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "-".to_owned(), |time| format!("{time:.0}"))
}
