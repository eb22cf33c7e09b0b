//! `%(NAME)s` in a value: the value of another option of the section or of `[DEFAULT]`.
//!
//! Python 2.7 has three parsers. Two of them put such references in place, in the same way; in the plain one, and in
//! `ConfigParser` as long as a value holds no `%(`, a `%` stands for itself. We do as `ConfigParser` does, whose rule
//! takes every file that one of the others takes: a value with `%(` is replaced, and `%%` in it is `%`; any other
//! value is taken as it stands, `%%` too.

use std::fmt;

use super::ini::{Ini, Section, text};

/// How often a value is gone over: references in what was put in place are put in place too.
const MAX_DEPTH: usize = 10;
/// The longest value, in bytes.
const MAX_VALUE: usize = 64 << 10;

/// A reference that cannot be put in place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// There is no such option.
    NoOption(String),
    /// A `%` that begins no reference, in a value that holds one.
    LonePercent,
    /// The references go in a circle, or are nested too deeply.
    Circle,
    /// The value grows too long.
    TooLong,
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoOption(name) => {
                write!(
                    f,
                    "%({name})s names no option of this section or of [DEFAULT]; write the value itself"
                )
            }
            Self::LonePercent => f.write_str("a % beside %(NAME)s must be written %%"),
            Self::Circle => write!(f, "the references are more than {MAX_DEPTH} deep, or go in a circle"),
            Self::TooLong => write!(f, "with its references in place it is longer than {MAX_VALUE} bytes"),
        }
    }
}

/// The value with every reference in place.
pub fn interpolate(value: &[u8], section: &Section, defaults: &Section) -> Result<Vec<u8>, Unresolved> {
    let mut value = value.to_owned();
    for _ in 0..MAX_DEPTH {
        if find(&value).is_none() {
            return Ok(value);
        }
        value = once(&value, section, defaults)?;
    }
    if find(&value).is_none() { Ok(value) } else { Err(Unresolved::Circle) }
}

fn once(value: &[u8], section: &Section, defaults: &Section) -> Result<Vec<u8>, Unresolved> {
    let mut done = Vec::new();
    let mut rest = value;
    while let Some(at) = rest.iter().position(|byte| *byte == b'%') {
        done.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(b"%") {
            done.push(b'%');
            rest = after;
        } else {
            let (name, after) = reference(rest).ok_or(Unresolved::LonePercent)?;
            match section.entry(&name) {
                Some(entry) => done.extend_from_slice(&entry.value),
                None if name == "__name__" => done.extend_from_slice(section.name.as_bytes()),
                None => {
                    let entry = defaults.entry(&name).ok_or(Unresolved::NoOption(name))?;
                    done.extend_from_slice(&entry.value);
                }
            }
            rest = after;
        }
        if done.len() > MAX_VALUE {
            return Err(Unresolved::TooLong);
        }
    }
    done.extend_from_slice(rest);
    Ok(done)
}

/// The name in `(NAME)s` at the start, and what follows.
fn reference(rest: &[u8]) -> Option<(String, &[u8])> {
    let inner = rest.strip_prefix(b"(")?;
    let close = inner.iter().position(|byte| *byte == b')')?;
    let after = inner[close + 1..].strip_prefix(b"s")?;
    Some((text(&inner[..close]).to_ascii_lowercase(), after))
}

fn find(value: &[u8]) -> Option<usize> {
    value.windows(2).position(|pair| pair == b"%(")
}

/// Every name that some value refers to: such an option may have a name of its own.
pub fn referenced(ini: &Ini) -> Vec<String> {
    let sections = ini.sections.iter().chain([&ini.defaults]);
    let values = sections.flat_map(|section| &section.entries).map(|entry| entry.value.as_slice());
    let mut names = Vec::new();
    for mut value in values {
        while let Some(at) = find(value) {
            value = &value[at + 1..];
            names.extend(reference(value).map(|(name, _)| name));
        }
    }
    names
}
