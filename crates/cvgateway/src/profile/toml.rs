//! Values of a TOML file, each fault with its line and key.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) line: usize,
    pub(super) what: String,
}

/// The text, to find lines in.
#[derive(Clone, Copy)]
pub(super) struct Text<'t>(pub(super) &'t str);

impl<'t> Text<'t> {
    pub(super) fn line(self, offset: usize) -> usize {
        self.0.as_bytes()[..offset.min(self.0.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    pub(super) fn parse(self) -> Result<Spanned<DeTable<'t>>, Fault> {
        DeTable::parse(self.0).map_err(|error| Fault {
            line: self.line(error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        })
    }

    pub(super) fn value<'v>(self, key: &'v str, value: &'v Spanned<DeValue<'t>>) -> Value<'v, 't> {
        Value { text: self, key, value }
    }
}

/// A value and its key.
#[derive(Clone, Copy)]
pub(super) struct Value<'v, 't> {
    text: Text<'t>,
    key: &'v str,
    value: &'v Spanned<DeValue<'t>>,
}

impl<'v, 't> Value<'v, 't> {
    /// The fault of this value.
    pub(super) fn fault(&self, what: impl std::fmt::Display) -> Fault {
        Fault { line: self.text.line(self.value.span().start), what: format!("{}: {what}", self.key) }
    }

    pub(super) fn string(&self) -> Result<String, Fault> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(self.fault("expected a text in quotes")),
        }
    }

    /// A whole number within bounds.
    pub(super) fn number(&self, least: u64, most: u64) -> Result<u64, Fault> {
        let number = match self.value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.fault(format!("expected a whole number from {least} to {most}")))
    }

    pub(super) fn list(&self) -> Result<Vec<Value<'v, 't>>, Fault> {
        match self.value.get_ref() {
            DeValue::Array(values) => {
                Ok(values.iter().map(|value| self.text.value(self.key, value)).collect())
            }
            _ => Err(self.fault("expected a list in square brackets")),
        }
    }

    pub(super) fn strings(&self) -> Result<Vec<String>, Fault> {
        self.list()?.iter().map(Value::string).collect()
    }

    /// The entries of a table.
    pub(super) fn table(&self) -> Result<Vec<(String, Value<'v, 't>)>, Fault> {
        match self.value.get_ref() {
            DeValue::Table(table) => Ok(table
                .iter()
                .map(|(key, value)| {
                    (format!("{}", key.get_ref()), self.text.value(key.get_ref().as_ref(), value))
                })
                .collect()),
            _ => Err(self.fault("expected a table")),
        }
    }
}
