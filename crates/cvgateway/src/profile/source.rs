//! Where a field of ZDM comes from.

use protogen_core::hl7::{Message, Path, Value};

/// A source as the profile writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// CareVue's medical record number.
    Record,
    /// The account number.
    Account,
    /// The admit observation with this MsmtClass: `H`, `W` or `S`.
    Observed(char),
    /// A place of the message as it was received.
    Place {
        /// The place.
        path: Path,
        /// Of the segments of that name, the one with this code: in NK1-3.1 or OBX-3.1.
        code: Option<String>,
    },
}

/// The field that tells segments of a name apart.
fn selecting_field(segment: [u8; 3]) -> Option<usize> {
    match &segment {
        b"NK1" | b"OBX" => Some(3),
        _ => None,
    }
}

impl Source {
    /// Reads a source.
    ///
    /// # Errors
    /// What is expected instead.
    pub(super) fn parse(text: &str) -> Result<Source, String> {
        Ok(match text {
            "record" => Source::Record,
            "account" => Source::Account,
            "height" => Source::Observed('H'),
            "weight" => Source::Observed('W'),
            "bsa" => Source::Observed('S'),
            _ => return Source::parse_place(text),
        })
    }

    fn parse_place(text: &str) -> Result<Source, String> {
        let (plain, code) = match text.split_once('(') {
            Some((segment, rest)) => {
                let (code, rest) = rest.split_once(')').ok_or("expected ')' as in NK1(NK)-2")?;
                (format!("{segment}{rest}"), Some(code.to_owned()))
            }
            None => (text.to_owned(), None),
        };
        let path: Path = plain.parse().map_err(|error| format!("{error}"))?;
        if path.field.is_none() {
            return Err("expected a field, as in PID-5".to_owned());
        }
        if code.is_some() && (selecting_field(path.segment).is_none() || path.occurrence.is_some()) {
            return Err("only NK1 and OBX are told apart by a code, as in NK1(NK)-2".to_owned());
        }
        Ok(Source::Place { path, code })
    }

    /// What stands at this place of the message, as it stands there; absent for what is no place.
    pub(crate) fn value<'m>(&self, message: &Message<'m>) -> Option<Value<'m>> {
        let Source::Place { path, code } = self else { return None };
        let Some(code) = code else { return Some(message.get(path)) };
        let field = selecting_field(path.segment)?;
        let mut named = message.named(path.segment);
        let chosen =
            named.find(|segment| segment.field(field).component(1).text().as_ref() == code.as_bytes())?;
        Some(chosen.get(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_found_by_occurrence_and_by_code() {
        let text = b"MSH|^~\\&|A\rPID|1||7~8||A&B^C\rNK1|1|X|FD^Arzt|s|1\rNK1|2|Y|NK|s|2~3\rAL1|1||a^b\rAL1|2||c^d\r";
        let message = Message::parse(text).unwrap();
        for (source, value) in [
            ("PID-3", "7"),
            ("PID-5.1", "A&B"),
            ("NK1(NK)-2", "Y"),
            ("NK1(NK)-5[2]", "3"),
            ("NK1(NK)-5[3]", ""),
            ("NK1(FD)-2", "X"),
            ("NK1(EM)-2", ""),
            ("AL1[2]-3.2", "d"),
            ("OBX(1)-5", ""),
        ] {
            let value_found = Source::parse(source).unwrap().value(&message);
            assert_eq!(value_found.map_or(&b""[..], |value| value.raw()), value.as_bytes(), "{source}");
        }
        for (source, told) in [
            ("PID", "expected a field"),
            ("pid-5", "not a path"),
            ("NK1(NK-2", "expected ')'"),
            ("PID(1)-5", "only NK1 and OBX"),
            ("NK1(NK)[2]-5", "only NK1 and OBX"),
            ("age", "not a path"),
        ] {
            let error = Source::parse(source).unwrap_err();
            assert!(error.contains(told), "{source}: {error}");
        }
    }
}
