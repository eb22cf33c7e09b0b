//! Queries: clauses of a field, an operator and a value, joined by "and". The first names the key or an indexed field
//! and is looked up; the others are tried on what it finds.

use std::fmt;
use std::ops::ControlFlow;

use crate::store::StoreError;
use crate::table::{Field, Index, Kind, Row, Table};

/// What the rows must fulfil.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Query {
    clauses: Vec<Clause>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Clause {
    place: usize,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    Begins,
}

const OPERATORS: [(&str, Operator); 4] = [
    ("==", Operator::Equal),
    ("!=", Operator::NotEqual),
    ("~", Operator::Contains),
    ("^=", Operator::Begins),
];

/// What is wrong with a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueryError(String);

impl fmt::Display for QueryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for QueryError {}

impl Query {
    /// Reads clauses, three words each, for a table of this kind. Fields go by name in any case or by number from 1.
    ///
    /// # Errors
    /// Names the word and what was expected.
    pub fn parse<S: AsRef<str>>(kind: &impl Kind, words: &[S]) -> Result<Query, QueryError> {
        let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
        if words.is_empty() || !words.len().is_multiple_of(3) {
            return Err(QueryError(format!(
                "{} words, expected FIELD OP VALUE, three for each clause (a value with blanks is quoted)",
                words.len()
            )));
        }
        let clauses =
            words.chunks(3).map(|clause| parse_clause(kind, clause)).collect::<Result<Vec<_>, _>>()?;
        let first = &clauses[0];
        let field = &kind.fields()[first.place];
        if first.place > 0 && field.index == Index::None {
            let names = indexed(kind.fields());
            return Err(QueryError(format!(
                "{} is not indexed; the first clause is on the key or an indexed field: {names}",
                field.name
            )));
        }
        match first.operator {
            Operator::Equal | Operator::Begins if first.value.is_empty() => {
                Err(QueryError("an empty value cannot be looked up; the first clause needs one".into()))
            }
            Operator::Equal | Operator::Begins => Ok(Query { clauses }),
            Operator::NotEqual | Operator::Contains => {
                Err(QueryError("the first clause is looked up: its operator is == or ^=".into()))
            }
        }
    }

    /// The value that the first clause looks for in the key, if it does.
    #[must_use]
    pub fn key(&self) -> Option<&str> {
        let first = self.clauses.first()?;
        (first.place == 0 && first.operator == Operator::Equal).then_some(&first.value)
    }

    /// Hands the rows that fulfil all clauses to `each`, in the order of their keys, until it breaks off.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn run<K: Kind>(
        &self,
        table: &Table<K>,
        mut each: impl FnMut(Row) -> ControlFlow<()>,
    ) -> Result<(), StoreError> {
        let Some(first) = self.clauses.first() else { return Ok(()) };
        let value = first.value.as_bytes();
        let keys = match first.operator {
            Operator::Equal if first.place == 0 => Vec::from_iter(table.kind().key(&first.value)),
            Operator::Equal => table.reader().with_term(first.place as u8, value)?,
            _ => table.reader().with_term_start(first.place as u8, value)?,
        };
        for key in keys {
            let rows = table.rows_of(&[key])?;
            for row in rows.into_iter().filter(|row| self.fits(table.kind().fields(), row)) {
                if each(row).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn fits(&self, fields: &[Field], row: &Row) -> bool {
        // The key was looked up by its own rule: a unit's code is found in any case.
        let clauses = self.clauses.iter().skip(usize::from(self.key().is_some()));
        clauses.into_iter().all(|clause| clause.fits(&fields[clause.place], row.field(clause.place)))
    }
}

impl Clause {
    fn fits(&self, field: &Field, value: &str) -> bool {
        let mut terms = field.terms(value);
        match self.operator {
            Operator::Equal => value == self.value || terms.any(|term| term == self.value),
            Operator::NotEqual => value != self.value && terms.all(|term| term != self.value),
            Operator::Begins => terms.any(|term| term.starts_with(&self.value)),
            Operator::Contains => value.contains(&self.value),
        }
    }
}

fn parse_clause(kind: &impl Kind, words: &[&str]) -> Result<Clause, QueryError> {
    let [field, operator, value] = words else { return Err(QueryError("a clause has three words".into())) };
    let place = place_of(kind.fields(), field)?;
    let operator = OPERATORS.iter().find(|(sign, _)| sign == operator).map(|(_, operator)| *operator);
    let operator = operator.ok_or_else(|| {
        let home = if words[1].starts_with('/') { " (quote ~ for the shell: '~')" } else { "" };
        QueryError(format!("{:?} is no operator, expected ==, !=, ~ or ^={home}", words[1]))
    })?;
    Ok(Clause { place, operator, value: (*value).to_owned() })
}

/// The place of a field, by its name in any case or its number from 1.
///
/// # Errors
/// Lists the names.
pub fn place_of(fields: &[Field], name: &str) -> Result<usize, QueryError> {
    let number = name.parse::<usize>().ok().filter(|number| (1..=fields.len()).contains(number));
    let place =
        number.map(|number| number - 1).or_else(|| fields.iter().position(|field| field.is_called(name)));
    place.ok_or_else(|| {
        let names: Vec<&str> = fields.iter().map(|field| field.name).collect();
        QueryError(format!(
            "{name:?} is no field, expected 1 to {} or one of {}",
            fields.len(),
            names.join(", ")
        ))
    })
}

fn indexed(fields: &[Field]) -> String {
    let indexed =
        fields.iter().enumerate().filter(|(place, field)| *place == 0 || field.index != Index::None);
    indexed.map(|(_, field)| field.name).collect::<Vec<_>>().join(", ")
}
