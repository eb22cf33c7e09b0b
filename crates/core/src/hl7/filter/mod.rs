//! Which messages are wanted: `MSH-9.1 == ADT and not PV1-2 in (O, P)`.
//!
//! The grammar is described in socketReader.cfg(5). Operators are those of the queries of loincmgr(8).

mod matching;
mod parse;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::fmt;
use std::str::FromStr;

use super::Path;

/// The longest expression, in bytes.
pub const MAX_FILTER: usize = 8192;
/// How deep parentheses and `not` may stand in each other.
pub const MAX_FILTER_DEPTH: usize = 32;
/// The most comparisons of one expression; each value of a list counts.
pub const MAX_FILTER_TESTS: usize = 256;

/// An expression that holds for a message, or does not.
///
/// ```
/// use protogen_core::hl7::{Filter, Message};
/// let filter: Filter = "MSH-9.1 == ADT and PV1-2 != O".parse().unwrap();
/// let message = Message::parse(b"MSH|^~\\&|KIS||||||ADT^A01|1\rPV1|1|I\r").unwrap();
/// assert!(filter.matches(&message));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    expression: Expression,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Expression {
    /// Joined by `or`.
    Any(Vec<Expression>),
    /// Joined by `and`.
    All(Vec<Expression>),
    Not(Box<Expression>),
    /// The path alone: a value that is neither absent nor empty nor null.
    Valued(Path),
    Compare(Path, Operator, String),
    In(Path, Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Begins,
    Contains,
}

const OPERATORS: [(&str, Operator); 4] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("^=", Operator::Begins),
    ("~", Operator::Contains),
];

/// A text is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterError {
    /// The line of the text, from 1.
    pub line: usize,
    /// The character of that line, from 1.
    pub column: usize,
    /// What is wrong, and what could stand there.
    pub what: String,
}

impl fmt::Display for FilterError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FilterError { line, column, what } = self;
        match line {
            1 => write!(f, "character {column}: {what}"),
            _ => write!(f, "its line {line}, character {column}: {what}"),
        }
    }
}

impl Error for FilterError {}

impl FromStr for Filter {
    type Err = FilterError;

    fn from_str(text: &str) -> Result<Filter, FilterError> {
        parse::parse(text)
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expression.write(f)
    }
}

impl Expression {
    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Any(parts) => join(f, parts, " or "),
            Expression::All(parts) => join(f, parts, " and "),
            Expression::Not(inner) => {
                f.write_str("not ")?;
                inner.write_as_part(f)
            }
            Expression::Valued(path) => write!(f, "{path}"),
            Expression::Compare(path, operator, value) => {
                let sign = OPERATORS.iter().find(|(_, one)| one == operator).map_or("==", |(sign, _)| sign);
                write!(f, "{path} {sign} {}", Quoted(value))
            }
            Expression::In(path, values) => {
                write!(f, "{path} in (")?;
                for (index, value) in values.iter().enumerate() {
                    write!(f, "{}{}", if index > 0 { ", " } else { "" }, Quoted(value))?;
                }
                f.write_str(")")
            }
        }
    }

    /// In parentheses where it needs them within another.
    fn write_as_part(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::Any(_) | Expression::All(_) => {
                f.write_str("(")?;
                self.write(f)?;
                f.write_str(")")
            }
            _ => self.write(f),
        }
    }
}

fn join(f: &mut fmt::Formatter<'_>, parts: &[Expression], word: &str) -> fmt::Result {
    for (index, part) in parts.iter().enumerate() {
        f.write_str(if index > 0 { word } else { "" })?;
        part.write_as_part(f)?;
    }
    Ok(())
}

/// A value as it is written: no value has both kinds of quotes.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.contains('"') {
            true => write!(f, "'{}'", self.0),
            false => write!(f, "\"{}\"", self.0),
        }
    }
}
