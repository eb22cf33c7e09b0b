//! Units of measure: the table of codes, and conversion.
//!
//! `units.tab` gives local codes, the ISO+ codes of HL7 (chapter 7) and CareVue's their meaning as UCUM expressions;
//! see units.tab(5). A code that is in no row is tried as UCUM, case-sensitive first.

mod convert;
mod decimal;
#[cfg(test)]
mod tests;
mod unit;

use octofhir_ucum::Case;

pub use convert::{Constant, ConvertError, convert};
pub use decimal::{parse_decimal, round_and_print};
pub use rust_decimal::Decimal;
pub use unit::{Unit, UnitError};

use crate::read::{Notices, Source, lines, utf8};
use crate::store::StoreError;
use crate::table::{Field, Kind, Row, Table};

const FIELDS: &[Field] =
    &[Field::indexed("CODE", &[]), Field::indexed("UCUM", &["EXPRESSION"]), Field::indexed("NAME", &[])];

/// `units.tab` and `units.db`: `CODE` TAB `UCUM expression` TAB `name`, `#` comments; codes in any case.
#[derive(Debug, Clone, Copy, Default)]
pub struct Units;

impl Kind for Units {
    fn database(&self) -> &'static str {
        "units.db"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn key(&self, text: &str) -> Option<Vec<u8>> {
        (!text.is_empty() && !text.contains('\0')).then(|| text.to_lowercase().into_bytes())
    }

    fn read(
        &self,
        source: &mut Source,
        notices: &mut Notices<'_>,
        each: &mut dyn FnMut(u32, Row, &mut Notices<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        lines(source, notices, |number, line, notices| match parse(line) {
            Ok(Some(row)) => each(number, row, notices),
            Ok(None) => Ok(()),
            Err(why) => {
                notices.error(number, why);
                Ok(())
            }
        })
    }

    fn write(&self, row: &Row, to: &mut Vec<u8>) {
        for (at, field) in row.fields().enumerate() {
            if at > 0 {
                to.push(b'\t');
            }
            to.extend_from_slice(field.as_bytes());
        }
        to.push(b'\n');
    }
}

/// A row, `None` for a comment or an empty line.
fn parse(line: &[u8]) -> Result<Option<Row>, String> {
    let line = utf8(line)?;
    if line.trim_ascii().is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let fields: Vec<&str> = line.split('\t').map(str::trim_ascii).collect();
    let [code, expression, name] = fields[..] else {
        return Err(format!(
            "{} columns, expected 3 separated by TAB: code, UCUM expression, name",
            fields.len()
        ));
    };
    if code.is_empty() || code.contains(char::is_whitespace) || code.starts_with('#') {
        return Err(format!("column 1: {code:?}, expected a unit's code without blanks and # before it"));
    }
    Unit::from_ucum(code, expression, Case::Sensitive)
        .map_err(|error| format!("column 2: {expression:?} is no UCUM expression: {}", error.why))?;
    Ok(Some(Row::of([code, expression, name])))
}

impl Unit {
    /// The unit of a UCUM expression as people type it: case-sensitive, else in any case. Codes of the units table are
    /// not known here; see [`Table::unit`].
    ///
    /// # Errors
    /// It is no UCUM expression.
    pub fn parse(code: &str) -> Result<Unit, UnitError> {
        if code.is_empty() {
            return Err(UnitError {
                code: String::new(),
                why: "an empty code; write 1 for a plain number".into(),
            });
        }
        Unit::from_ucum(code, code, Case::Sensitive).or_else(|error| {
            Unit::from_ucum(code, code, Case::Insensitive).map_err(|_| UnitError {
                why: format!("it is in no row of the units table, and no UCUM expression ({})", error.why),
                ..error
            })
        })
    }
}

impl Table<Units> {
    /// The unit that a code stands for: by the table, else as UCUM, case-sensitive and then not.
    ///
    /// # Errors
    /// The code is neither. A table that cannot be read is an error of its own kind.
    pub fn unit(&self, code: &str) -> Result<Result<Unit, UnitError>, StoreError> {
        match self.get(code)? {
            Some(row) => Ok(Unit::from_ucum(code, row.field(1), Case::Sensitive)),
            None => Ok(Unit::parse(code)),
        }
    }
}
