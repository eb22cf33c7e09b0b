//! Whether a filter holds for a message.

use std::borrow::Cow;

use super::{Expression, Filter, Operator};
use crate::hl7::{CharacterSet, Message, Path, Value};

impl Filter {
    /// Whether the message is wanted.
    ///
    /// A comparison holds if it does for one of the values that the path names: of each segment and each repetition,
    /// where it has no index. A place that is not there counts as one empty value. `!=` holds where `==` does not.
    /// Values are decoded by the message's character set, composite ones are compared as they stand.
    #[must_use]
    pub fn matches(&self, message: &Message<'_>) -> bool {
        let set = CharacterSet::of(message).unwrap_or(CharacterSet::Ascii);
        self.expression.holds(&Subject { message, set })
    }
}

struct Subject<'a, 'm> {
    message: &'m Message<'a>,
    set: CharacterSet,
}

impl Expression {
    /// Its depth is bounded by the parser.
    fn holds(&self, subject: &Subject<'_, '_>) -> bool {
        match self {
            Expression::Any(parts) => parts.iter().any(|part| part.holds(subject)),
            Expression::All(parts) => parts.iter().all(|part| part.holds(subject)),
            Expression::Not(inner) => !inner.holds(subject),
            Expression::Valued(path) => subject.message.get_all(path).any(|value| value.is_valued()),
            Expression::Compare(path, operator, value) => match operator {
                Operator::Equal => subject.any(path, |text| text == value),
                Operator::NotEqual => !subject.any(path, |text| text == value),
                Operator::Begins => subject.any(path, |text| text.starts_with(value.as_str())),
                Operator::Contains => subject.any(path, |text| text.contains(value.as_str())),
            },
            Expression::In(path, values) => {
                subject.any(path, |text| values.iter().any(|value| value == text))
            }
        }
    }
}

impl Subject<'_, '_> {
    /// Whether the text of one of the values is such a one.
    fn any(&self, path: &Path, is_such: impl Fn(&str) -> bool) -> bool {
        let mut is_there = false;
        let found = self.message.get_all(path).any(|value| {
            is_there = true;
            is_such(&self.set.decode(&bytes(&value)))
        });
        found || !is_there && is_such("")
    }
}

/// A leaf's text, a composite as it stands.
fn bytes<'a>(value: &Value<'a>) -> Cow<'a, [u8]> {
    if value.is_leaf() { value.text() } else { Cow::Borrowed(value.raw()) }
}
