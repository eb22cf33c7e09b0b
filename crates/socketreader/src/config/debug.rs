//! `debug`: a Python dictionary of what a connection does wrong on purpose (manual, 4.3).
//!
//! The original's list of keys is lost: a key that is not ours is a warning.

use std::time::Duration;

use super::Debug;
use super::python::{Literal, literal};
use super::value::Value;

/// The keys, in the order of the manual page.
pub const KEYS: [&str; 6] = ["dump", "noack", "nack", "delayack", "drop", "slow"];

/// The dictionary, and its keys that are not known. A value may stand in quotes, as in the manual's example.
pub fn read(value: Value<'_>) -> Result<(Debug, Vec<String>), String> {
    let mut debug = Debug::default();
    let mut unknown = Vec::new();
    if value.0.is_empty() {
        return Ok((debug, unknown));
    }
    let rule = "must be a dictionary such as {\"dump\":True, \"delayack\":2}";
    let Literal::Dict(entries) = literal(value.0)? else { return Err(rule.into()) };
    for (key, value) in &entries {
        let Literal::Text(key) = key else { return Err(format!("{rule}, with keys in quotes")) };
        let key = super::ini::text(key);
        let text = shown(value);
        let value = Value(text.as_bytes());
        let set = match key.as_str() {
            "dump" => value.boolean().map(|on| debug.dump = on),
            "noack" => value.boolean().map(|on| debug.noack = on),
            "nack" => value.boolean().map(|on| debug.nack = on),
            "delayack" => value.seconds(0.0..=3600.0).map(|time: Duration| debug.delayack = time),
            "drop" => value.number(0..=100).map(|percent| debug.drop = percent),
            "slow" => value.number(1..=1_000_000_000).map(|rate| debug.slow = Some(rate)),
            _ => {
                unknown.push(key.clone());
                Ok(())
            }
        };
        set.map_err(|rule| format!("key \"{key}\" {rule}"))?;
    }
    Ok((debug, unknown))
}

/// The names of the keys that make the connection misbehave as a peer sees it.
pub fn active(debug: &Debug) -> Vec<&'static str> {
    let on = [debug.noack, debug.nack, !debug.delayack.is_zero(), debug.drop > 0, debug.slow.is_some()];
    KEYS[1..].iter().zip(on).filter(|(_, on)| *on).map(|(key, _)| *key).collect()
}

/// A literal as its text without quotes; what is no single value gives a text that no rule takes.
fn shown(literal: &Literal) -> String {
    match literal {
        Literal::Text(bytes) => super::ini::text(bytes),
        Literal::Bool(true) => "True".into(),
        Literal::Bool(false) => "False".into(),
        Literal::Number(number) => number.to_string(),
        Literal::None => "None".into(),
        Literal::List(_) | Literal::Dict(_) => "[]".into(),
    }
}
