//! What the fuzz targets check, for any bytes.

use std::io::Cursor;
use std::path::Path;

use crate::read::{Notice, Notices, Source};
use crate::table::{Kind, Row};

/// Reads the bytes as a table file: rows have the fields of their kind, a key and no NUL, every error names a line, and
/// what is written of the rows is read as the same rows.
///
/// # Panics
/// When one of that is not so.
pub fn read_and_write(kind: &impl Kind, bytes: &[u8]) {
    let (rows, notices) = read(kind, bytes);
    assert!(notices.iter().filter(|notice| notice.error).all(|notice| notice.line > 0), "{notices:?}");
    let mut written = Vec::new();
    for row in &rows {
        assert!(row.fields().count() >= kind.fields().len(), "{row:?}");
        assert!(kind.key(row.field(0)).is_some(), "{row:?}");
        kind.write(row, &mut written);
    }
    let (again, notices) = read(kind, &written);
    assert_eq!(rows, again, "{}\n{notices:?}", written.escape_ascii());
}

fn read(kind: &impl Kind, bytes: &[u8]) -> (Vec<Row>, Vec<Notice>) {
    let mut notices = Vec::new();
    let mut rows = Vec::new();
    let mut tell = |notice: &Notice| notices.push(notice.clone());
    let mut source = Source::new(Path::new("fuzz"), Cursor::new(bytes.to_vec()));
    let read = kind.read(&mut source, &mut Notices::new(&mut tell), &mut |_, row, _| {
        rows.push(row);
        Ok(())
    });
    assert!(read.is_ok(), "{read:?}");
    (rows, notices)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab_event_info::{Charset, LabEventInfos};
    use crate::loinc::Loinc;
    use crate::units::Units;
    use proptest::prelude::*;

    fn all(bytes: &[u8]) {
        read_and_write(&Loinc, bytes);
        read_and_write(&LabEventInfos::default(), bytes);
        read_and_write(&LabEventInfos { charset: Charset::Latin1 }, bytes);
        read_and_write(&Units, bytes);
    }

    proptest! {
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            all(&bytes);
        }

        #[test]
        fn bytes_that_tables_are_made_of(text in "(LOINC_NUM,COMPONENT\n)?([19\"\t:#.,a-]|\n|\r\n|\"\"|\u{e4}|kg|mmol/L){0,120}") {
            all(text.as_bytes());
        }

        #[test]
        fn rows_with_something_in_them(fields in proptest::collection::vec("[^\0\r\n]{0,6}", 24), number in 1u32..99_999_999, extra in any::<u8>()) {
            let mut line = format!("{number}").into_bytes();
            for field in &fields {
                line.push(b'\t');
                crate::read::quote(field, &mut line);
            }
            let (rows, notices) = read(&Loinc, &line);
            prop_assert_eq!(rows.len(), 1, "{:?}", notices);
            prop_assert!(rows[0].fields().skip(1).eq(fields.iter().map(String::as_str)));
            read_and_write(&Loinc, &line);
            let event = [b"\"1-8\":\"".as_slice(), &[extra], b"\":\"a\":b:\"c\":\"\"::::::::0.1:1"].concat();
            read_and_write(&LabEventInfos::default(), &event);
        }
    }
}
