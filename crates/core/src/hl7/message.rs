//! One message, borrowed and indexed.

use super::charset::CharacterSet;
use super::delimiters::{Delimiters, Width};
use super::error::ParseError;
use super::index::{Index, key};
use super::path::{Path, is_header};
use super::value::{Level, Value};
use std::ops::Range;

pub(crate) const UTF8_BOM: &[u8] = b"\xEF\xBB\xBF";

/// A message: its bytes, its delimiters and where its fields are.
///
/// Reading is tolerant, as HL7 v2 chapter 2 asks of a receiver: segments may end in CR, LF or CRLF, the last one
/// may have no end, a UTF-8 byte order mark may stand in front, unknown segments are kept. The bytes stay as
/// they came.
///
/// ```
/// use protogen_core::hl7::Message;
/// let message = Message::parse(b"MSH|^~\\&|LAB||ADT||1996||ORU^R01|42|P|2.1\rPID|||12345||DOE^JOHN\r").unwrap();
/// assert_eq!(message.get(&"PID-5.2".parse().unwrap()).text().as_ref(), b"JOHN");
/// ```
#[derive(Debug, Clone)]
pub struct Message<'a> {
    bytes: &'a [u8],
    delimiters: Delimiters,
    index: Index,
}

impl<'a> Message<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// When it does not begin with MSH and usable delimiters, is UTF-16, or is 4 GiB or longer.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, ParseError> {
        Self::parse_with(bytes, Index::default())
    }

    /// Reads a message into an index that was used before, see [`into_index`](Self::into_index).
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn parse_with(bytes: &'a [u8], index: Index) -> Result<Self, ParseError> {
        Self::parse_header(bytes, index, &[b"MSH"])
    }

    /// Reads a message or a batch's header segments, whichever of `names` it begins with.
    pub(crate) fn parse_header(
        bytes: &'a [u8],
        mut index: Index,
        names: &[&[u8; 3]],
    ) -> Result<Self, ParseError> {
        if u32::try_from(bytes.len()).is_err() {
            return Err(ParseError::TooLong { len: bytes.len() });
        }
        if is_wide(bytes) {
            return Err(ParseError::Wide);
        }
        let start = if bytes.starts_with(UTF8_BOM) { UTF8_BOM.len() } else { 0 };
        let text = &bytes[start..];
        if text.is_empty() {
            return Err(ParseError::Empty);
        }
        if !names.iter().any(|name| text.starts_with(*name)) {
            return Err(ParseError::NoHeader { found: text[..text.len().min(8)].to_vec() });
        }
        let delimiters = Delimiters::from_header(text)?;
        index.build(bytes, start, delimiters.field, Width::Single);
        let mut message = Message { bytes, delimiters, index };
        message.apply_character_set(start);
        Ok(message)
    }

    /// Indexes once more where MSH-18 names a set in which delimiter bytes may be halves of characters.
    fn apply_character_set(&mut self, start: usize) {
        let width = CharacterSet::of(self).map_or(Width::Single, CharacterSet::width);
        if width != Width::Single {
            self.delimiters.width = width;
            self.index.build(self.bytes, start, self.delimiters.field, width);
        }
    }

    /// Gives the index back, to be used for the next message.
    pub fn into_index(self) -> Index {
        self.index
    }

    /// The message as it came.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The message's delimiters.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// How many segments there are.
    pub fn len(&self) -> usize {
        self.index.segments.len()
    }

    /// Never true of a message that was read: it has an MSH segment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Segment number `i` of the message, from 0.
    pub fn at(&self, i: usize) -> Option<Segment<'a, '_>> {
        (i < self.len()).then(|| Segment::new(self, i))
    }

    /// All segments in order.
    pub fn segments(
        &self,
    ) -> impl DoubleEndedIterator<Item = Segment<'a, '_>> + ExactSizeIterator + use<'a, '_> {
        (0..self.len()).map(|at| Segment::new(self, at))
    }

    /// All segments of that name in order.
    pub fn named(&self, name: [u8; 3]) -> impl Iterator<Item = Segment<'a, '_>> + use<'a, '_> {
        self.places(name).map(|at| Segment::new(self, at))
    }

    fn places(&self, name: [u8; 3]) -> impl Iterator<Item = usize> + use<'_, 'a> {
        let key = key(name);
        let entries = self.index.segments.iter().enumerate();
        entries.filter(move |(_, entry)| entry.name == key).map(|(at, _)| at)
    }

    /// The value at `path`, absent if the message has no such place. Indexes left out mean the first.
    pub fn get(&self, path: &Path) -> Value<'a> {
        let nth = (path.occurrence.unwrap_or(1) as usize).checked_sub(1);
        match nth.and_then(|nth| self.places(path.segment).nth(nth)) {
            Some(at) => Segment::new(self, at).get(path),
            None => Value::new(None, path.level(), self.delimiters),
        }
    }

    /// Field `n` of the first segment of that name.
    pub fn field(&self, name: [u8; 3], n: usize) -> Value<'a> {
        match self.named(name).next() {
            Some(segment) => segment.field(n),
            None => Value::new(None, Level::Field, self.delimiters),
        }
    }

    /// Every value that `path` names if the indexes it leaves out mean "each": of each such segment, each
    /// repetition. A segment that does not have the place gives one absent value.
    pub fn get_all<'m>(&'m self, path: &Path) -> impl Iterator<Item = Value<'a>> + use<'a, 'm> {
        let path = *path;
        self.named(path.segment)
            .enumerate()
            .filter(move |(i, _)| path.occurrence.is_none_or(|n| n as usize == i + 1))
            .flat_map(move |(_, segment)| segment.get_all(&path))
    }

    /// Field `n` of the first segment, which is MSH, with all its repetitions and components.
    pub fn header(&self, n: usize) -> Value<'a> {
        match self.at(0) {
            Some(segment) => segment.field(n),
            None => Value::new(None, Level::Field, self.delimiters),
        }
    }

    /// The message control id, MSH-10, as it stands.
    pub fn control_id(&self) -> &'a [u8] {
        self.header(10).raw()
    }
}

/// One segment of a message.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a, 'm> {
    message: &'m Message<'a>,
    at: usize,
    /// Where it begins, and where each of its fields ends, the name counting as field 0.
    start: u32,
    ends: &'m [u32],
    /// MSH, FHS or BHS: field 1 is the separator itself.
    header: bool,
}

impl<'a, 'm> Segment<'a, 'm> {
    fn new(message: &'m Message<'a>, at: usize) -> Self {
        let entry = &message.index.segments[at];
        let header = entry.name[3] == 0 && is_header(&entry.name[..3]);
        Segment {
            message,
            at,
            start: entry.start,
            ends: &message.index.ends[message.index.range(at)],
            header,
        }
    }

    /// The segment's name: what stands before its first field separator.
    pub fn name(&self) -> &'a [u8] {
        &self.message.bytes[self.start as usize..self.ends[0] as usize]
    }

    /// The segment's number in its message, from 0.
    pub fn position(&self) -> usize {
        self.at
    }

    /// Where the segment begins in its message.
    pub fn offset(&self) -> usize {
        self.start as usize
    }

    /// The segment's bytes without its terminator.
    pub fn raw(&self) -> &'a [u8] {
        &self.message.bytes[self.span()]
    }

    /// Where the segment's bytes stand in its message.
    pub fn span(&self) -> Range<usize> {
        self.offset()..self.ends[self.ends.len() - 1] as usize
    }

    /// MSH, FHS or BHS: field 1 is the separator itself.
    pub fn is_header(&self) -> bool {
        self.header
    }

    /// The number of the segment's last field.
    pub fn field_count(&self) -> usize {
        let separators = self.ends.len() - 1;
        separators + usize::from(self.header && separators > 0)
    }

    /// Field `n`, from 1, with all its repetitions. Field 0 is the segment's name.
    #[inline]
    pub fn field(&self, n: usize) -> Value<'a> {
        let level = if self.header && n <= 2 { Level::Literal } else { Level::Field };
        let raw = self.field_span(n).map(|span| &self.message.bytes[span]);
        Value::new(raw, level, self.message.delimiters)
    }

    /// Where field `n` stands in the message.
    #[inline]
    pub fn field_span(&self, n: usize) -> Option<Range<usize>> {
        let slot = match (self.header, n) {
            (true, 1) => {
                // The separator stands where the name ends, unless the segment ends there.
                let at = self.ends[0] as usize;
                return (self.ends.len() > 1).then_some(at..at + 1);
            }
            (true, 2..) => n - 1,
            _ => n,
        };
        let end = *self.ends.get(slot)? as usize;
        let start = if slot == 0 { self.offset() } else { self.ends[slot - 1] as usize + 1 };
        Some(start..end)
    }

    /// All fields in order, from field 1.
    pub fn fields(&self) -> impl DoubleEndedIterator<Item = Value<'a>> + ExactSizeIterator + use<'a, 'm> {
        let segment = *self;
        (1..self.field_count() + 1).map(move |n| segment.field(n))
    }

    /// The value that `path` names in this segment, whatever segment the path itself names.
    pub fn get(&self, path: &Path) -> Value<'a> {
        let Some(n) = path.field else {
            return Value::new(Some(self.raw()), Level::Segment, self.message.delimiters);
        };
        let field = self.field(n as usize);
        match (path.repetition, path.component) {
            // The first repetition's components are found without looking for its end.
            (None | Some(1), Some(_)) => inner(field, path),
            (repetition, _) => inner(field.repetition(repetition.unwrap_or(1) as usize), path),
        }
    }

    fn get_all(&self, path: &Path) -> impl Iterator<Item = Value<'a>> + use<'a, 'm> {
        let path = *path;
        let (whole, field) = match path.field {
            None => (Some(self.get(&path)), None),
            // An absent field still gives one value, so that columns stay in step.
            Some(_) if path.repetition.is_some() => (Some(self.get(&path)), None),
            Some(n) => match self.field(n as usize) {
                field if field.is_absent() => (Some(self.get(&path)), None),
                field => (None, Some(field)),
            },
        };
        let repetitions = field.into_iter().flat_map(|field| field.repetitions());
        whole.into_iter().chain(repetitions.map(move |repetition| inner(repetition, &path)))
    }
}

fn inner<'a>(repetition: Value<'a>, path: &Path) -> Value<'a> {
    match (path.component, path.subcomponent) {
        (None, _) => repetition,
        (Some(component), None) => repetition.component(component as usize),
        (Some(component), Some(n)) => repetition.component(component as usize).subcomponent(n as usize),
    }
}

/// UTF-16 or UTF-32 by byte order mark, or by a NUL beside the first letter.
pub(crate) fn is_wide(bytes: &[u8]) -> bool {
    matches!(bytes, [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] | [0, 0, 0xFE, 0xFF, ..])
        || matches!(
            bytes,
            [0, b'M' | b'F' | b'B', 0, b'S' | b'H', ..] | [b'M' | b'F' | b'B', 0, b'S' | b'H', 0, ..]
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORU: &[u8] = b"MSH|^~\\&|LAB|767543|ADT|767543|19900314130405||ORU^R01|XX3657|P|2.1\r\
        PID|1||12345^^^H&1.2&ISO~67890||DOE^JOHN\r\
        OBX|1|NM|718-7||13.2\rOBX|2|ST|X||a\\T\\b\rZDM\r";

    fn get(path: &str) -> Option<String> {
        let message = Message::parse(ORU).unwrap();
        message.get(&path.parse().unwrap()).get().map(|raw| String::from_utf8(raw.to_vec()).unwrap())
    }

    #[test]
    fn values_by_path() {
        for (path, value) in [
            ("MSH-1", "|"),
            ("MSH-2", "^~\\&"),
            ("MSH-3", "LAB"),
            ("MSH-9.2", "R01"),
            ("MSH-12", "2.1"),
            ("PID", "PID|1||12345^^^H&1.2&ISO~67890||DOE^JOHN"),
            ("PID-2", ""),
            ("PID-3", "12345^^^H&1.2&ISO"),
            ("PID-3.4.2", "1.2"),
            ("PID-3[2]", "67890"),
            ("PID-3[2].1.1", "67890"),
            ("OBX[2]-5", "a\\T\\b"),
            ("ZDM", "ZDM"),
        ] {
            assert_eq!(get(path).as_deref(), Some(value), "{path}");
        }
        for absent in ["PID-6", "PID-3[3]", "PID-5.3", "PID-5.1.2", "OBX[3]-5", "NTE-1", "ZDM-1", "MSH-13"] {
            assert_eq!(get(absent), None, "{absent}");
        }
    }

    #[test]
    fn all_values_of_a_path() {
        let message = Message::parse(ORU).unwrap();
        let all = |path: &str| -> Vec<Option<&[u8]>> {
            message.get_all(&path.parse().unwrap()).map(|value| value.get()).collect()
        };
        assert_eq!(all("OBX-5"), [Some(&b"13.2"[..]), Some(b"a\\T\\b")]);
        assert_eq!(all("PID-3.1"), [Some(&b"12345"[..]), Some(b"67890")]);
        assert_eq!(all("OBX-9"), [None, None]);
        assert_eq!(all("OBX[2]-3"), [Some(&b"X"[..])]);
        assert!(all("NTE-1").is_empty());
    }

    #[test]
    fn counts_and_spans() {
        let message = Message::parse(ORU).unwrap();
        let counts: Vec<_> = message.segments().map(|s| s.field_count()).collect();
        assert_eq!(counts, [12, 5, 5, 5, 0]);
        assert_eq!(message.control_id(), b"XX3657");
        let pid = message.at(1).unwrap();
        assert_eq!(&ORU[pid.field_span(5).unwrap()], b"DOE^JOHN");
        assert_eq!(&ORU[pid.span()], pid.raw());
        let message = Message::parse(b"MSH|^~\\&\rMSH\rMSH|\r").unwrap();
        let counts: Vec<_> = message.segments().map(|s| s.field_count()).collect();
        assert_eq!(counts, [2, 0, 2], "a header that ends after its name has no MSH-1");
    }

    #[test]
    fn a_path_with_a_zero_names_nothing() {
        let message = Message::parse(ORU).unwrap();
        let path = Path::segment(*b"PID").field(3);
        assert!(message.get(&Path { occurrence: Some(0), ..path }).is_absent());
        assert!(message.get(&Path { repetition: Some(0), ..path }).is_absent());
    }

    #[test]
    fn what_is_no_message() {
        let error = |bytes: &[u8]| Message::parse(bytes).unwrap_err();
        assert_eq!(error(b""), ParseError::Empty);
        assert_eq!(error(b"PID|1"), ParseError::NoHeader { found: b"PID|1".to_vec() });
        assert_eq!(error(b"\xFF\xFEM\0S\0H\0"), ParseError::Wide);
        assert_eq!(error(b"M\0S\0H\0|\0"), ParseError::Wide);
        assert_eq!(error(b"\0M\0S\0H\0|"), ParseError::Wide);
        assert!(matches!(error(b"MSH"), ParseError::Header(_)));
    }

    #[test]
    fn a_byte_order_mark_is_passed_over() {
        let message = Message::parse(b"\xEF\xBB\xBFMSH|^~\\&|LAB\rPID|1\r").unwrap();
        assert_eq!(message.header(3).raw(), b"LAB");
        assert_eq!(message.at(1).unwrap().offset(), 16);
    }

    #[test]
    fn a_second_byte_does_not_end_a_field() {
        let text = b"MSH|^~\\&|||||||ADT^A01|1|P|2.3||||||BIG-5\rPID|1||\xA5\x7C\xA5\x5E^\xA5\x7E||X\r";
        let message = Message::parse(text).unwrap();
        assert_eq!(message.get(&"PID-3.1".parse().unwrap()).raw(), b"\xA5\x7C\xA5\x5E");
        assert_eq!(message.get(&"PID-3.2".parse().unwrap()).raw(), b"\xA5\x7E");
        assert_eq!(message.get(&"PID-5".parse().unwrap()).raw(), b"X");
    }

    #[test]
    fn extremes_are_read() {
        let million = [b"MSH|^~\\&".as_slice(), &vec![b'|'; 1_000_000]].concat();
        let message = Message::parse(&million).unwrap();
        assert_eq!(message.at(0).unwrap().field_count(), 1_000_002);
        assert!(message.get(&"MSH-1000002".parse().unwrap()).get() == Some(b""));
        let long = [b"MSH|^~\\&|".as_slice(), &vec![b'x'; 16 << 20], b"|\0|y\r"].concat();
        let message = Message::parse(&long).unwrap();
        assert_eq!(message.header(3).raw().len(), 16 << 20);
        assert_eq!((message.header(4).raw(), message.header(5).raw()), (&b"\0"[..], &b"y"[..]));
    }
}
