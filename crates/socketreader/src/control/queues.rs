//! How the queues of the outgoing connections stand.

use std::time::SystemTime;

use jiff::Timestamp;
use protogen_journal::{OutputStats, Reader};
use serde_json::{Value, json};

use crate::board::{Board, Look, Raised, Trouble, pauses_in};
use crate::config::Config;

/// As the daemon sees them.
pub(crate) fn live(config: &Config, journal: &Reader, board: &Board) -> Value {
    queues(config, journal, true, |name| board.outbox(name).map(|outbox| outbox.look()))
}

/// As they are in the state directory, while the daemon is down.
pub(crate) fn at_rest(config: &Config, journal: &Reader) -> Value {
    let mut pauses = pauses_in(&config.general.statedir.path).unwrap_or_default();
    queues(config, journal, false, |name| Some(Look { pause: pauses.remove(name), ..Look::default() }))
}

fn queues(
    config: &Config,
    journal: &Reader,
    is_running: bool,
    mut look: impl FnMut(&str) -> Option<Look>,
) -> Value {
    let stats = journal.stats();
    // In the order of the configuration, then those that are no longer in use.
    let place = |output: &OutputStats| {
        let place = config.connections.iter().position(|connection| connection.name == output.name);
        place.unwrap_or(usize::MAX)
    };
    let mut outputs: Vec<&OutputStats> = stats.outputs.iter().collect();
    outputs.sort_by_key(|output| place(output));
    let rows = outputs.into_iter().map(|output| {
        let connection = config.connections.iter().find(|connection| connection.name == output.name);
        let look = look(&output.name).unwrap_or_default();
        let oldest = (output.pending > 0).then(|| oldest(journal, &output.name)).flatten();
        let counts = output.counts;
        json!({
            "connection": output.name,
            "kind": connection.map(|connection| connection.kind.shown()),
            "queue": connection.map(|connection| connection.queue.as_str()),
            "pending": output.pending,
            "oldest": oldest.map(time),
            "oldestseconds": oldest.map(age),
            "state": state(&look, is_running, connection.is_some()),
            "since": since(&look).map(time),
            "by": look.pause.as_ref().map(|pause| pause.by.as_str()),
            "peer": look.peer,
            "troubles": troubles(&look),
            "error": look.error.as_ref().map(|(_, text)| text.as_str()),
            "errorat": look.error.as_ref().map(|(at, _)| time(*at)),
            "accepted": counts.accepted,
            "resent": counts.resent,
            "delivered": counts.delivered,
            "dead": counts.dead,
            "dropped": counts.dropped,
            "filtered": counts.filtered,
        })
    });
    json!({ "running": is_running, "queues": rows.collect::<Value>() })
}

/// When the oldest message that waits came.
fn oldest(journal: &Reader, name: &str) -> Option<SystemTime> {
    // What cannot be read now is shown without its age.
    Some(journal.output(name)?.next().ok()??.time)
}

/// One word for how it stands.
fn state(look: &Look, is_running: bool, is_in_use: bool) -> &'static str {
    let has = |trouble: Trouble| look.troubles.contains_key(&trouble);
    match &look.pause {
        _ if !is_in_use => "not in use",
        Some(pause) if pause.message().is_some() => "stopped",
        Some(_) => "paused",
        None if !is_running => "at rest",
        None if has(Trouble::Unreadable) => "cannot read",
        None if has(Trouble::Down) => "no receiver",
        None if has(Trouble::Held) => "held",
        None if has(Trouble::Unwritable) => "cannot write",
        None if has(Trouble::Pipe) => "pipe fails",
        None => "running",
    }
}

/// What is wrong, and since when.
fn troubles(look: &Look) -> Value {
    let troubles = look.troubles.iter();
    troubles
        .map(|(trouble, Raised { since, text, message })| {
            json!({ "trouble": trouble.name(), "since": time(*since), "text": text, "message": message })
        })
        .collect()
}

fn since(look: &Look) -> Option<SystemTime> {
    let troubles = look.troubles.values().map(|raised| raised.since);
    look.pause.as_ref().map(|pause| pause.since).or_else(|| troubles.min())
}

fn time(time: SystemTime) -> String {
    let whole = Timestamp::try_from(time).unwrap_or_default();
    format!("{whole:.0}")
}

fn age(time: SystemTime) -> u64 {
    SystemTime::now().duration_since(time).map_or(0, |age| age.as_secs())
}
