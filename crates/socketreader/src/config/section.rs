//! From a section's text to its draft: each option looked up in the table, its value read by its row.

use super::draft::Draft;
use super::ini::{DEFAULT, Entry, Ini, Section, text};
use super::interpolate::{interpolate, referenced};
use super::options::{Fallback, OPTIONS, OptionRow, Place, option};
use super::problem::{At, Problems};
use super::value::Value;

/// How much of a value a message shows, in characters.
const SHOWN: usize = 60;

/// A section with its options read; what could not be read has its default.
#[derive(Debug)]
pub(super) struct Parsed<'a> {
    pub section: &'a Section,
    defaults: &'a Section,
    pub place: Place,
    pub draft: Draft,
    failed: Vec<&'static str>,
}

impl<'a> Parsed<'a> {
    /// Where an option is set; the section's heading if it is not.
    pub fn at(&self, name: &str) -> At<'a> {
        if let Some(entry) = self.section.entry(name) {
            return At { line: Some(entry.line), section: Some(&self.section.name) };
        }
        match self.defaults.entry(name) {
            Some(entry) => At { line: Some(entry.line), section: Some(DEFAULT) },
            // A section that is not there has no line.
            None if self.section.line == 0 => At::default(),
            None => At { line: Some(self.section.line), section: Some(&self.section.name) },
        }
    }

    /// Whether an option is set, here or in `[DEFAULT]`.
    pub fn given(&self, name: &str) -> bool {
        self.section.entry(name).is_some() || self.defaults.entry(name).is_some()
    }

    /// Whether the option's value is what the file says, or rightly its default.
    pub fn sound(&self, name: &str) -> bool {
        !self.failed.contains(&name)
    }
}

/// Reads sections of one file.
pub(super) struct SectionReader<'a> {
    ini: &'a Ini,
    /// Names that values refer to: they may be unknown as options.
    referenced: Vec<String>,
}

impl<'a> SectionReader<'a> {
    pub fn new(ini: &'a Ini) -> SectionReader<'a> {
        SectionReader { ini, referenced: referenced(ini) }
    }

    /// Reads `[general]`.
    pub fn general(&self, section: &'a Section, problems: &mut Problems) -> Parsed<'a> {
        let mut parsed = self.parsed(section, Place::GENERAL);
        self.read(&mut parsed, |_| true, problems);
        parsed
    }

    /// Reads a connection. What it is decides which options it may have.
    pub fn connection(&self, section: &'a Section, problems: &mut Problems) -> Parsed<'a> {
        let mut parsed = self.parsed(section, Place::CONNECTION);
        let decides = |name: &str| matches!(name, "transtech" | "transdir");
        self.read(&mut parsed, decides, problems);
        parsed.place = match (parsed.draft.is_socket, parsed.draft.is_input) {
            (Some(true), Some(true)) => Place::SOCKET_IN,
            (Some(true), Some(false)) => Place::SOCKET_OUT,
            (Some(false), Some(true)) => Place::FILE_IN,
            (Some(false), Some(false)) => Place::FILE_OUT,
            _ => Place::CONNECTION,
        };
        self.read(&mut parsed, |name| !decides(name), problems);
        parsed
    }

    fn parsed(&self, section: &'a Section, place: Place) -> Parsed<'a> {
        let mut draft = Draft::default();
        for row in OPTIONS {
            if let Fallback::Value(value) = row.fallback {
                let set = (row.set)(&mut draft, Value(value.as_bytes()));
                debug_assert!(set.is_ok(), "the default of {} must pass its parser", row.name);
            }
        }
        Parsed { section, defaults: &self.ini.defaults, place, draft, failed: Vec::new() }
    }

    fn read(&self, parsed: &mut Parsed<'a>, wanted: impl Fn(&str) -> bool, problems: &mut Problems) {
        let own = parsed.section.entries.iter().map(|entry| (entry, true));
        let inherited = parsed.defaults.entries.iter().map(|entry| (entry, false));
        let inherited = inherited.filter(|(entry, _)| parsed.section.entry(&entry.name).is_none());
        let entries: Vec<(&Entry, bool)> = own.chain(inherited).filter(|(e, _)| wanted(&e.name)).collect();
        for (entry, is_own) in entries {
            let at = parsed.at(&entry.name);
            match option(&entry.name) {
                Some(row) if row.place.meets(parsed.place) => {
                    if let Err(text) = set(parsed, row, entry) {
                        parsed.failed.push(row.name);
                        problems.error(at, text);
                    }
                }
                Some(row) if is_own => problems.warning(at, misplaced(row, parsed.place)),
                None if !self.referenced.contains(&entry.name) => {
                    // What stands in [DEFAULT] is told once, whatever sections inherit it.
                    let place = if is_own { parsed.place } else { Place::CONNECTION };
                    problems.error(at, unknown(&entry.name, place));
                }
                Some(_) | None => {}
            }
        }
    }
}

/// Reads one value into the draft.
fn set(parsed: &mut Parsed<'_>, row: &OptionRow, entry: &Entry) -> Result<(), String> {
    if let Some(line) = entry.continued.filter(|_| !row.lines) {
        return Err(format!(
            "{} goes on in line {line}, but has one line only; an indented line belongs to the option above it: \
             move it to the first column",
            row.name
        ));
    }
    let value = interpolate(&entry.value, parsed.section, parsed.defaults)
        .map_err(|unresolved| format!("{} = {}: {unresolved}", row.name, shown(&entry.value)))?;
    let goes_on = entry.continued.map_or(String::new(), |line| format!("; its value goes on in line {line}"));
    (row.set)(&mut parsed.draft, Value(&value))
        .map_err(|rule| format!("{} = {}: {rule}{goes_on}", row.name, shown(&value)))
}

fn misplaced(row: &OptionRow, place: Place) -> String {
    let remedy = if row.place == Place::GENERAL { "it belongs in [general]" } else { "remove it" };
    format!("{} has no effect {}; {remedy}", row.name, place.shown())
}

fn unknown(name: &str, place: Place) -> String {
    let names = |place: Place| OPTIONS.iter().filter(move |row| row.place.meets(place)).map(|row| row.name);
    let here = likely(name, names(place));
    let nearest = here.or_else(|| nearest(name, OPTIONS.iter().map(|row| row.name))).unwrap_or_default();
    format!("there is no option {}; the nearest is {nearest}", shown(name.as_bytes()))
}

/// The name that looks most like this one; the first of several.
fn nearest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let alike = |a: &&str, b: &&str| likeness(name, a).total_cmp(&likeness(name, b)).reverse();
    known.min_by(alike)
}

/// The same, if it looks like a slip of the pen.
pub(super) fn likely<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    nearest(name, known).filter(|found| likeness(name, found) >= 0.5)
}

/// From 0 (nothing in common) to 1.
fn likeness(one: &str, other: &str) -> f64 {
    strsim::normalized_damerau_levenshtein(&one.to_lowercase(), &other.to_lowercase())
}

/// A value for a message: on one line, and not too long.
pub(super) fn shown(value: &[u8]) -> String {
    let text: String = text(value).escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'");
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
