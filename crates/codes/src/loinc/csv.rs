//! Files with a header line that names their columns: `Loinc.csv` and `LoincTableCore.csv` as LOINC publishes them.

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

use ::csv::{ByteRecord, ReaderBuilder};

use super::{COLUMNS, FIELDS, numbered};
use crate::read::{BOM, Notices, Source};
use crate::store::StoreError;
use crate::table::{MAX_ROW, Row};

/// The longest record, in bytes: today's have many columns that we drop. A quote that is never closed is found out here.
const MAX_RECORD: u64 = 1 << 20;

/// What separates the columns, if a file begins with the name of our first column.
pub(super) fn header_separator(start: &[u8]) -> Option<u8> {
    let name = start.strip_prefix(b"\"").unwrap_or(start);
    let (name, rest) = name.split_at_checked("LOINC_NUM".len())?;
    let rest = rest.strip_prefix(b"\"").unwrap_or(rest);
    let separator = rest.first().copied().filter(|byte| matches!(byte, b',' | b'\t'));
    separator.filter(|_| name.eq_ignore_ascii_case(b"LOINC_NUM"))
}

/// Reads the file by its header. Columns that we have no field for are dropped, and counted in a warning.
pub(super) fn read(
    source: &mut Source,
    separator: u8,
    notices: &mut Notices<'_>,
    each: &mut dyn FnMut(u32, Row, &mut Notices<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = source.failed();
    let extension = source.extension;
    let since = Rc::new(Cell::new(0));
    let input = Bounded { input: &mut source.input, since: Rc::clone(&since) };
    let mut reader =
        ReaderBuilder::new().delimiter(separator).has_headers(false).flexible(true).from_reader(input);
    let mut record = ByteRecord::new();
    let mut places: Option<Vec<Option<usize>>> = None;
    let mut columns = 0;
    loop {
        since.set(0);
        // A quoted field may hold line ends: the record begins behind the one before.
        let line = line_of(reader.position(), record.is_empty());
        match reader.read_byte_record(&mut record) {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => {
                let error = match error.into_kind() {
                    ::csv::ErrorKind::Io(error) => error,
                    other => io::Error::other(format!("{other:?}")),
                };
                if error.kind() != io::ErrorKind::FileTooLarge {
                    return Err(failed(error));
                }
                notices.error(
                    line,
                    format!("the record is longer than {MAX_RECORD} bytes: is a quote (\") not closed?"),
                );
                return Ok(());
            }
        }
        let line = record.position().map_or(line, |position| position.line() as u32);
        let Some(places) = &places else {
            columns = record.len();
            match header(&record, notices) {
                Ok(found) => places = Some(found),
                Err(why) => {
                    notices.error(line, why);
                    return Ok(());
                }
            }
            continue;
        };
        if record.len() != columns {
            notices.error(line, format!("{} columns, expected {columns} as the header has", record.len()));
            continue;
        }
        match row(&record, places, extension, line, notices) {
            Ok(row) => each(line, row, notices)?,
            Err(why) => notices.error(line, why),
        }
    }
}

fn line_of(position: &::csv::Position, first: bool) -> u32 {
    if first { 1 } else { position.line() as u32 }
}

/// Which of our fields each column is.
fn header(record: &ByteRecord, notices: &mut Notices<'_>) -> Result<Vec<Option<usize>>, String> {
    let mut places = Vec::with_capacity(record.len());
    for name in record {
        let name = String::from_utf8_lossy(name.strip_prefix(BOM).unwrap_or(name)).into_owned();
        let place = FIELDS.iter().position(|field| field.is_called(name.trim_matches(['"', ' '])));
        if place.is_some() && places.contains(&place) {
            return Err(format!(
                "column {}: {name} stands for a field that another column has",
                places.len() + 1
            ));
        }
        places.push(place);
    }
    match places.iter().filter(|place| place.is_none()).count() {
        0 => {}
        dropped => notices.warning(
            1,
            format!("{dropped} of {} columns have no field in the table and are dropped", record.len()),
        ),
    }
    Ok(places)
}

fn row(
    record: &ByteRecord,
    places: &[Option<usize>],
    extension: bool,
    line: u32,
    notices: &mut Notices<'_>,
) -> Result<Row, String> {
    let mut fields = [""; COLUMNS];
    for (column, (value, place)) in record.iter().zip(places).enumerate() {
        let Some(place) = place else { continue };
        let why = |what: &str| format!("column {}: {what}", column + 1);
        let value = std::str::from_utf8(value).map_err(|_| {
            why("not UTF-8; if the file is Latin-1, iconv -f ISO-8859-1 -t UTF-8 makes it so")
        })?;
        if value.contains('\0') {
            return Err(why("NUL; a table holds text only"));
        }
        fields[*place] = value;
    }
    if fields.iter().map(|field| field.len() + 3).sum::<usize>() > MAX_ROW {
        return Err(format!("the row is longer than {MAX_ROW} bytes"));
    }
    let key = numbered(fields[0], extension, line, notices)?;
    let mut row = Row::default();
    for (place, field) in fields.into_iter().enumerate() {
        match place {
            0 => row.push(&key),
            _ if field.contains(['\r', '\n']) => {
                notices.warning(line, format!("{}: line ends in it become blanks", FIELDS[place].name));
                row.push(&field.replace("\r\n", " ").replace(['\r', '\n'], " "));
            }
            _ => row.push(field),
        }
    }
    Ok(row)
}

/// Ends in an error when too much is read for one record.
struct Bounded<R> {
    input: R,
    /// Bytes read since the record began.
    since: Rc<Cell<u64>>,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.since.get() > MAX_RECORD {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let count = self.input.read(buffer)?;
        self.since.set(self.since.get() + count as u64);
        Ok(count)
    }
}
