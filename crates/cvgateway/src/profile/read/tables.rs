//! The keys that are tables.

use std::collections::BTreeMap;
use std::time::Duration;

use protogen_sys::toml_file::{Fault, Value};

use super::super::{Limits, Source, Times, UNKNOWN};
use crate::decide::Event;

/// The segments of an ORU that stand nowhere but before an order's results.
const BEFORE_RESULTS: [[u8; 3]; 9] =
    [*b"PID", *b"PD1", *b"NK1", *b"PV2", *b"ORC", *b"OBR", *b"TQ1", *b"TQ2", *b"CTD"];
/// The highest field of ZDM that a profile may fill.
const MAX_ZDM: usize = 200;

pub(super) fn kept((key, value): (String, Value)) -> Result<(String, Vec<[u8; 3]>), Fault> {
    let event = Event::of_name(key.as_bytes()).is_some();
    if !event && key != "ADT" && key != "ORU" {
        return Err(value.fault("expected ADT, ORU or an event such as A01"));
    }
    let mut segments = Vec::new();
    for one in value.list()? {
        let name = one.string()?;
        let bytes: Option<[u8; 3]> = name.as_bytes().try_into().ok();
        let sound = bytes.filter(|name| name.iter().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()));
        let Some(segment) = sound else {
            return Err(one.fault(format!("{name:?}, expected the name of a segment, such as \"PV1\"")));
        };
        if matches!(&segment, b"MSH" | b"ZDM" | b"OBX") || key == "ORU" && &segment == b"PV1" {
            return Err(
                one.fault(format!("{name} cannot be kept: it is written anew, or CareVue refuses it"))
            );
        }
        if key == "ORU" && !BEFORE_RESULTS.contains(&segment) {
            return Err(one.fault(format!(
                "{name} cannot be kept in its place; expected PID, PD1, NK1, PV2, ORC, OBR, TQ1, TQ2 or CTD"
            )));
        }
        segments.push(segment);
    }
    let needed: &[[u8; 3]] = if key == "ORU" { &[*b"PID", *b"OBR"] } else { &[*b"EVN", *b"PID", *b"PV1"] };
    match needed.iter().find(|name| !segments.contains(name)) {
        Some(name) => Err(value.fault(format!("{} must be kept", String::from_utf8_lossy(name)))),
        None => Ok((key, segments)),
    }
}

pub(super) fn zdm((key, value): (String, Value)) -> Result<(usize, Source), Fault> {
    let field = key.parse().ok().filter(|field| (1..=MAX_ZDM).contains(field));
    let field =
        field.ok_or_else(|| value.fault(format!("expected the number of a field, 1 to {MAX_ZDM}")))?;
    let text = value.string()?;
    let source = Source::parse(&text).map_err(|error| value.fault(format!("{text:?}: {error}")))?;
    Ok((field, source))
}

/// The texts of `[blood-specimen]`, by specimen source in capitals, as sources are compared.
pub(super) fn specimen_texts(value: &Value) -> Result<BTreeMap<String, String>, Fault> {
    let mut texts = BTreeMap::new();
    for (key, text) in value.table()? {
        if texts.insert(key.to_uppercase(), plain(&text)?).is_some() {
            return Err(text.fault("stands twice, for case does not count"));
        }
    }
    match texts.contains_key(UNKNOWN) {
        true => Ok(texts),
        false => Err(value.fault("expected unknown = \"...\", the text of every other specimen source")),
    }
}

/// A text that goes into a message: printable.
fn plain(value: &Value) -> Result<String, Fault> {
    let text = value.string()?;
    match text.chars().any(char::is_control) || text.is_empty() {
        true => Err(value.fault("expected a text without control characters")),
        false => Ok(text),
    }
}

pub(super) fn times(value: &Value, times: &mut Times) -> Result<(), Fault> {
    for (key, value) in value.table()? {
        let slot = match key.as_str() {
            "census" => &mut times.census,
            "commit" => &mut times.commit,
            "connect" => &mut times.connect,
            "answer" => &mut times.answer,
            "idle" => &mut times.idle,
            _ => {
                return Err(
                    value.fault("is no key of [time]; expected census, commit, connect, answer, idle")
                );
            }
        };
        *slot = Duration::from_secs(value.number(1, 3600)?);
    }
    Ok(())
}

pub(super) fn limits(value: &Value, limits: &mut Limits) -> Result<(), Fault> {
    for (key, value) in value.table()? {
        match key.as_str() {
            "connections" => limits.connections = value.number(1, 10_000)? as usize,
            "results" => limits.results = value.number(1, 64)? as usize,
            "message" => limits.message = value.number(1024, 1 << 30)? as usize,
            "journal-days" => limits.journal_days = value.number(1, 36_500)? as u32,
            "repeat-hours" => limits.repeat = Duration::from_secs(value.number(0, 24 * 366)? * 3600),
            _ => {
                return Err(value.fault(
                    "is no key of [limit]; expected connections, results, message, journal-days, repeat-hours",
                ));
            }
        }
    }
    Ok(())
}
