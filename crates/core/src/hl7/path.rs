//! Names for places in a message: `PID-5.1`, `PID-3[2].4.1`, `OBX[3]-5`.

use super::index::is_segment_name;
use super::value::Level;
use std::error::Error;
use std::fmt;
use std::str::FromStr;

/// The largest number a path may hold.
const MAX: u32 = 9_999_999;

/// A place in a message: `SEG[n]-field[repetition].component.subcomponent`, numbers counting from 1.
///
/// `SEG[n]` is the n-th segment of that name, `-field[r]` the r-th repetition. Where an index is left out, the
/// first is meant, or each where a whole set is asked for ([`Message::get_all`](super::Message::get_all)).
///
/// ```
/// use protogen_core::hl7::Path;
/// let path: Path = "PID-3[2].4.1".parse().unwrap();
/// assert_eq!((path.field, path.repetition, path.component), (Some(3), Some(2), Some(4)));
/// assert_eq!(path.to_string(), "PID-3[2].4.1");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Path {
    /// The segment's name.
    pub segment: [u8; 3],
    /// Which segment of that name.
    pub occurrence: Option<u32>,
    /// The field; without it the path names the whole segment.
    pub field: Option<u32>,
    /// Which repetition of the field.
    pub repetition: Option<u32>,
    /// The component.
    pub component: Option<u32>,
    /// The subcomponent.
    pub subcomponent: Option<u32>,
}

impl Path {
    /// The path of a whole segment. The name is taken as it is, valid or not.
    pub const fn segment(segment: [u8; 3]) -> Self {
        Path { segment, occurrence: None, field: None, repetition: None, component: None, subcomponent: None }
    }

    /// The same segment's field `n`.
    pub const fn field(mut self, n: u32) -> Self {
        self.field = Some(n);
        self
    }

    /// The same field's component `n`.
    pub const fn component(mut self, n: u32) -> Self {
        self.component = Some(n);
        self
    }

    /// The level of what the path names: a path without a repetition index names the first repetition.
    pub fn level(&self) -> Level {
        match (self.field, self.component, self.subcomponent) {
            (None, ..) => Level::Segment,
            (_, None, _) => Level::Repetition,
            (_, _, None) => Level::Component,
            _ => Level::Subcomponent,
        }
    }

    /// MSH-1 or MSH-2 or their like: the delimiters themselves.
    pub fn is_delimiter(&self) -> bool {
        is_header(&self.segment) && matches!(self.field, Some(1 | 2))
    }
}

/// MSH and the batch headers, whose field 1 is the separator behind their name.
pub(crate) fn is_header(name: &[u8]) -> bool {
    matches!(name, b"MSH" | b"FHS" | b"BHS")
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.segment.escape_ascii())?;
        let mut part = |open: &str, number: Option<u32>, close: &str| match number {
            Some(number) => write!(f, "{open}{number}{close}"),
            None => Ok(()),
        };
        part("[", self.occurrence, "]")?;
        part("-", self.field, "")?;
        part("[", self.repetition, "]")?;
        part(".", self.component, "")?;
        part(".", self.subcomponent, "")
    }
}

/// A text is no path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathError {
    /// The byte of the text at which it stops being one.
    pub at: usize,
    /// What could stand there.
    pub expected: &'static str,
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a path at character {}: expected {}, as in PID-5.1 or OBX[3]-5",
            self.at + 1,
            self.expected
        )
    }
}

impl Error for PathError {}

impl FromStr for Path {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let mut reader = Reader { text: text.as_bytes(), at: 0 };
        let segment = reader.segment()?;
        let mut path = Path { occurrence: reader.index()?, ..Path::segment(segment) };
        if reader.take(b'-') {
            path.field = Some(reader.number("a field number")?);
            path.repetition = reader.index()?;
            if reader.take(b'.') {
                path.component = Some(reader.number("a component number")?);
                if reader.take(b'.') {
                    path.subcomponent = Some(reader.number("a subcomponent number")?);
                }
            }
        }
        match reader.at == reader.text.len() {
            true => Ok(path),
            false => Err(PathError { at: reader.at, expected: reader.continuation(&path) }),
        }
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn segment(&mut self) -> Result<[u8; 3], PathError> {
        match self.text.first_chunk::<3>() {
            Some(name) if is_segment_name(name) => {
                self.at = 3;
                Ok(*name)
            }
            _ => Err(PathError { at: 0, expected: "a segment name of three capitals or digits" }),
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.text.get(self.at) == Some(&byte);
        self.at += usize::from(found);
        found
    }

    fn index(&mut self) -> Result<Option<u32>, PathError> {
        if !self.take(b'[') {
            return Ok(None);
        }
        let number = self.number("a number from 1")?;
        if !self.take(b']') {
            return Err(PathError { at: self.at, expected: "']'" });
        }
        Ok(Some(number))
    }

    fn number(&mut self, expected: &'static str) -> Result<u32, PathError> {
        let start = self.at;
        let digits = self.text[start..].iter().take_while(|b| b.is_ascii_digit()).count();
        self.at += digits;
        std::str::from_utf8(&self.text[start..self.at])
            .ok()
            .and_then(|digits| digits.parse().ok())
            .filter(|number| (1..=MAX).contains(number))
            .ok_or(PathError { at: start, expected })
    }

    fn continuation(&self, path: &Path) -> &'static str {
        match (path.field, path.component, path.subcomponent) {
            (None, ..) => "'-' and a field number",
            (_, None, _) => "'.' and a component number, or the end",
            (_, _, None) => "'.' and a subcomponent number, or the end",
            _ => "the end",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_and_their_parts() {
        let path: Path = "OBX[3]-5".parse().unwrap();
        assert_eq!(path, Path { occurrence: Some(3), ..Path::segment(*b"OBX").field(5) });
        let path: Path = "PID-3[2].4.1".parse().unwrap();
        assert_eq!(
            (path.occurrence, path.field, path.repetition, path.component, path.subcomponent),
            (None, Some(3), Some(2), Some(4), Some(1))
        );
        assert_eq!("ZDM".parse::<Path>().unwrap().level(), Level::Segment);
        assert_eq!("PID-5".parse::<Path>().unwrap().level(), Level::Repetition);
        assert!("MSH-2".parse::<Path>().unwrap().is_delimiter());
    }

    #[test]
    fn what_is_no_path_is_named_with_its_place() {
        for (text, at, expected) in [
            ("", 0, "a segment name"),
            ("PI-5", 0, "a segment name"),
            ("pid-5", 0, "a segment name"),
            ("PID-", 4, "a field number"),
            ("PID-0", 4, "a field number"),
            ("PID-99999999", 4, "a field number"),
            ("PID.5", 3, "'-'"),
            ("PID-5-1", 5, "'.'"),
            ("PID-5.1.2.3", 9, "the end"),
            ("PID-3[x]", 6, "a number"),
            ("PID-3[2", 7, "']'"),
            ("OBX[0]-5", 4, "a number"),
        ] {
            let error = text.parse::<Path>().unwrap_err();
            assert_eq!(error.at, at, "{text}");
            assert!(error.expected.starts_with(expected), "{text}: {error}");
        }
    }

    proptest! {
        #[test]
        fn a_path_reads_as_it_prints(text in "[A-Z][A-Z0-9]{2}(\\[[1-9]\\])?(-[1-9][0-9]?(\\[[1-9]\\])?(\\.[1-9](\\.[1-9])?)?)?") {
            prop_assert_eq!(text.parse::<Path>().unwrap().to_string(), text);
        }

        #[test]
        fn any_text_is_a_path_or_an_error(text: String) {
            if let Ok(path) = text.parse::<Path>() {
                prop_assert_eq!(path.to_string().parse::<Path>().unwrap(), path);
            }
        }
    }
}
