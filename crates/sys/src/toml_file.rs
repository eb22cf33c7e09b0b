//! Values of a TOML file, each fault with its line and key.

use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line, from 1.
    pub line: usize,
    /// The key, and what was expected.
    pub what: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.line, self.what)
    }
}

impl std::error::Error for Fault {}

/// The text, to find lines in.
#[derive(Debug, Clone, Copy)]
pub struct Text<'t>(pub &'t str);

impl<'t> Text<'t> {
    /// The line of a byte, from 1.
    #[must_use]
    pub fn line(self, offset: usize) -> usize {
        self.0.as_bytes()[..offset.min(self.0.len())].iter().filter(|byte| **byte == b'\n').count() + 1
    }

    /// Reads the file's table.
    ///
    /// # Errors
    /// Where it is no TOML.
    pub fn parse(self) -> Result<Spanned<DeTable<'t>>, Fault> {
        DeTable::parse(self.0).map_err(|error| Fault {
            line: self.line(error.span().map_or(0, |span| span.start)),
            what: error.message().to_owned(),
        })
    }

    /// A value of the table and its key.
    #[must_use]
    pub fn value<'v>(self, key: &'v str, value: &'v Spanned<DeValue<'t>>) -> Value<'v, 't> {
        Value { text: self, key, value }
    }
}

/// The text of a file's bytes.
///
/// # Errors
/// The line with what is no UTF-8.
pub fn text_of(bytes: Vec<u8>) -> Result<String, Fault> {
    String::from_utf8(bytes).map_err(|error| {
        let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
        Fault { line, what: "this is not UTF-8".to_owned() }
    })
}

/// A value and its key.
#[derive(Debug, Clone, Copy)]
pub struct Value<'v, 't> {
    text: Text<'t>,
    key: &'v str,
    value: &'v Spanned<DeValue<'t>>,
}

impl<'v, 't> Value<'v, 't> {
    /// The fault of this value.
    pub fn fault(&self, what: impl fmt::Display) -> Fault {
        Fault { line: self.text.line(self.value.span().start), what: format!("{}: {what}", self.key) }
    }

    /// Whether this is a table.
    #[must_use]
    pub fn is_table(&self) -> bool {
        matches!(self.value.get_ref(), DeValue::Table(_))
    }

    /// A text.
    ///
    /// # Errors
    /// Where it is something else; so with the others.
    pub fn string(&self) -> Result<String, Fault> {
        match self.value.get_ref() {
            DeValue::String(text) => Ok(text.to_string()),
            _ => Err(self.fault("expected a text in quotes")),
        }
    }

    /// `true` or `false`.
    ///
    /// # Errors
    /// Anything else.
    pub fn boolean(&self) -> Result<bool, Fault> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Ok(*value),
            _ => Err(self.fault("expected true or false")),
        }
    }

    /// A whole number within bounds.
    ///
    /// # Errors
    /// Anything else.
    pub fn number(&self, least: u64, most: u64) -> Result<u64, Fault> {
        let number = match self.value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.fault(format!("expected a whole number from {least} to {most}")))
    }

    /// A number within bounds, with a decimal point or without.
    ///
    /// # Errors
    /// Anything else.
    pub fn decimal(&self, least: f64, most: f64) -> Result<f64, Fault> {
        let number: Option<f64> = match self.value.get_ref() {
            DeValue::Integer(number) => number.as_str().parse().ok(),
            DeValue::Float(number) => number.as_str().parse().ok(),
            _ => None,
        };
        let number = number.filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| self.fault(format!("expected a number from {least} to {most}")))
    }

    /// The entries of a list.
    ///
    /// # Errors
    /// Where it is none.
    pub fn list(&self) -> Result<Vec<Value<'v, 't>>, Fault> {
        match self.value.get_ref() {
            DeValue::Array(values) => {
                Ok(values.iter().map(|value| self.text.value(self.key, value)).collect())
            }
            _ => Err(self.fault("expected a list in square brackets")),
        }
    }

    /// A list of texts.
    ///
    /// # Errors
    /// Anything else.
    pub fn strings(&self) -> Result<Vec<String>, Fault> {
        self.list()?.iter().map(Value::string).collect()
    }

    /// The entries of a table.
    ///
    /// # Errors
    /// Where it is none.
    pub fn table(&self) -> Result<Vec<(String, Value<'v, 't>)>, Fault> {
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
