//! Two messages compared field by field.

use super::message::{Message, Segment};
use super::path::Path;
use super::value::{Level, Parts, Value};
use similar::{Algorithm, DiffOp, capture_diff_slices};
use std::collections::{HashMap, VecDeque};

/// One difference between two messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference<'a, 'b> {
    /// The value at a place; absent on one side where it has no such place. The path counts segments as the
    /// first message has them; without an index it is the first.
    Value {
        /// The place.
        path: Path,
        /// The first message's value, as it stands.
        left: Option<&'a [u8]>,
        /// The second message's value.
        right: Option<&'b [u8]>,
    },
    /// A segment that only the first message has.
    Removed {
        /// Its name, and which of that name in the first message; none if its name is no segment name.
        path: Option<Path>,
        /// The segment.
        segment: &'a [u8],
    },
    /// A segment that only the second message has.
    Added {
        /// Its name, and which of that name in the second message.
        path: Option<Path>,
        /// The segment.
        segment: &'b [u8],
    },
}

/// The most pairs of segments that are aligned by content; beyond it, by name and order only. What is equal at the
/// beginning and the end of both messages is paired first and does not count.
const MAX_PAIRS: usize = 1_000_000;

/// All differences, in order. Segments are paired where they are equal, then by name and order between those.
pub fn diff<'a, 'b>(left: &Message<'a>, right: &Message<'b>) -> Vec<Difference<'a, 'b>> {
    let mut comparison = Comparison { left: numbered(left), right: numbered(right), found: Vec::new() };
    let raw_left: Vec<&[u8]> = comparison.left.iter().map(|segment| segment.raw).collect();
    let raw_right: Vec<&[u8]> = comparison.right.iter().map(|segment| segment.raw).collect();
    let equal = |(a, b): &(&&[u8], &&[u8])| a == b;
    let head = raw_left.iter().zip(&raw_right).take_while(equal).count();
    let (rest_left, rest_right) = (&raw_left[head..], &raw_right[head..]);
    let tail = rest_left.iter().rev().zip(rest_right.iter().rev()).take_while(equal).count();
    let (n, m) = (rest_left.len() - tail, rest_right.len() - tail);
    if n.saturating_mul(m) > MAX_PAIRS {
        comparison.pair_by_name(head..head + n, head..head + m);
        return comparison.found;
    }
    for op in capture_diff_slices(Algorithm::Myers, &rest_left[..n], &rest_right[..m]) {
        if !matches!(op, DiffOp::Equal { .. }) {
            let (old, new) = (op.old_range(), op.new_range());
            comparison.pair_by_name(old.start + head..old.end + head, new.start + head..new.end + head);
        }
    }
    comparison.found
}

/// A segment with its number among those of its name.
struct Numbered<'a, 'm> {
    segment: Segment<'a, 'm>,
    raw: &'a [u8],
    path: Option<Path>,
}

fn numbered<'a, 'm>(message: &'m Message<'a>) -> Vec<Numbered<'a, 'm>> {
    let mut seen = HashMap::new();
    message
        .segments()
        .map(|segment| {
            let count = seen.entry(segment.name()).or_insert(0u32);
            *count += 1;
            let occurrence = (*count > 1).then_some(*count);
            let path = <[u8; 3]>::try_from(segment.name()).ok();
            let path = path.map(|name| Path { occurrence, ..Path::segment(name) });
            Numbered { segment, raw: segment.raw(), path }
        })
        .collect()
}

struct Comparison<'a, 'b, 'm, 'n> {
    left: Vec<Numbered<'a, 'm>>,
    right: Vec<Numbered<'b, 'n>>,
    found: Vec<Difference<'a, 'b>>,
}

impl Comparison<'_, '_, '_, '_> {
    /// Pairs the segments of two ranges in which nothing is equal: each of the left with the next of the right
    /// that has its name.
    fn pair_by_name(&mut self, old: std::ops::Range<usize>, new: std::ops::Range<usize>) {
        let mut places: HashMap<&[u8], VecDeque<usize>> = HashMap::new();
        for j in new.clone() {
            places.entry(self.right[j].segment.name()).or_default().push_back(j);
        }
        let mut next = new.start;
        for i in old {
            let places = places.get_mut(self.left[i].segment.name());
            let partner = places.and_then(|places| {
                while places.front().is_some_and(|&j| j < next) {
                    places.pop_front();
                }
                places.pop_front()
            });
            match partner {
                Some(j) => {
                    (next..j).for_each(|added| self.add(added));
                    next = j + 1;
                    self.compare(i, j);
                }
                None => {
                    let Numbered { raw, path, .. } = self.left[i];
                    self.found.push(Difference::Removed { path, segment: raw });
                }
            }
        }
        (next..new.end).for_each(|added| self.add(added));
    }

    fn add(&mut self, j: usize) {
        let Numbered { raw, path, .. } = self.right[j];
        self.found.push(Difference::Added { path, segment: raw });
    }

    fn compare(&mut self, i: usize, j: usize) {
        let (left, right) = (self.left[i].segment, self.right[j].segment);
        let path = self.left[i].path.unwrap_or(Path::segment(*b"???"));
        for n in 1..=left.field_count().max(right.field_count()) {
            let path = path.field(n as u32);
            self.descend(path, left.field(n), right.field(n));
        }
    }
}

impl<'a, 'b> Comparison<'a, 'b, '_, '_> {
    /// Goes down to the parts that differ.
    fn descend(&mut self, path: Path, left: Value<'a>, right: Value<'b>) {
        if left.get() == right.get() {
            return;
        }
        let level = left.level().min(right.level());
        if (left.is_leaf() && right.is_leaf()) || level >= Level::Subcomponent {
            self.found.push(Difference::Value { path, left: left.get(), right: right.get() });
            return;
        }
        let (mut lefts, mut rights) = (parts(&left, level), parts(&right, level));
        // Past its last part, each side has an absent one.
        let (no_left, no_right) = (nothing(&left, level), nothing(&right, level));
        for n in 1.. {
            let (left, right) = (lefts.next(), rights.next());
            if left.is_none() && right.is_none() {
                return;
            }
            let number = Some(n);
            let path = match level {
                // The first repetition is what the field's own path names.
                Level::Field => Path { repetition: number.filter(|&n| n > 1), ..path },
                Level::Repetition => Path { component: number, ..path },
                _ => Path { subcomponent: number, ..path },
            };
            self.descend(path, left.unwrap_or(no_left), right.unwrap_or(no_right));
        }
    }
}

/// The parts of a value one level below `level`.
fn parts<'a>(value: &Value<'a>, level: Level) -> Parts<'a> {
    match level {
        Level::Field => value.repetitions(),
        Level::Repetition => value.components(),
        _ => value.subcomponents(),
    }
}

/// The absent part of a value one level below `level`.
fn nothing<'a>(value: &Value<'a>, level: Level) -> Value<'a> {
    match level {
        Level::Field => value.repetition(0),
        Level::Repetition => value.component(0),
        _ => value.subcomponent(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn differences(left: &str, right: &str) -> Vec<String> {
        let (left, right) = (format!("MSH|^~\\&|A\r{left}"), format!("MSH|^~\\&|A\r{right}"));
        let text =
            |raw: Option<&[u8]>| raw.map_or("-".into(), |raw| String::from_utf8_lossy(raw).into_owned());
        let (left, right) =
            (Message::parse(left.as_bytes()).unwrap(), Message::parse(right.as_bytes()).unwrap());
        diff(&left, &right)
            .into_iter()
            .map(|difference| match difference {
                Difference::Value { path, left, right } => format!("{path} {} {}", text(left), text(right)),
                Difference::Removed { path, segment } => {
                    format!("- {} {}", path.unwrap(), text(Some(segment)))
                }
                Difference::Added { path, segment } => format!("+ {} {}", path.unwrap(), text(Some(segment))),
            })
            .collect()
    }

    #[test]
    fn the_smallest_part_that_differs() {
        for (left, right, expected) in [
            ("PID|1\r", "PID|1\r", vec![]),
            ("PID|1||a^b\r", "PID|1||a^c\r", vec!["PID-3.2 b c"]),
            ("PID|1||a^b&c\r", "PID|1||a^b&d\r", vec!["PID-3.2.2 c d"]),
            ("PID|1||a~b\r", "PID|1||a~c^d\r", vec!["PID-3[2].1 b c", "PID-3[2].2 - d"]),
            ("PID|1||a\r", "PID|1||a^b\r", vec!["PID-3.2 - b"]),
            ("PID|1|x\r", "PID|1\r", vec!["PID-2 x -"]),
            ("PID|1|\r", "PID|1|\"\"\r", vec!["PID-2  \"\""]),
            ("PID|1|\r", "PID|1\r", vec!["PID-2  -"]),
        ] {
            assert_eq!(differences(left, right), expected, "{left} {right}");
        }
    }

    #[test]
    fn segments_are_aligned() {
        assert_eq!(
            differences("OBX|1|a\rOBX|2|b\rOBX|3|c\r", "OBX|1|a\rOBX|3|c\rNTE|1\r"),
            ["- OBX[2] OBX|2|b", "+ NTE NTE|1"]
        );
        assert_eq!(
            differences("PID|1\rOBX|1|a\rOBX|2|b\r", "PID|1\rZZZ|1\rOBX|1|x\rOBX|2|y\r"),
            ["+ ZZZ ZZZ|1", "OBX-2 a x", "OBX[2]-2 b y"]
        );
    }

    #[test]
    fn very_long_messages_are_compared_in_order() {
        let left = (0..1500).map(|i| format!("OBX|{i}|a\r")).collect::<String>();
        let right = left.replace("|a\r", "|b\r");
        assert_eq!(differences(&left, &right).len(), 1500);
        // One segment more is one difference, however many are equal before and behind it.
        for at in [0, 700, 1500] {
            let lines: Vec<&str> = left.split_inclusive('\r').collect();
            let more = [&lines[..at], &["OBX|new\r"], &lines[at..]].concat().concat();
            assert_eq!(differences(&left, &more).len(), 1, "{at}");
            assert_eq!(differences(&more, &left).len(), 1, "{at}");
        }
        assert_eq!(differences("OBX|1\rOBX|1\r", "OBX|1\r"), ["- OBX[2] OBX|1"]);
    }

    #[test]
    fn very_long_fields_are_compared_in_one_pass() {
        let long = |last: &str| format!("PID|{}{last}\r", "~".repeat(200_000));
        assert_eq!(differences(&long("a"), &long("b")), ["PID-1[200001] a b"]);
        let long = |last: &str| format!("PID|{}{last}\r", "^".repeat(200_000));
        assert_eq!(differences(&long("a"), &long("b")), ["PID-1.200001 a b"]);
        let long = |last: &str| format!("PID|^{}{last}\r", "&".repeat(200_000));
        assert_eq!(differences(&long("a"), &long("")), ["PID-1.2.200001 a "]);
    }

    #[test]
    fn segments_of_one_name_are_paired_in_order() {
        assert_eq!(
            differences("OBX|1|a\rNTE|1|x\rOBX|2|b\r", "NTE|1|y\rOBX|1|c\rNTE|2|z\r"),
            ["+ NTE NTE|1|y", "OBX-2 a c", "NTE-1 1 2", "NTE-2 x z", "- OBX[2] OBX|2|b"]
        );
    }
}
