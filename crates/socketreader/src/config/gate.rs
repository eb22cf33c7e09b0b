//! What an outgoing connection makes of messages before its receiver gets them.

use protogen_core::hl7::Filter;

use super::value::Value;

/// The rules of one outgoing connection, in the order in which they are applied.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Gate {
    /// Which messages it wants; `None` for all.
    pub filter: Option<Filter>,
}

impl Gate {
    /// Whether every message goes out as it came.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Gate::default()
    }
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
