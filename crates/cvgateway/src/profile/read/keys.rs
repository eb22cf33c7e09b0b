//! The keys of a single value or a list.

use protogen_sys::toml_file::{Fault, Value};

use super::super::{Charset, PatientId};
use crate::decide::Event;

pub(super) fn patient_id(value: &Value) -> Result<PatientId, Fault> {
    match value.string()?.as_str() {
        "visit" => Ok(PatientId::Visit),
        "patient" => Ok(PatientId::Patient),
        _ => Err(value.fault("expected \"visit\" or \"patient\"")),
    }
}

pub(super) fn charset(value: &Value) -> Result<Charset, Fault> {
    match value.string()?.as_str() {
        "hp-roman8" => Ok(Charset::HpRoman8),
        "latin1" => Ok(Charset::Latin1),
        "ascii" => Ok(Charset::Ascii),
        _ => Err(value.fault("expected \"hp-roman8\", \"latin1\" or \"ascii\"")),
    }
}

pub(super) fn patterns(value: &Value) -> Result<Vec<glob::Pattern>, Fault> {
    let list = value.list()?;
    if list.is_empty() {
        return Err(value.fault("expected at least one pattern, such as \"60[0-9]-[0-9]\""));
    }
    list.iter()
        .map(|value| {
            let text = value.string()?;
            if text.is_empty() {
                return Err(value.fault("an empty pattern"));
            }
            glob::Pattern::new(&text).map_err(|error| {
                value.fault(format!("{text:?}: {}, at character {}", error.msg, error.pos + 1))
            })
        })
        .collect()
}

/// Codes of specimen sources, which are compared in capitals.
pub(super) fn codes(value: &Value) -> Result<Vec<String>, Fault> {
    Ok(value.strings()?.iter().map(|code| code.to_uppercase()).collect())
}

pub(super) fn ignored(value: &Value) -> Result<Vec<String>, Fault> {
    // ORU and NMD are served whatever their event.
    let is_served = |kind: &str, event: &str| match kind {
        "ORU" | "NMD" => true,
        "ADT" => event.is_empty() || Event::of_name(event.as_bytes()).is_some(),
        _ => false,
    };
    for one in value.list()? {
        let text = one.string()?;
        let (kind, event) = text.split_once('^').unwrap_or((&text, ""));
        let sound = |part: &str| part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
        if kind.len() != 3 || !sound(kind) || !sound(event) {
            return Err(one.fault(format!("{text:?}, expected a type and an event such as \"ADT^A31\"")));
        }
        if is_served(kind, event) {
            return Err(one.fault(format!("{text:?} is what the gateway is for; it cannot be ignored")));
        }
    }
    value.strings()
}

pub(super) fn fields(value: &Value) -> Result<Vec<usize>, Fault> {
    let fields: Result<Vec<usize>, Fault> =
        value.list()?.iter().map(|value| Ok(value.number(1, 100)? as usize)).collect();
    match fields? {
        fields if fields.contains(&3) => Ok(fields),
        _ => Err(value.fault("3, the location, must be sent on")),
    }
}
