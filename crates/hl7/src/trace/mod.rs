//! `hl7 trace`: what became of a message, from all that an installation keeps.

mod accounts;
mod events;
mod files;
mod journal;
mod logs;
mod walk;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::SystemTime;

use anyhow::bail;
use jiff::Timestamp;
use protogen_sys::log::printable;
use protogen_sys::site::Site;
use serde_json::{Value, json};

use crate::Status;
use crate::output::Output;
use accounts::Account;
use events::{Event, Found, Key};

/// Tell what became of a message, from all journals, spools and logs
///
/// Reads everything below $PG_HOME and changes nothing. The message is named by its control id (MSH-10) or by a patient's
/// id (PID-3). Prints what happened in order of time, then where each message is now. Status 1: one is unaccounted for.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A control id, or the id of a patient
    #[arg(value_name = "CONTROL-ID|PATIENT-ID")]
    key: String,
    /// Look below these directories instead of $PG_HOME
    #[arg(long = "in", value_name = "DIR")]
    places: Vec<PathBuf>,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    if args.key.is_empty() {
        bail!("a control id or a patient's id is needed");
    }
    let places = match args.places.is_empty() {
        true => vec![Site::from_environment().home().to_owned()],
        false => args.places.clone(),
    };
    let mut found = Found::new(Key::of(&args.key), max_size);
    for place in &places {
        walk::through(place, &mut found)?;
    }
    let ids = found.ids();
    for log in std::mem::take(&mut found.logs) {
        logs::search(&log, &ids, &mut found);
    }
    let Found { mut events, troubles, .. } = found;
    events.sort_by_key(Event::order);
    let mut messages: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
    for event in &events {
        messages.entry(&event.id).or_default().push(event);
    }
    let accounts: Vec<Account> = messages.iter().map(|(id, events)| accounts::close(id, events)).collect();
    for trouble in &troubles {
        eprintln!("hl7: warning: {}", printable(&format_args!("{trouble}")));
    }
    if args.json {
        writeln!(output, "{:#}", as_json(&events, &accounts))?;
    } else {
        print(&events, &accounts, output)?;
    }
    if accounts.is_empty() {
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        let (key, places) = (&args.key, places.join(", "));
        eprintln!("{}", printable(&format_args!("hl7: nothing is known of {key} in {places}")));
    }
    let is_complete =
        !accounts.is_empty() && accounts.iter().all(|account| account.is_accounted) && troubles.is_empty();
    Ok(if is_complete { Status::Done } else { Status::Negative })
}

fn print(events: &[Event], accounts: &[Account], output: &mut Output) -> anyhow::Result<()> {
    for event in events {
        let (time, place) = (shown(event), event.place.display());
        writeln!(
            output,
            "{}",
            printable(&format_args!("{time}  {}  {place}: {}", event.id, event.what.told()))
        )?;
    }
    for account in accounts {
        let mark = if account.is_accounted { "" } else { "UNACCOUNTED FOR: " };
        writeln!(output, "{}", printable(&format_args!("{}: {mark}{}", account.id, account.told)))?;
    }
    Ok(())
}

fn shown(event: &Event) -> String {
    if event.time == SystemTime::UNIX_EPOCH {
        return "-".to_owned();
    }
    Timestamp::try_from(event.time).map_or_else(|_| "-".to_owned(), |time| format!("{time:.3}"))
}

fn as_json(events: &[Event], accounts: &[Account]) -> Value {
    let events = events.iter().map(|event| {
        json!({
            "time": shown(event),
            "id": event.id,
            "place": event.place.display().to_string(),
            "event": event.what.name(),
            "text": event.what.told(),
        })
    });
    let accounts = accounts
        .iter()
        .map(|account| json!({ "id": account.id, "accounted": account.is_accounted, "now": account.told }));
    json!({ "events": events.collect::<Value>(), "messages": accounts.collect::<Value>() })
}
