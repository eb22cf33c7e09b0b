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
