//! Messages of an outgoing connection, read from the journal beside the daemon.

use std::io::Write;
use std::ops::ControlFlow;

use anyhow::{Error, bail};
use jiff::Timestamp;
use memchr::memchr2;
use protogen_core::hl7::Message;
use protogen_journal::{Outcome, Reader, Stored};
use protogen_sys::exit::Exit;
use serde_json::{Value, json};

use super::client::print;
use super::select::{Output, Standing, Which};
use super::table::columns;
use crate::config::Config;

/// The most messages that are listed.
const MAX_LISTED: usize = 1000;

/// Lists messages; one alone is shown whole, with what its receiver answered.
pub(crate) fn show(config: &Config, name: &str, which: &[Which], as_json: bool) -> anyhow::Result<Exit> {
    let journal = Reader::open(&config.general.statedir.journal()).map_err(Error::msg)?;
    let output = output(&journal, name)?;
    let default = [Which::Dead, Which::Waiting];
    let which = if which.is_empty() { &default } else { which };
    let (mut found, mut more) = (Vec::new(), false);
    output
        .each(which, |stored| {
            more = found.len() == MAX_LISTED;
            if more {
                return ControlFlow::Break(());
            }
            found.push(stored);
            ControlFlow::Continue(())
        })
        .map_err(Error::msg)?;
    let mut rows = Vec::new();
    for stored in &found {
        rows.push(row(&journal, &output, stored, found.len() == 1)?);
    }
    if as_json {
        print(&format!("{:#}\n", Value::from(rows)));
    } else if let ([stored], [row]) = (found.as_slice(), rows.as_slice()) {
        print(&whole(stored, row));
    } else {
        print(&list(&rows));
        if more {
            print(&format!("and more: the first {MAX_LISTED} are shown, name a range\n"));
        }
    }
    Ok(if found.is_empty() { Exit::Negative } else { Exit::Done })
}

/// Writes messages to standard output as they came, or each as an object on a line of its own.
pub(crate) fn export(config: &Config, name: &str, which: &[Which], as_json: bool) -> anyhow::Result<Exit> {
    let journal = Reader::open(&config.general.statedir.journal()).map_err(Error::msg)?;
    let output = output(&journal, name)?;
    let (mut out, mut count, mut failed) = (std::io::stdout().lock(), 0_u64, None);
    output
        .each(which, |stored| {
            count += 1;
            let written = if as_json {
                writeln!(out, "{}", object(&output, &stored))
            } else {
                // The next message begins a line.
                let is_ended = matches!(stored.bytes.last(), Some(b'\r' | b'\n'));
                let end: &[u8] = if is_ended { b"" } else { b"\r" };
                out.write_all(&stored.bytes).and_then(|()| out.write_all(end))
            };
            match written {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    failed = Some(error);
                    ControlFlow::Break(())
                }
            }
        })
        .map_err(Error::msg)?;
    if let Some(error) = failed.or(out.flush().err()) {
        bail!("standard output: {error}");
    }
    Ok(if count == 0 { Exit::Negative } else { Exit::Done })
}

fn output<'a>(journal: &'a Reader, name: &'a str) -> anyhow::Result<Output<'a>> {
    if let Some(output) = Output::of(journal, name) {
        return Ok(output);
    }
    let names: Vec<String> = journal.stats().outputs.into_iter().map(|output| output.name).collect();
    bail!("no outgoing connection is called \"{name}\"; there are {}", names.join(", "))
}

/// A message as it is exported for a program: with its text or, where that is no UTF-8, as ASCII with escapes.
fn object(output: &Output<'_>, stored: &Stored) -> Value {
    let mut object = about(output, stored);
    match std::str::from_utf8(&stored.bytes) {
        Ok(text) => object["text"] = text.into(),
        Err(_) => object["escaped"] = stored.bytes.escape_ascii().to_string().into(),
    }
    object
}

/// What is known of a message without a look at the rest of the journal.
fn about(output: &Output<'_>, stored: &Stored) -> Value {
    let header = &stored.bytes[..memchr2(b'\r', b'\n', &stored.bytes).unwrap_or(stored.bytes.len())];
    let header = Message::parse(header).ok();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    json!({
        "message": stored.sequence,
        "time": Timestamp::try_from(stored.time).unwrap_or_default().to_string(),
        "from": stored.connection,
        "state": output.standing(stored.sequence).name(),
        "type": header.as_ref().map(|header| text(header.header(9).raw())),
        "id": header.as_ref().map(|header| text(header.control_id())),
        "bytes": stored.bytes.len(),
    })
}

fn row(journal: &Reader, output: &Output<'_>, stored: &Stored, is_alone: bool) -> anyhow::Result<Value> {
    let standing = output.standing(stored.sequence);
    // Looking for the answer reads the journal up to its end: for one message, and for dead letters.
    let note = match is_alone || standing == Standing::Dead {
        true => journal.note(output.name, stored.sequence).map_err(Error::msg)?,
        false => None,
    };
    let mut row = about(output, stored);
    if matches!(note, Some((Outcome::Filtered, _))) {
        row["state"] = "filtered".into();
    }
    row["answer"] = note.map(|(_, note)| String::from_utf8_lossy(&note).into_owned()).into();
    if is_alone {
        row["text"] = String::from_utf8_lossy(&stored.bytes).into();
    }
    Ok(row)
}

fn list(rows: &[Value]) -> String {
    let mut lines =
        vec![["MESSAGE", "TIME", "FROM", "STATE", "TYPE", "CONTROL ID", "BYTES"].map(str::to_owned)];
    for row in rows {
        let text = |name: &str| row[name].as_str().unwrap_or("-").to_owned();
        lines.push([
            row["message"].to_string(),
            text("time"),
            text("from"),
            text("state"),
            text("type"),
            text("id"),
            row["bytes"].to_string(),
        ]);
    }
    columns(&lines)
}

fn whole(stored: &Stored, row: &Value) -> String {
    let mut text = list(std::slice::from_ref(row));
    let segments = |bytes: &[u8]| {
        let segments =
            bytes.split(|byte| matches!(byte, b'\r' | b'\n')).filter(|segment| !segment.is_empty());
        segments.map(|segment| format!("  {}\n", String::from_utf8_lossy(segment))).collect::<String>()
    };
    text += "\n";
    text += &segments(&stored.bytes);
    if let Some(answer) = row["answer"].as_str().filter(|answer| !answer.is_empty()) {
        text +=
            if row["state"] == "filtered" { "\nnot delivered:\n" } else { "\nanswered, or written as:\n" };
        text += &segments(answer.as_bytes());
    }
    text
}
