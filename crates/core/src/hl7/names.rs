//! The names of fields, from `data/fields.tsv`: the segments of HL7 v2.1 to v2.8.2 and CareVue's ZDM.

use std::collections::HashMap;
use std::sync::LazyLock;

/// What HL7 calls a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldName {
    /// The name, as "Patient Name".
    pub name: &'static str,
    /// The data type, as "XPN"; "varies" where another field tells.
    pub data_type: &'static str,
    /// The field may repeat.
    pub repeats: bool,
}

static TABLE: LazyLock<HashMap<(&str, usize), FieldName>> =
    LazyLock::new(|| rows(include_str!("../../data/fields.tsv")).flatten().collect());

type Row = ((&'static str, usize), FieldName);

fn rows(text: &'static str) -> impl Iterator<Item = Option<Row>> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut columns = line.split('\t');
        let key = (columns.next()?, columns.next()?.parse().ok()?);
        let data_type = columns.next()?;
        let repeats = columns.next()? == "*";
        Some((key, FieldName { name: columns.next()?, data_type, repeats }))
    })
}

/// The name of field `n` of a segment, if HL7 has one.
pub fn field_name(segment: &[u8], n: usize) -> Option<FieldName> {
    TABLE.get(&(std::str::from_utf8(segment).ok()?, n)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read() {
        let text = include_str!("../../data/fields.tsv");
        assert!(rows(text).all(|row| row.is_some()));
        assert_eq!(rows(text).count(), TABLE.len(), "no row twice");
        assert!(TABLE.len() > 2500);
    }

    #[test]
    fn names_engineers_know() {
        for (segment, n, name) in [
            ("MSH", 1, "Field Separator"),
            ("MSH", 10, "Message Control ID"),
            ("PID", 5, "Patient Name"),
            ("PV1", 3, "Assigned Patient Location"),
            ("OBX", 8, "Abnormal Flags"),
            ("MSA", 2, "Message Control ID"),
            ("NST", 1, "Statistics Available"),
            ("ZDM", 4, "medRecNum"),
        ] {
            assert_eq!(field_name(segment.as_bytes(), n).map(|field| field.name), Some(name));
        }
        assert_eq!(field_name(b"PID", 999), None);
        assert_eq!(field_name(b"\xFFXX", 1), None);
        assert!(field_name(b"PID", 3).is_some_and(|field| field.repeats && field.data_type == "CX"));
    }
}
