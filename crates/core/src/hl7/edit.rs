//! Changing a message: only what is set is written, every other byte stays as it came.

use super::delimiters::{CR, LF};
use super::error::{Byte, ParseError};
use super::escape::{self, EncodeError, Escaped};
use super::index::{Index, is_segment_name};
use super::message::Message;
use super::path::Path;
use super::value::Level;
use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::ops::Range;

/// A path can reach this far beyond what is there: it bounds the delimiters one edit may add.
const REACH: usize = 10_000;

/// Why a message was not changed. Nothing is half done: the message is as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum EditError {
    /// The message has no such segment.
    NoSegment(Path),
    /// The path names MSH-1 or MSH-2, on which the rest of the message hangs.
    Delimiter(Path),
    /// The path needs a delimiter that MSH-2 does not define.
    NoDelimiter(Path),
    /// The path lies more than 10,000 places beyond what is there.
    TooFar(Path),
    /// The value holds a byte that would divide what it is put into.
    BreaksOut {
        /// Where the value was to go.
        path: Path,
        /// The byte.
        byte: u8,
        /// Where it stands in the value.
        offset: usize,
    },
    /// With the value, a line feed in the segment would end it.
    Divides(Path),
    /// The value cannot be escaped.
    Encode(EncodeError),
    /// The bytes are no segment, or the edit would leave no message.
    NotASegment,
    /// The result would be no message.
    Parse(ParseError),
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EditError::NoSegment(path) => write!(f, "{path}: the message has no such segment"),
            EditError::Delimiter(path) => {
                write!(f, "{path}: the delimiters of a message cannot be changed in place")
            }
            EditError::NoDelimiter(path) => write!(f, "{path}: MSH-2 defines no delimiter for this level"),
            EditError::TooFar(path) => {
                write!(f, "{path}: more than {REACH} places beyond what the message has")
            }
            EditError::BreaksOut { path, byte, offset } => {
                write!(f, "{path}: {} at byte {offset} of the value would divide it; escape it", Byte(*byte))
            }
            EditError::Divides(path) => {
                write!(
                    f,
                    "{path}: a line feed in the segment would then end it; take it out or write it as \\X0A\\"
                )
            }
            EditError::Encode(error) => error.fmt(f),
            EditError::NotASegment => {
                write!(f, "not a segment, expected a name of three capitals or digits and one line")
            }
            EditError::Parse(error) => error.fmt(f),
        }
    }
}

impl Error for EditError {}

/// A message that can be changed.
///
/// ```
/// use protogen_core::hl7::Editor;
/// let mut editor = Editor::new(b"MSH|^~\\&|LAB\rPID|1\r".to_vec()).unwrap();
/// editor.set_text(&"PID-5.2".parse().unwrap(), b"A&B").unwrap();
/// assert_eq!(editor.bytes(), b"MSH|^~\\&|LAB\rPID|1||||^A\\T\\B\r");
/// ```
#[derive(Debug, Clone)]
pub struct Editor {
    bytes: Vec<u8>,
    /// Kept between edits, so that a message is indexed once after each change and allocates nothing.
    index: Option<Index>,
}

impl Editor {
    /// Takes a message.
    ///
    /// # Errors
    /// As [`Message::parse`].
    pub fn new(bytes: Vec<u8>) -> Result<Self, ParseError> {
        let index = Message::parse(&bytes)?.into_index();
        Ok(Editor { bytes, index: Some(index) })
    }

    /// The message as it is now.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The message as it is now.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A view of the message as it is now.
    ///
    /// # Errors
    /// Never after a successful edit; the type says so because reading a message can fail.
    pub fn message(&self) -> Result<Message<'_>, ParseError> {
        Message::parse(&self.bytes)
    }

    /// Puts `text` at `path`; every delimiter in it is escaped, so it cannot change the structure.
    ///
    /// Missing fields, repetitions and components up to the place are made; a path without a repetition index
    /// names the first repetition.
    ///
    /// # Errors
    /// See [`EditError`]; the message is then unchanged.
    pub fn set_text(&mut self, path: &Path, text: &[u8]) -> Result<(), EditError> {
        self.set_with(path, |message| {
            escape::encode(text, message.delimiters()).map(Cow::into_owned).map_err(EditError::Encode)
        })
    }

    /// Puts `value` at `path`, as HL7 text: delimiters of the levels below the path are structure, those of its
    /// own level and above are escaped, so that a value never breaks out of its place.
    ///
    /// # Errors
    /// See [`EditError`]; the message is then unchanged.
    pub fn set_value(&mut self, path: &Path, value: &[u8]) -> Result<(), EditError> {
        let level = path.level();
        let escaped = Escaped {
            repetition: true,
            component: level >= Level::Component,
            subcomponent: level >= Level::Subcomponent,
            escape: false,
        };
        self.set_with(path, |message| {
            escape::encode_some(value, message.delimiters(), escaped)
                .map(Cow::into_owned)
                .map_err(EditError::Encode)
        })
    }

    /// Puts `raw` at `path` as it stands.
    ///
    /// # Errors
    /// When a byte of it would divide what it is put into, and as above.
    pub fn set_raw(&mut self, path: &Path, raw: &[u8]) -> Result<(), EditError> {
        let path = *path;
        self.set_with(&path, |message| {
            let delimiters = message.delimiters();
            let level = path.level();
            let dividing = [
                Some(delimiters.field),
                delimiters.repetition,
                delimiters.component.filter(|_| level >= Level::Component),
                delimiters.subcomponent.filter(|_| level >= Level::Subcomponent),
                Some(CR),
                Some(LF),
            ];
            let first = dividing
                .into_iter()
                .flatten()
                .filter_map(|byte| delimiters.find(raw, byte, 0).map(|offset| (offset, byte)));
            match first.min() {
                Some((offset, byte)) => Err(EditError::BreaksOut { path, byte, offset }),
                None => Ok(raw.to_vec()),
            }
        })
    }

    fn set_with(
        &mut self,
        path: &Path,
        value: impl FnOnce(&Message) -> Result<Vec<u8>, EditError>,
    ) -> Result<(), EditError> {
        if path.is_delimiter() {
            return Err(EditError::Delimiter(*path));
        }
        let message = self.view()?;
        let (count, width) = (message.len(), message.delimiters().width);
        let (span, mut written) = locate(&message, path)?;
        written.extend(value(&message)?);
        let index = message.into_index();
        let replaced = self.bytes[span.clone()].to_vec();
        let end = span.start + written.len();
        self.splice(span.clone(), &written)?;
        // A line feed that was data may end a segment now, for a delimiter has come behind the word after it.
        let now = Message::parse_with(&self.bytes, index).map_err(EditError::Parse)?;
        let alike = now.len() == count || now.delimiters().width != width;
        self.index = Some(now.into_index());
        if !alike {
            self.splice(span.start..end, &replaced)?;
            return Err(EditError::Divides(*path));
        }
        Ok(())
    }

    /// Removes a segment and its terminator. The first segment, MSH, stays.
    ///
    /// # Errors
    /// When there is no segment number `at` (from 0), or it is the first.
    pub fn remove_segment(&mut self, at: usize) -> Result<(), EditError> {
        let message = self.view()?;
        let start = message.at(at).filter(|_| at > 0).map(|segment| segment.offset());
        let end = message.at(at + 1).map_or(message.bytes().len(), |next| next.offset());
        match start {
            Some(start) => self.splice(start..end, b""),
            None => Err(EditError::NotASegment),
        }
    }

    /// Inserts a segment, given without terminator, before segment number `at`, or at the end. It gets the
    /// terminator that the message's first segment has.
    ///
    /// # Errors
    /// When `segment` is not one segment, or `at` is 0 or beyond the end.
    pub fn insert_segment(&mut self, at: usize, segment: &[u8]) -> Result<(), EditError> {
        let message = self.view()?;
        let field = message.delimiters().field;
        let name_ends = segment.get(3).is_none_or(|&byte| byte == field);
        let name = segment.get(..3).unwrap_or_default();
        let one_line = !segment.contains(&CR) && !segment.contains(&LF);
        if !is_segment_name(name) || !name_ends || !one_line || at == 0 || at > message.len() {
            return Err(EditError::NotASegment);
        }
        let terminator = terminator(&message);
        let offset = message.at(at).map_or(message.bytes().len(), |next| next.offset());
        let mut written = Vec::with_capacity(segment.len() + 4);
        if !matches!(message.bytes().get(offset - 1), Some(&(CR | LF))) {
            written.extend_from_slice(terminator);
        }
        written.extend_from_slice(segment);
        written.extend_from_slice(terminator);
        self.splice(offset..offset, &written)
    }

    fn view(&mut self) -> Result<Message<'_>, EditError> {
        Message::parse_with(&self.bytes, self.index.take().unwrap_or_default()).map_err(EditError::Parse)
    }

    fn splice(&mut self, span: Range<usize>, written: &[u8]) -> Result<(), EditError> {
        // What an edit writes is checked before; only the 4 GiB limit can still be passed.
        let len = self.bytes.len() - span.len() + written.len();
        if u32::try_from(len).is_err() {
            return Err(EditError::Parse(ParseError::TooLong { len }));
        }
        self.bytes.splice(span, written.iter().copied());
        Ok(())
    }
}

fn terminator(message: &Message) -> &'static [u8] {
    let end = message.at(0).map_or(0, |msh| msh.span().end);
    match message.bytes().get(end..) {
        Some([CR, LF, ..]) => b"\r\n",
        Some([LF, ..]) => b"\n",
        _ => b"\r",
    }
}

/// The bytes that a path names, and the delimiters to be written before a value where the place is not there yet.
fn locate(message: &Message, path: &Path) -> Result<(Range<usize>, Vec<u8>), EditError> {
    // Numbers count from 1; field 0 would be the segment's name.
    let numbers = [path.occurrence, path.field, path.repetition, path.component, path.subcomponent];
    let Some(field) = path.field.filter(|_| !numbers.contains(&Some(0))).map(|n| n as usize) else {
        return Err(EditError::NotASegment);
    };
    let nth = path.occurrence.unwrap_or(1) as usize - 1;
    let segment = message.named(path.segment).nth(nth).ok_or(EditError::NoSegment(*path))?;
    let delimiters = message.delimiters();
    let mut padding = Vec::new();
    let mut span = match segment.field_span(field) {
        Some(span) => span,
        None => {
            let missing = field - segment.field_count();
            if missing > REACH {
                return Err(EditError::TooFar(*path));
            }
            // A header that ends after its name has no MSH-1 to count from.
            if segment.is_header() && segment.field_count() == 0 {
                return Err(EditError::NotASegment);
            }
            padding.resize(missing, delimiters.field);
            let end = segment.span().end;
            end..end
        }
    };
    let levels = [
        (path.repetition.or(Some(1)), delimiters.repetition),
        (path.component, delimiters.component),
        (path.subcomponent, delimiters.subcomponent),
    ];
    for (n, delimiter) in levels {
        let Some(n) = n.map(|n| n as usize) else { break };
        let Some(delimiter) = delimiter else {
            // Without a delimiter there is one part only.
            if n > 1 {
                return Err(EditError::NoDelimiter(*path));
            }
            continue;
        };
        let outer = &message.bytes()[span.clone()];
        let (inner, missing) = part(outer, n, |from| delimiters.find(outer, delimiter, from));
        if missing > REACH {
            return Err(EditError::TooFar(*path));
        }
        padding.extend(std::iter::repeat_n(delimiter, missing));
        span = span.start + inner.start..span.start + inner.end;
    }
    Ok((span, padding))
}

/// Where part `n` of `outer` stands, or its end and how many delimiters are missing before the part.
fn part(outer: &[u8], n: usize, next: impl Fn(usize) -> Option<usize>) -> (Range<usize>, usize) {
    let mut start = 0;
    for missing in (1..n).rev() {
        match next(start) {
            Some(at) => start = at + 1,
            None => return (outer.len()..outer.len(), missing),
        }
    }
    (start..next(start).unwrap_or(outer.len()), 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ADT: &str =
        "MSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\rPID|1||1^^^X~2||DOE^J\rOBX|1|NM|a||5\rOBX|2|NM|b||6\r";

    fn edited(
        path: &str,
        edit: impl Fn(&mut Editor, &Path) -> Result<(), EditError>,
    ) -> Result<String, EditError> {
        let mut editor = Editor::new(ADT.into()).unwrap();
        edit(&mut editor, &path.parse().unwrap())?;
        assert!(editor.message().is_ok());
        Ok(String::from_utf8(editor.into_bytes()).unwrap())
    }

    fn set(path: &str, value: &str) -> String {
        edited(path, |editor, path| editor.set_value(path, value.as_bytes())).unwrap()
    }

    #[test]
    fn only_the_place_changes() {
        for (path, value, old, new) in [
            ("PID-1", "7", "PID|1|", "PID|7|"),
            ("PID-2", "x", "PID|1||1", "PID|1|x|1"),
            ("PID-3", "9", "1^^^X~2", "9~2"),
            ("PID-3[2]", "9^^^Y", "X~2", "X~9^^^Y"),
            ("PID-3[4].2", "z", "X~2", "X~2~~^z"),
            ("PID-3.1", "9", "|1^^^X", "|9^^^X"),
            ("PID-3.4.2", "iso", "X~2", "X&iso~2"),
            ("PID-3.6", "MR", "1^^^X~", "1^^^X^^MR~"),
            ("PID-5.2", "", "DOE^J", "DOE^"),
            ("PID-8", "M", "DOE^J", "DOE^J|||M"),
            ("OBX[2]-5", "7", "b||6", "b||7"),
            ("OBX-6", "mg", "a||5", "a||5|mg"),
            ("MSH-10", "77", "|1|P", "|77|P"),
            ("MSH-18", "8859/1", "2.3\r", "2.3||||||8859/1\r"),
        ] {
            assert_eq!(set(path, value), ADT.replacen(old, new, 1), "{path}={value}");
        }
    }

    #[test]
    fn a_value_never_breaks_out_of_its_place() {
        assert!(set("PID-5", "A|B~C^D&E\rF").contains(r"|A\F\B\R\C^D&E\X0D\F"));
        assert!(set("PID-5.1", "A^B&C").contains(r"|A\S\B&C^J"));
        assert!(set("PID-5.1.1", r"A&B\T\").contains(r"|A\T\B\T\^J"));
        let text = edited("PID-5", |editor, path| editor.set_text(path, br"A^B\T\")).unwrap();
        assert!(text.contains(r"|A\S\B\E\T\E\"), "{text}");
        let error = edited("PID-5.1", |editor, path| editor.set_raw(path, b"AB^C")).unwrap_err();
        assert_eq!(error, EditError::BreaksOut { path: "PID-5.1".parse().unwrap(), byte: b'^', offset: 2 });
        assert!(edited("PID-5", |editor, path| editor.set_raw(path, b"AB^C")).unwrap().contains("|AB^C\r"));
    }

    #[test]
    fn what_cannot_be_set_is_refused() {
        let refused = |path: &str| edited(path, |editor, path| editor.set_text(path, b"x")).unwrap_err();
        assert!(matches!(refused("MSH-1"), EditError::Delimiter(_)));
        assert!(matches!(refused("MSH-2"), EditError::Delimiter(_)));
        assert!(matches!(refused("ZZZ-1"), EditError::NoSegment(_)));
        assert!(matches!(refused("OBX[3]-1"), EditError::NoSegment(_)));
        assert!(matches!(refused("PID"), EditError::NotASegment));
        assert!(matches!(refused("PID-20000"), EditError::TooFar(_)));
        assert!(matches!(refused("PID-5.20000"), EditError::TooFar(_)));
        for raw in [b"a\rb", b"a\nb", b"a~b"] {
            let error = edited("PID-5", |editor, path| editor.set_raw(path, raw)).unwrap_err();
            assert!(matches!(error, EditError::BreaksOut { offset: 1, .. }));
        }
        let mut editor = Editor::new(b"MSH|^~\\&|A\rMSH\r".to_vec()).unwrap();
        assert_eq!(editor.set_text(&"MSH[2]-3".parse().unwrap(), b"x"), Err(EditError::NotASegment));
        let path = Path::segment(*b"MSH").field(3);
        for zero in [
            path.field(0),
            path.component(0),
            Path { occurrence: Some(0), ..path },
            Path { repetition: Some(0), ..path },
        ] {
            assert_eq!(editor.set_text(&zero, b"x"), Err(EditError::NotASegment));
        }
        let mut editor = Editor::new(b"MSH|^~|A\rPID|1\r".to_vec()).unwrap();
        let error = editor.set_text(&"PID-1.1.2".parse().unwrap(), b"x").unwrap_err();
        assert!(matches!(error, EditError::NoDelimiter(_)));
        assert_eq!(editor.bytes(), b"MSH|^~|A\rPID|1\r");
    }

    #[test]
    fn a_line_feed_that_was_data_does_not_come_to_end_a_segment() {
        let text = b"MSH|^~\\&|A\nAEN\rPID|1\r";
        let mut editor = Editor::new(text.to_vec()).unwrap();
        let path: Path = "MSH-5".parse().unwrap();
        assert_eq!(editor.set_text(&path, b"x"), Err(EditError::Divides(path)));
        assert_eq!(editor.bytes(), text);
        editor.set_text(&"PID-5".parse().unwrap(), b"x").unwrap();
    }

    #[test]
    fn segments_come_and_go() {
        let mut editor = Editor::new(ADT.into()).unwrap();
        editor.remove_segment(2).unwrap();
        editor.insert_segment(1, b"EVN|A01").unwrap();
        editor.insert_segment(4, b"ZDM|1").unwrap();
        let text = String::from_utf8(editor.bytes().to_vec()).unwrap();
        assert!(text.contains("2.3\rEVN|A01\rPID|1") && text.ends_with("OBX|2|NM|b||6\rZDM|1\r"), "{text}");
        for (at, segment) in [(0, "EVN|1"), (9, "EVN|1"), (1, "EV|1"), (1, "EVN^1"), (1, "EVN|1\rX")] {
            assert_eq!(
                editor.insert_segment(at, segment.as_bytes()),
                Err(EditError::NotASegment),
                "{segment}"
            );
        }
        assert_eq!(editor.remove_segment(0), Err(EditError::NotASegment));
        assert_eq!(editor.remove_segment(9), Err(EditError::NotASegment));
        let mut editor = Editor::new(b"MSH|^~\\&\rPID|1".to_vec()).unwrap();
        editor.remove_segment(1).unwrap();
        assert_eq!(editor.bytes(), b"MSH|^~\\&\r");
    }

    #[test]
    fn line_ends_are_kept() {
        let mut editor = Editor::new(b"MSH|^~\\&|A\r\nPID|1".to_vec()).unwrap();
        editor.set_text(&"MSH-5".parse().unwrap(), b"C").unwrap();
        editor.insert_segment(2, b"PV1|1").unwrap();
        assert_eq!(editor.bytes(), b"MSH|^~\\&|A||C\r\nPID|1\r\nPV1|1\r\n");
    }

    proptest! {
        #[test]
        fn what_is_set_is_read_back(
            field in 3u32..12, repetition in 1u32..4, component in 1u32..5, subcomponent in 1u32..4, text: Vec<u8>
        ) {
            let path = Path {
                repetition: Some(repetition),
                subcomponent: Some(subcomponent),
                ..Path::segment(*b"PID").field(field).component(component)
            };
            let mut editor = Editor::new(ADT.into()).unwrap();
            editor.set_text(&path, &text).unwrap();
            let message = editor.message().unwrap();
            let value = message.get(&path).text();
            prop_assert_eq!(value.as_ref(), &text[..]);
            // Nothing else changed: setting the old value back gives the old text, but for added delimiters.
            prop_assert_eq!(message.len(), 4);
            prop_assert_eq!(message.at(0).unwrap().raw(), ADT.split('\r').next().unwrap().as_bytes());
        }
    }
}
