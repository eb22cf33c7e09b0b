//! The LOINC table: 25 fields a row, from the tabular form of the manual or from today's CSV files.
//!
//! Rows of the LOINC+ coding system, with numbers that this project gave, may stand beside LOINC's: their keys are
//! `LOINC+:9984-6`. LOINC has issued such numbers itself since.

mod csv;
mod number;
#[cfg(test)]
mod tests;

use std::io::BufRead;
use std::path::Path;

pub use number::{Number, System};

use crate::read::{BOM, Notices, Source, lines, quote, split, utf8};
use crate::store::StoreError;
use crate::table::{Field, Index, Kind, Row, Table};

/// How many fields a row has.
pub const COLUMNS: usize = 25;

/// The fields, by their names in the manual and in LOINC today.
const FIELDS: &[Field; COLUMNS] = &[
    Field::indexed("LOINC_NUM", &[]),
    Field::indexed("MEASURE", &["COMPONENT"]),
    Field::plain("PROPERTY", &[]),
    Field::plain("TIMING", &["TIME_ASPCT"]),
    Field::plain("SPECIMEN", &["SYSTEM"]),
    Field::plain("PRECISION", &["SCALE_TYP"]),
    Field::plain("METHOD", &["METHOD_TYP"]),
    Field { name: "RELAT_NMS", aliases: &["RELATEDNAMES2"], index: Index::Entries },
    Field::indexed("CLASS", &["MCLASS"]),
    Field::indexed("SOURCE", &[]),
    Field::indexed("EUCLIDE_CD", &[]),
    Field::indexed("ASTM_CD", &[]),
    Field::indexed("IUPAC_CD", &[]),
    Field::plain("DT_LAST_CH", &["VersionLastChanged"]),
    Field::plain("COMMENTS", &[]),
    Field::plain("ANSWERLIST", &[]),
    Field::plain("STATUS", &[]),
    Field::plain("SCOPE", &[]),
    Field::plain("SNOMED_CD", &[]),
    Field::plain("VA_CD", &[]),
    Field::indexed("METPATH_CODE", &[]),
    Field::plain("HCFA_CODE", &[]),
    Field::plain("NORM_RANGE", &[]),
    Field::plain("UNITS", &["EXAMPLE_UNITS"]),
    Field::plain("MAP_TO", &[]),
];

/// `LOINC.tab`, `LOINC+.tab`, `Loinc.csv`, `LoincTableCore.csv` and `LOINC.db`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Loinc;

impl Kind for Loinc {
    fn database(&self) -> &'static str {
        "LOINC.db"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    /// By coding system, number and check digit: rows are sorted by number.
    fn key(&self, text: &str) -> Option<Vec<u8>> {
        Number::parse(text).map(|number| number.key().to_vec())
    }

    fn read(
        &self,
        source: &mut Source,
        notices: &mut Notices<'_>,
        each: &mut dyn FnMut(u32, Row, &mut Notices<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let failed = source.failed();
        let start = source.input.fill_buf().map_err(failed)?;
        if let Some(separator) = csv::header_separator(start.strip_prefix(BOM).unwrap_or(start)) {
            return csv::read(source, separator, notices, each);
        }
        let extension = source.extension;
        lines(source, notices, |number, line, notices| match parse(line, extension, number, notices) {
            Ok(row) => each(number, row, notices),
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
            quote(field, to);
        }
        to.push(b'\n');
    }
}

/// A line of the tabular form.
fn parse(line: &[u8], extension: bool, number: u32, notices: &mut Notices<'_>) -> Result<Row, String> {
    if line.is_empty() {
        return Err("an empty line; each line is a row".into());
    }
    let row = split(utf8(line)?, '\t')?;
    let columns = row.fields().count();
    if columns != COLUMNS {
        return Err(format!("{columns} columns, expected {COLUMNS} separated by TAB"));
    }
    let key = numbered(row.field(0), extension, number, notices)?;
    Ok(row.with(0, &key))
}

/// The number as the compiled table has it: with its check digit, in its coding system.
fn numbered(text: &str, extension: bool, line: u32, notices: &mut Notices<'_>) -> Result<String, String> {
    let mut number = Number::parse(text.trim_ascii()).ok_or_else(|| {
        format!("column 1: {text:?}, expected a LOINC number of up to 8 digits with its check digit, such as 5914-7")
    })?;
    if extension {
        number.system = System::LoincPlus;
    }
    let right = number.computed_check_digit();
    if number.check_digit != right {
        notices.warning(
            line,
            format!("{number}: the check digit is wrong, by the rule it is {right}; kept as it is"),
        );
    }
    Ok(number.to_string())
}

/// A row of the LOINC table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record(Row);

impl Record {
    /// The number, with `LOINC+:` before it if the row is of that coding system.
    #[must_use]
    pub fn number(&self) -> &str {
        self.0.field(0)
    }

    /// What is measured, such as `GLUCOSE`.
    #[must_use]
    pub fn measure(&self) -> &str {
        self.0.field(1)
    }

    /// A field by one of its names, in any case; empty if there is none of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        FIELDS.iter().position(|field| field.is_called(name)).map_or("", |place| self.0.field(place))
    }

    /// The row.
    #[must_use]
    pub fn row(&self) -> &Row {
        &self.0
    }
}

/// A coding system that the table has an index for, as HL7 names it in CE-3 (table 0396).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CodingSystem {
    /// `LN`: LOINC's own numbers, never LOINC+.
    Loinc,
    /// `LOINC+`, `L` or empty: the numbers of this project, else LOINC's.
    Local,
    /// `AS4`, `AS4E`: ASTM E1238 codes.
    Astm,
    /// `IUPC`, `IUPP`: IUPAC codes.
    Iupac,
    /// `E`, `EUCLIDES`: EUCLIDES codes.
    Euclides,
    /// `MET`, `METPATH`: MetPath codes.
    MetPath,
}

impl CodingSystem {
    /// The coding system of this name, in any case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<CodingSystem> {
        Some(match name.to_ascii_uppercase().as_str() {
            "LN" => CodingSystem::Loinc,
            "LOINC+" | "L" | "" => CodingSystem::Local,
            "AS4" | "AS4E" => CodingSystem::Astm,
            "IUPC" | "IUPP" => CodingSystem::Iupac,
            "E" | "EUCLIDES" => CodingSystem::Euclides,
            "MET" | "METPATH" => CodingSystem::MetPath,
            _ => return None,
        })
    }

    fn field(self) -> Option<&'static str> {
        match self {
            CodingSystem::Loinc | CodingSystem::Local => None,
            CodingSystem::Astm => Some("ASTM_CD"),
            CodingSystem::Iupac => Some("IUPAC_CD"),
            CodingSystem::Euclides => Some("EUCLIDE_CD"),
            CodingSystem::MetPath => Some("METPATH_CODE"),
        }
    }
}

impl Table<Loinc> {
    /// Opens `LOINC.db` below the code library.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn loinc(codes: &Path) -> Result<Table<Loinc>, StoreError> {
        Table::open(Loinc, codes)
    }

    /// The row of a number, with or without its check digit: `5914-7`, `5914`, `LOINC+:9984-6`.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn record(&self, number: &str) -> Result<Option<Record>, StoreError> {
        Ok(self.get(number)?.map(Record))
    }

    /// The rows that a code stands for in a coding system, in the order of their numbers: more than one where the
    /// foreign code says less than LOINC.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn records(&self, code: &str, system: CodingSystem) -> Result<Vec<Record>, StoreError> {
        let place = system.field().and_then(|name| FIELDS.iter().position(|field| field.name == name));
        if let Some(place) = place {
            return Ok(self.with_term(place, code)?.into_iter().map(Record).collect());
        }
        let Some(number) = Number::parse(code) else { return Ok(Vec::new()) };
        let own = Number { system: System::LoincPlus, ..number };
        let candidates = match (system, number.system) {
            (CodingSystem::Loinc, System::LoincPlus) => vec![],
            (CodingSystem::Loinc, _) => vec![number],
            _ => vec![own, number],
        };
        for candidate in candidates {
            if let Some(record) = self.record(&candidate.to_string())? {
                return Ok(vec![record]);
            }
        }
        Ok(Vec::new())
    }
}
