//! The LabEventInfo table: how a result becomes a CareVue lab event. See the manual's node LabEventInfo.tab.

use std::path::Path;

use protogen_core::roman8;
use rust_decimal::Decimal;

use crate::read::{Notices, Source, lines, quote, split};
use crate::store::StoreError;
use crate::table::{Field, Kind, Row, Table};
use crate::units::{parse_decimal, round_and_print};

/// How many columns a row of the file has.
pub const COLUMNS: usize = 15;
/// Where a compiled row keeps the character set that its line was in; empty for UTF-8.
const CHARSET: usize = COLUMNS;

const FIELDS: &[Field; COLUMNS] = &[
    Field::indexed("loinc_num", &[]),
    Field::indexed("labEventClass", &[]),
    Field::indexed("property", &[]),
    Field::indexed("msmt", &[]),
    Field::indexed("unit", &[]),
    Field::plain("constUnit", &[]),
    Field::plain("constValue", &[]),
    Field::plain("minVal", &[]),
    Field::plain("lowAlert", &[]),
    Field::plain("lowNormal", &[]),
    Field::plain("highNormal", &[]),
    Field::plain("highAlert", &[]),
    Field::plain("maxVal", &[]),
    Field::plain("increment", &[]),
    Field::plain("precision", &[]),
];
/// The columns from this one on hold numbers.
const NUMBERS: usize = 6;
/// The most decimals that a result is printed with.
const MAX_PRECISION: u32 = 9;

/// The character set of lines that are not UTF-8.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Charset {
    /// HP Roman-8, which CareVue uses.
    #[default]
    HpRoman8,
    /// ISO-8859-1.
    Latin1,
}

impl Charset {
    /// Every character set, by its name.
    pub const NAMES: [(&'static str, Charset); 2] =
        [("hp-roman8", Charset::HpRoman8), ("latin1", Charset::Latin1)];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Charset::HpRoman8 => "hp-roman8",
            Charset::Latin1 => "latin1",
        }
    }

    fn of_name(name: &str) -> Option<Charset> {
        Charset::NAMES.into_iter().find(|(own, _)| *own == name).map(|(_, charset)| charset)
    }

    /// The text of these bytes.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> String {
        match self {
            Charset::HpRoman8 => roman8::decode(bytes),
            Charset::Latin1 => bytes.iter().map(|byte| char::from(*byte)).collect(),
        }
    }

    /// The bytes of a text.
    ///
    /// # Errors
    /// The first character that the set does not have.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, char> {
        match self {
            Charset::HpRoman8 => roman8::encode(text),
            Charset::Latin1 => text.chars().map(|c| u8::try_from(c).map_err(|_| c)).collect(),
        }
    }
}

/// `LabEventInfo.tab` and `LabEventInfo.db`: 15 colon-separated columns, `#` comments.
#[derive(Debug, Clone, Copy, Default)]
pub struct LabEventInfos {
    /// The character set of lines that are not UTF-8. They are written back as they came.
    pub charset: Charset,
}

impl Kind for LabEventInfos {
    fn database(&self) -> &'static str {
        "LabEventInfo.db"
    }

    fn fields(&self) -> &'static [Field] {
        FIELDS
    }

    fn key(&self, text: &str) -> Option<Vec<u8>> {
        (!text.is_empty() && !text.contains('\0')).then(|| text.as_bytes().to_vec())
    }

    fn read(
        &self,
        source: &mut Source,
        notices: &mut Notices<'_>,
        each: &mut dyn FnMut(u32, Row, &mut Notices<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        lines(source, notices, |number, line, notices| match self.parse(line, number, notices) {
            Ok(Some(row)) => each(number, row, notices),
            Ok(None) => Ok(()),
            Err(why) => {
                notices.error(number, why);
                Ok(())
            }
        })
    }

    fn write(&self, row: &Row, to: &mut Vec<u8>) {
        let mut line = Vec::new();
        for (at, field) in row.fields().take(COLUMNS).enumerate() {
            if at > 0 {
                line.push(b':');
            }
            match at {
                ..NUMBERS => quote(field, &mut line),
                _ => line.extend_from_slice(field.as_bytes()),
            }
        }
        let text = String::from_utf8_lossy(&line);
        let encoded = Charset::of_name(row.field(CHARSET)).and_then(|charset| charset.encode(&text).ok());
        to.extend_from_slice(encoded.as_deref().unwrap_or(&line));
        to.push(b'\n');
    }
}

impl LabEventInfos {
    /// A row, `None` for a comment or an empty line.
    fn parse(&self, line: &[u8], number: u32, notices: &mut Notices<'_>) -> Result<Option<Row>, String> {
        if line.trim_ascii().is_empty() || line.starts_with(b"#") {
            return Ok(None);
        }
        let (text, charset) = match std::str::from_utf8(line) {
            Ok(text) => (text.to_owned(), ""),
            Err(_) => (self.charset.decode(line), self.charset.name()),
        };
        if text.contains('\u{FFFD}') {
            return Err(format!("a byte that is no character of {}", self.charset.name()));
        }
        let fields = split(&text, ':')?;
        let columns = fields.fields().count();
        if columns < COLUMNS || fields.fields().skip(COLUMNS).any(|extra| !extra.is_empty()) {
            return Err(format!("{columns} columns, expected {COLUMNS} separated by colons"));
        }
        if columns > COLUMNS {
            notices.warning(
                number,
                format!("{columns} columns, expected {COLUMNS}; the last ones are empty and left out"),
            );
        }
        let row = Row::of(fields.fields().take(COLUMNS).chain([charset]));
        LabEventInfo::of(&row)?;
        Ok(Some(row))
    }
}

/// A row, understood. Two boundaries that are equal are off; an increment of 0 does not round.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabEventInfo {
    /// The LOINC number, or another observation id such as `BGATEMPA`.
    pub loinc_num: String,
    /// CareVue's LabEventClass. Without one the row is no lab event: an admit observation, or a pointer to other rows.
    pub lab_event_class: Option<String>,
    /// The property of that class, usually `value1`; `*BGATEMP*` sends the reader to `BGATEMPA` or `BGATEMPV`.
    pub property: Option<String>,
    /// CareVue's MsmtClass; `H`, `W` and `S` for the admit observations.
    pub msmt: Option<String>,
    /// The code of the unit that CareVue expects; see [`crate::units`].
    pub unit: Option<String>,
    /// The constant between mass and amount of substance and the code of its unit, such as 39.0983 g/mol.
    pub constant: Option<(Decimal, String)>,
    /// What CareVue accepts; a value outside is not sent.
    pub allowed: Bounds,
    /// The alarm boundaries.
    pub alert: Bounds,
    /// The reference range.
    pub normal: Bounds,
    /// What values are rounded to a multiple of, in `unit`.
    pub increment: Decimal,
    /// How many decimals are printed, 0 to 9.
    pub precision: u32,
}

/// A lower and an upper boundary, in the row's unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Bounds {
    /// The lower one.
    pub low: Decimal,
    /// The upper one.
    pub high: Decimal,
}

impl Bounds {
    /// Whether they are checked at all: equal ones are off.
    #[must_use]
    pub fn are_on(&self) -> bool {
        self.low != self.high
    }

    /// Whether a value is below the lower boundary, where they are on.
    #[must_use]
    pub fn is_below(&self, value: Decimal) -> bool {
        self.are_on() && value < self.low
    }

    /// Whether a value is above the upper boundary, where they are on.
    #[must_use]
    pub fn is_above(&self, value: Decimal) -> bool {
        self.are_on() && value > self.high
    }
}

impl LabEventInfo {
    /// Reads a row of the table.
    ///
    /// # Errors
    /// Names the column and what was expected in it.
    pub fn of(row: &Row) -> Result<LabEventInfo, String> {
        let text = |place: usize| Some(row.field(place).to_owned()).filter(|text| !text.is_empty());
        let number = |place: usize| match row.field(place) {
            "" => Ok(Decimal::ZERO),
            text => parse_decimal(text).ok_or_else(|| {
                format!(
                    "column {} ({}): {text:?}, expected a number such as 0.5",
                    place + 1,
                    FIELDS[place].name
                )
            }),
        };
        let bounds = |low: usize, high: usize| {
            let bounds = Bounds { low: number(low)?, high: number(high)? };
            match bounds.low > bounds.high {
                true => Err(format!("{} is above {}", FIELDS[low].name, FIELDS[high].name)),
                false => Ok(bounds),
            }
        };
        let loinc_num = text(0).ok_or("column 1 (loinc_num): empty, expected an observation id")?;
        if let Some(place) = (0..NUMBERS).find(|place| row.field(*place).chars().any(char::is_control)) {
            return Err(format!("column {} ({}): a control character", place + 1, FIELDS[place].name));
        }
        let constant = match (number(6)?, text(5)) {
            (value, None) if value.is_zero() => None,
            (value, Some(unit)) if value > Decimal::ZERO => Some((value, unit)),
            _ => return Err(
                "columns 6 and 7 (constUnit, constValue): expected a unit with a number above 0, or neither"
                    .into(),
            ),
        };
        let increment = number(13)?;
        if increment < Decimal::ZERO {
            return Err("column 14 (increment): below 0".into());
        }
        let precision = match row.field(14) {
            "" => 0,
            text => text.parse().ok().filter(|digits| *digits <= MAX_PRECISION).ok_or_else(|| {
                format!(
                    "column 15 (precision): {text:?}, expected the number of decimals, 0 to {MAX_PRECISION}"
                )
            })?,
        };
        Ok(LabEventInfo {
            loinc_num,
            lab_event_class: text(1),
            property: text(2),
            msmt: text(3),
            unit: text(4),
            constant,
            allowed: bounds(7, 12)?,
            alert: bounds(8, 11)?,
            normal: bounds(9, 10)?,
            increment,
            precision,
        })
    }

    /// Whether its values are text: without a unit and an increment there is no number to convert, round or check.
    #[must_use]
    pub fn is_text(&self) -> bool {
        self.unit.is_none() && self.increment.is_zero()
    }

    /// The value as CareVue takes it: rounded to the increment, half away from zero, with `precision` decimals.
    ///
    /// `None` when that has more than 28 digits.
    #[must_use]
    pub fn print(&self, value: Decimal) -> Option<String> {
        round_and_print(value, self.increment, self.precision)
    }
}

impl Table<LabEventInfos> {
    /// Opens `LabEventInfo.db` below the code library.
    ///
    /// # Errors
    /// As [`Table::open`].
    pub fn lab_event_info(codes: &Path) -> Result<Table<LabEventInfos>, StoreError> {
        Table::open(LabEventInfos::default(), codes)
    }

    /// The row of an observation id.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub fn info(&self, id: &str) -> Result<Option<LabEventInfo>, StoreError> {
        // What cannot be understood was not loaded.
        Ok(self.get(id)?.and_then(|row| LabEventInfo::of(&row).ok()))
    }
}
