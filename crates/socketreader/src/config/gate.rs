//! What an outgoing connection makes of messages before its receiver gets them.

use std::time::Duration;

use protogen_core::hl7::Filter;

use super::value::Value;

/// The rules of one outgoing connection, in the order in which they are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// Which messages it wants; `None` for all.
    pub filter: Option<Filter>,
    /// How long a message is remembered, so that repeats of it are not delivered; zero for not at all.
    pub dedupe: Duration,
    /// What they go through.
    pub pipe: Option<Pipe>,
}

/// A command that messages go through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pipe {
    /// For the shell.
    pub command: String,
    /// How long it may take for one message.
    pub timeout: Duration,
    /// The longest message that it gets and gives, in bytes: that of the inputs.
    pub max_message: usize,
    /// After so many dead letters in a row it makes no more; 0 for any number.
    pub breaker: u32,
}

/// The value of `pipe`; nothing is none.
pub(super) fn command(value: Value<'_>) -> Result<Option<String>, String> {
    // Quotes within it are the shell's.
    let text = super::ini::text(value.unquoted().unwrap_or(value.0));
    if text.contains('\0') {
        return Err("must be a command of the shell".to_owned());
    }
    Ok(Some(text.trim().to_owned()).filter(|command| !command.is_empty()))
}

/// The value of `filter`; nothing is no filter.
pub(super) fn filter(value: Value<'_>) -> Result<Option<Filter>, String> {
    let bytes = value.unquoted().unwrap_or(value.0);
    let text = super::ini::text(bytes);
    if text.trim().is_empty() {
        return Ok(None);
    }
    text.parse::<Filter>().map(Some).map_err(|error| error.to_string())
}
