//! The grammar of the file: that of Python 2.7's `ConfigParser`, which the original reads it with.
//!
//! Section names count case, option names do not. The last value of an option counts, sections of one name are one.
//! An indented line continues the value above it, even if it looks like a comment. What the grammar has no place for
//! is a [`Fault`] with its line; reading goes on, so that one run names all of them.

pub use super::fault::{Fault, FaultKind};
pub use super::interpolate::Unresolved;
use super::interpolate::interpolate;

/// The longest file that is read, in bytes (1 MiB).
pub const MAX_FILE: usize = 1 << 20;
/// The most sections that are read.
pub const MAX_SECTIONS: usize = 4096;
/// The most options of a section that are read.
pub const MAX_OPTIONS: usize = 512;
/// The section whose options all others have.
pub const DEFAULT: &str = "DEFAULT";

/// A file, read.
#[derive(Debug, Default)]
pub struct Ini {
    /// What `[DEFAULT]` gives to every section.
    pub defaults: Section,
    /// The other sections, in the order of their first headings.
    pub sections: Vec<Section>,
    /// The lines that are wrong or odd.
    pub faults: Vec<Fault>,
}

/// A section.
#[derive(Debug, Default)]
pub struct Section {
    /// Its name, as between the brackets.
    pub name: String,
    /// The line of its first heading, counted from 1; 0 if there is none.
    pub line: usize,
    /// Its options, in the order they first came in.
    pub entries: Vec<Entry>,
}

/// An option of a section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, in lower case.
    pub name: String,
    /// Its line.
    pub line: usize,
    /// Its value, without blanks around it; continuation lines follow, each after LF.
    pub value: Vec<u8>,
    /// The first line that continues it.
    pub continued: Option<usize>,
}

impl Ini {
    /// Reads a text. Every text gives something; look at the faults.
    #[must_use]
    pub fn parse(text: &[u8]) -> Ini {
        let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        let mut reader = Reader { ini: Ini::default(), section: None, option: None, lost: false };
        for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
            reader.line(index + 1, line);
            if reader.ini.sections.len() > MAX_SECTIONS {
                reader.section = None;
                reader.fault(index + 1, FaultKind::TooManySections);
                break;
            }
        }
        reader.ini
    }

    /// The value of an option in a section, its own or the default, with its references in place.
    ///
    /// # Errors
    /// A reference that cannot be put in place.
    pub fn value(&self, section: &Section, option: &str) -> Result<Option<Vec<u8>>, Unresolved> {
        let entry = section.entry(option).or_else(|| self.defaults.entry(option));
        entry.map(|entry| interpolate(&entry.value, section, &self.defaults)).transpose()
    }

    /// The section of that name.
    #[must_use]
    pub fn section(&self, name: &str) -> Option<&Section> {
        self.sections.iter().find(|section| section.name == name)
    }
}

impl Section {
    /// The option of that name.
    #[must_use]
    pub fn entry(&self, name: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == name)
    }
}

/// Text for people: names are UTF-8 or, where they are not, Latin-1.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    std::str::from_utf8(bytes)
        .map_or_else(|_| bytes.iter().map(|byte| char::from(*byte)).collect(), str::to_owned)
}

/// What Python takes for a blank in a string of bytes.
pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

pub(super) fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && is_space(*first)
    {
        bytes = rest;
    }
    trim_end(bytes)
}

fn trim_end(mut bytes: &[u8]) -> &[u8] {
    while let [rest @ .., last] = bytes
        && is_space(*last)
    {
        bytes = rest;
    }
    bytes
}

/// Where the next line belongs.
struct Reader {
    ini: Ini,
    /// The section, by its place in the list; the defaults for `Some(None)`.
    section: Option<Option<usize>>,
    /// The option that an indented line continues, by its place in the section.
    option: Option<usize>,
    /// Whether a line before the first section was named.
    lost: bool,
}

impl Reader {
    fn line(&mut self, number: usize, line: &[u8]) {
        let content = trim(line);
        let (Some(first), false) = (line.first(), content.is_empty()) else { return };
        if matches!(first, b'#' | b';') || is_remark(line) {
            return;
        }
        if is_space(*first)
            && let Some(option) = self.option
            && let Some(entry) = self.current().and_then(|section| section.entries.get_mut(option))
        {
            entry.value.push(b'\n');
            entry.value.extend_from_slice(content);
            entry.continued.get_or_insert(number);
        } else if let Some(name) = header(line) {
            self.begin(number, &text(name));
        } else if self.section.is_none() {
            if !std::mem::replace(&mut self.lost, true) {
                self.fault(number, FaultKind::BeforeSections);
            }
        } else {
            self.option(number, line);
        }
    }

    fn begin(&mut self, number: usize, name: &str) {
        self.option = None;
        let place = self.ini.sections.iter().position(|section| section.name == name);
        let section = match place {
            _ if name == DEFAULT => {
                self.section = Some(None);
                &mut self.ini.defaults
            }
            Some(place) => {
                self.section = Some(Some(place));
                &mut self.ini.sections[place]
            }
            None => {
                self.section = Some(Some(self.ini.sections.len()));
                self.ini.sections.push(Section::default());
                let last = self.ini.sections.len() - 1;
                &mut self.ini.sections[last]
            }
        };
        match section.line {
            0 => (section.name, section.line) = (name.to_owned(), number),
            before => self.fault(number, FaultKind::HeadedBefore(before)),
        }
    }

    fn option(&mut self, number: usize, line: &[u8]) {
        let split = line.iter().position(|byte| matches!(byte, b'=' | b':'));
        let first = line.first().copied().unwrap_or_default();
        let Some(split) = split.filter(|split| *split > 0 && !is_space(first)) else {
            return self.fault(
                number,
                match first {
                    b'[' => FaultKind::OpenHeader,
                    b'=' | b':' => FaultKind::NoName,
                    first if is_space(first) => FaultKind::NothingToContinue,
                    _ => FaultKind::NoOption,
                },
            );
        };
        let name = text(trim_end(&line[..split])).to_ascii_lowercase();
        let value = value(&line[split + 1..]);
        if value.first() == Some(&b';') {
            self.fault(number, FaultKind::CommentAsValue(name.clone()));
        }
        let entry = Entry { name, line: number, value: value.to_owned(), continued: None };
        let Some(section) = self.current() else { return };
        let place = section.entries.iter().position(|other| other.name == entry.name);
        match place {
            Some(place) => {
                let before = std::mem::replace(&mut section.entries[place], entry);
                self.option = Some(place);
                self.fault(number, FaultKind::SetBefore { option: before.name, line: before.line });
            }
            None if section.entries.len() < MAX_OPTIONS => {
                section.entries.push(entry);
                self.option = Some(section.entries.len() - 1);
            }
            None => {
                self.option = None;
                self.too_many_options(number);
            }
        }
    }

    /// Named once a section.
    fn too_many_options(&mut self, number: usize) {
        let fault = |fault: &Fault| fault.kind == FaultKind::TooManyOptions;
        let name = self.current().map(|section| section.name.clone());
        if !self.ini.faults.iter().rev().any(|other| fault(other) && other.section == name) {
            self.fault(number, FaultKind::TooManyOptions);
        }
    }

    fn current(&mut self) -> Option<&mut Section> {
        match self.section? {
            None => Some(&mut self.ini.defaults),
            Some(place) => self.ini.sections.get_mut(place),
        }
    }

    fn fault(&mut self, line: usize, kind: FaultKind) {
        let section = self.current().map(|section| section.name.clone());
        self.ini.faults.push(Fault { line, section, kind });
    }
}

/// A line whose first word is `rem`, as DOS has it.
fn is_remark(line: &[u8]) -> bool {
    let word = line.split(|byte| is_space(*byte)).next().unwrap_or_default();
    word.eq_ignore_ascii_case(b"rem")
}

/// The name between brackets; what follows them counts for nothing.
fn header(line: &[u8]) -> Option<&[u8]> {
    let inner = line.strip_prefix(b"[")?;
    let close = inner.iter().position(|byte| *byte == b']')?;
    (close > 0).then(|| &inner[..close])
}

/// A value on the line of its option: the first `;` begins a comment if a blank stands before it.
fn value(after: &[u8]) -> &[u8] {
    let start = after.iter().position(|byte| !is_space(*byte)).unwrap_or(after.len());
    let after = &after[start..];
    let cut = after.iter().position(|byte| *byte == b';').filter(|at| match at.checked_sub(1) {
        Some(before) => is_space(after[before]),
        // Python looks at the last byte of the value here.
        None => after.last().copied().is_some_and(is_space),
    });
    let value = trim(&after[..cut.unwrap_or(after.len())]);
    if value == b"\"\"" { b"" } else { value }
}
