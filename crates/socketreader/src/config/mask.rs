//! `filemask`: which files of a directory are messages.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// A file name pattern: `*` any bytes, `?` any one byte, `[...]` one of a set, `[!...]` none of it.
///
/// Case counts, and a leading dot is matched by a dot only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mask {
    text: Vec<u8>,
}

impl Mask {
    /// The pattern that is written so. Every text is one: a `[` that nothing closes stands for itself.
    #[must_use]
    pub fn new(text: &[u8]) -> Mask {
        Mask { text: text.to_owned() }
    }

    /// The pattern as it was written.
    #[must_use]
    pub fn text(&self) -> &OsStr {
        OsStr::from_bytes(&self.text)
    }

    /// Whether this name of a file, without a directory, is meant.
    #[must_use]
    pub fn matches(&self, name: &OsStr) -> bool {
        let name = name.as_bytes();
        if name.starts_with(b".") && !self.text.starts_with(b".") {
            return false;
        }
        // The last `*`, and how much of the name it has taken: on a mismatch it takes one byte more. Only the last
        // one ever needs to, so the work is at most length times length.
        let (mut pattern, mut rest) = (self.text.as_slice(), name);
        let mut star: Option<(&[u8], &[u8])> = None;
        loop {
            match step(pattern, rest) {
                Step::Star(after) => {
                    star = Some((after, rest));
                    pattern = after;
                }
                Step::Match(after) => (pattern, rest) = (after, &rest[1..]),
                Step::End => return true,
                Step::Mismatch => match star {
                    Some((after, [_, taken @ ..])) => {
                        star = Some((after, taken));
                        (pattern, rest) = (after, taken);
                    }
                    _ => return false,
                },
            }
        }
    }
}

enum Step<'a> {
    Star(&'a [u8]),
    Match(&'a [u8]),
    End,
    Mismatch,
}

fn step<'a>(pattern: &'a [u8], rest: &[u8]) -> Step<'a> {
    match (pattern, rest) {
        ([], []) => Step::End,
        ([b'*', after @ ..], _) => Step::Star(after),
        ([], _) | (_, []) => Step::Mismatch,
        ([b'?', after @ ..], _) => Step::Match(after),
        ([b'[', set @ ..], [byte, ..]) => match split_set(set) {
            Some((members, after)) if holds(members, *byte) => Step::Match(after),
            Some(_) => Step::Mismatch,
            None if *byte == b'[' => Step::Match(set),
            None => Step::Mismatch,
        },
        ([literal, after @ ..], [byte, ..]) if literal == byte => Step::Match(after),
        _ => Step::Mismatch,
    }
}

/// What stands before the `]` that closes the set, and after it. A `]` that comes first (after `!`) is a member.
fn split_set(set: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = usize::from(set.first() == Some(&b'!'));
    let from = first + usize::from(set.get(first) == Some(&b']'));
    let close = from + set.get(from..)?.iter().position(|byte| *byte == b']')?;
    Some((&set[..close], &set[close + 1..]))
}

fn holds(members: &[u8], byte: u8) -> bool {
    let (negated, mut members) = match members {
        [b'!', members @ ..] => (true, members),
        _ => (false, members),
    };
    let mut found = false;
    while let [first, after @ ..] = members {
        match after {
            [b'-', last, beyond @ ..] => {
                found |= (*first..=*last).contains(&byte);
                members = beyond;
            }
            _ => {
                found |= *first == byte;
                members = after;
            }
        }
    }
    found != negated
}
