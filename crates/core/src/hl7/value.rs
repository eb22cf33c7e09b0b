//! Views of a message's parts: nothing is copied, nothing decoded before it is asked for.

use super::delimiters::{Delimiters, NULL};
use super::escape;
use std::borrow::Cow;

/// How deep a value stands in its segment, and so what may still divide it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// A whole segment.
    Segment,
    /// A field with all its repetitions.
    Field,
    /// One repetition of a field.
    Repetition,
    /// A component.
    Component,
    /// A subcomponent: nothing divides it further.
    Subcomponent,
    /// MSH-1, MSH-2 and their like in FHS and BHS: delimiters themselves, never divided and never escaped.
    Literal,
}

/// A value of a message: a field, repetition, component or subcomponent, or the place where none is.
///
/// Absent, empty and null differ: `PID|1` has no PID-5, `PID|1||||` an empty one, `PID|1||||""` a null one.
/// Absent and empty tell the receiver to keep what it has, null to delete it (HL7 v2 chapter 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Value<'a> {
    raw: Option<&'a [u8]>,
    level: Level,
    delimiters: Delimiters,
}

impl<'a> Value<'a> {
    pub(crate) fn new(raw: Option<&'a [u8]>, level: Level, delimiters: Delimiters) -> Self {
        Value { raw, level, delimiters }
    }

    /// The bytes as they stand in the message, escape sequences and all; none if the value is absent.
    pub fn get(&self) -> Option<&'a [u8]> {
        self.raw
    }

    /// The bytes as they stand in the message; empty if the value is absent.
    pub fn raw(&self) -> &'a [u8] {
        self.raw.unwrap_or_default()
    }

    /// The value's level.
    pub fn level(&self) -> Level {
        self.level
    }

    /// The delimiters of the value's message.
    pub fn delimiters(&self) -> &Delimiters {
        &self.delimiters
    }

    /// The message ends before this value: there is not even a place for it.
    pub fn is_absent(&self) -> bool {
        self.raw.is_none()
    }

    /// Absent, or there without a character in it.
    pub fn is_empty(&self) -> bool {
        self.raw().is_empty()
    }

    /// The explicit null `""`: the receiver is to delete what it has.
    pub fn is_null(&self) -> bool {
        self.raw == Some(NULL)
    }

    /// Neither absent, nor empty, nor null.
    pub fn is_valued(&self) -> bool {
        !self.is_empty() && !self.is_null()
    }

    /// No delimiter divides it: a leaf of the message, whose text can be decoded.
    pub fn is_leaf(&self) -> bool {
        let divides = |level: Level, delimiter: Option<u8>| {
            self.level < level && delimiter.is_some_and(|d| self.delimiters.find(self.raw(), d, 0).is_some())
        };
        self.level != Level::Segment
            && !divides(Level::Repetition, self.delimiters.repetition)
            && !divides(Level::Component, self.delimiters.component)
            && !divides(Level::Subcomponent, self.delimiters.subcomponent)
    }

    /// The text, escape sequences decoded, in the message's own character set.
    pub fn text(&self) -> Cow<'a, [u8]> {
        match self.level {
            Level::Literal => Cow::Borrowed(self.raw()),
            _ => escape::decode(self.raw(), &self.delimiters),
        }
    }

    /// The repetitions of a field. An absent field has none, an empty one has one, empty.
    pub fn repetitions(&self) -> Parts<'a> {
        self.parts(Level::Repetition, self.delimiters.repetition)
    }

    /// The components of a repetition; of a field, those of its first repetition.
    pub fn components(&self) -> Parts<'a> {
        let parts = self.parts(Level::Component, self.delimiters.component);
        let stop = if self.level == Level::Field { self.delimiters.repetition } else { None };
        Parts { stop, ..parts }
    }

    /// The subcomponents of a component; of a higher level, those of its first component.
    pub fn subcomponents(&self) -> Parts<'a> {
        match self.level {
            Level::Field | Level::Repetition => self.component(1).subcomponents(),
            _ => self.parts(Level::Subcomponent, self.delimiters.subcomponent),
        }
    }

    /// Repetition `n`, from 1.
    pub fn repetition(&self, n: usize) -> Value<'a> {
        nth(self.repetitions(), n)
    }

    /// Component `n`, from 1.
    pub fn component(&self, n: usize) -> Value<'a> {
        nth(self.components(), n)
    }

    /// Subcomponent `n`, from 1.
    pub fn subcomponent(&self, n: usize) -> Value<'a> {
        nth(self.subcomponents(), n)
    }

    fn parts(&self, level: Level, delimiter: Option<u8>) -> Parts<'a> {
        // At its own level or below, a value is its own single part.
        let (level, delimiter) = if self.level < level { (level, delimiter) } else { (self.level, None) };
        Parts { rest: self.raw, level, delimiter, stop: None, delimiters: self.delimiters }
    }
}

fn nth<'a>(mut parts: Parts<'a>, n: usize) -> Value<'a> {
    let absent = Value { raw: None, level: parts.level, delimiters: parts.delimiters };
    match n.checked_sub(1) {
        Some(n) => parts.nth(n).unwrap_or(absent),
        None => absent,
    }
}

/// The parts of a value one level down, in order.
#[derive(Debug, Clone)]
pub struct Parts<'a> {
    rest: Option<&'a [u8]>,
    level: Level,
    delimiter: Option<u8>,
    /// The delimiter of a higher level, at which the parts end.
    stop: Option<u8>,
    delimiters: Delimiters,
}

impl<'a> Iterator for Parts<'a> {
    type Item = Value<'a>;

    #[inline]
    fn next(&mut self) -> Option<Value<'a>> {
        let rest = self.rest?;
        let found = self.delimiters.find_either(rest, self.delimiter, self.stop);
        let part = &rest[..found.unwrap_or(rest.len())];
        // At the delimiter the next part begins; at the stop, or at the end, there is none.
        self.rest = match found {
            Some(end) if Some(rest[end]) == self.delimiter => rest.get(end + 1..),
            _ => None,
        };
        Some(Value { raw: Some(part), level: self.level, delimiters: self.delimiters })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(raw: &str) -> Value<'_> {
        Value::new(Some(raw.as_bytes()), Level::Field, Delimiters::default())
    }

    fn raws<'a>(parts: Parts<'a>) -> Vec<&'a str> {
        parts.map(|part| std::str::from_utf8(part.raw()).unwrap()).collect()
    }

    #[test]
    fn a_field_comes_apart() {
        let value = field("1^a&b^^c~2");
        assert_eq!(raws(value.repetitions()), ["1^a&b^^c", "2"]);
        assert_eq!(raws(value.components()), ["1", "a&b", "", "c"]);
        assert_eq!(raws(value.component(2).subcomponents()), ["a", "b"]);
        assert_eq!(raws(field("a&b^c~d").subcomponents()), ["a", "b"]);
        assert_eq!(raws(field("a&b^c~d").components()), ["a&b", "c"]);
        assert_eq!(value.repetition(2).component(1).subcomponent(1).raw(), b"2");
    }

    #[test]
    fn absent_empty_and_null_are_three_things() {
        let value = field("^\"\"^x");
        let (empty, null, absent) = (value.component(1), value.component(2), value.component(4));
        assert!(empty.is_empty() && !empty.is_absent() && !empty.is_null() && !empty.is_valued());
        assert!(null.is_null() && !null.is_empty() && !null.is_valued());
        assert!(absent.is_absent() && absent.is_empty() && absent.get().is_none());
        assert!(value.component(0).is_absent());
        assert!(value.component(3).is_valued());
        assert_eq!(raws(field("").repetitions()), [""]);
        assert_eq!(absent.subcomponents().count(), 0);
    }

    #[test]
    fn only_what_nothing_divides_is_a_leaf() {
        assert!(field(r"a\T\b").is_leaf());
        assert!(!field("a&b").is_leaf());
        assert!(!field("a~b").is_leaf());
        assert!(field("a~b").repetition(1).is_leaf());
        // A delimiter of a higher level cannot stand in a lower one, so it is not looked for there.
        assert!(Value::new(Some(b"a~b"), Level::Component, Delimiters::default()).is_leaf());
    }
}
