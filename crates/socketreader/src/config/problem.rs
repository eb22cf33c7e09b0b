//! What is wrong with a configuration, or odd.

use std::fmt;
use std::path::{Path, PathBuf};

/// Whether the program can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, and somebody should look.
    Warning,
}

/// The most problems that are named.
const MAX_PROBLEMS: usize = 1000;

/// One thing, with its place and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// How bad it is.
    pub severity: Severity,
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1, where there is one.
    pub line: Option<usize>,
    /// The section's name, where there is one.
    pub section: Option<String>,
    /// What is wrong, and the remedy.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        self.line.map_or(Ok(()), |line| write!(f, "{line}:"))?;
        if self.severity == Severity::Warning {
            f.write_str(" warning:")?;
        }
        self.section.as_ref().map_or(Ok(()), |section| write!(f, " [{section}]"))?;
        write!(f, " {}", self.text)
    }
}

/// The problems of one file, as they are found.
#[derive(Debug)]
pub(super) struct Problems {
    file: PathBuf,
    list: Vec<Problem>,
    /// Every error is a warning: the section is not in use.
    lenient: bool,
    /// The worst of those beyond the most.
    beyond: Option<Severity>,
}

impl Problems {
    pub fn new(file: &Path) -> Problems {
        Problems { file: file.to_owned(), list: Vec::new(), lenient: false, beyond: None }
    }

    /// From now on, whether errors count as warnings.
    pub fn lenient(&mut self, lenient: bool) {
        self.lenient = lenient;
    }

    pub fn error(&mut self, place: At<'_>, text: impl Into<String>) {
        let severity = if self.lenient { Severity::Warning } else { Severity::Error };
        self.add(severity, place, text.into());
    }

    pub fn warning(&mut self, place: At<'_>, text: impl Into<String>) {
        self.add(Severity::Warning, place, text.into());
    }

    fn add(&mut self, severity: Severity, place: At<'_>, text: String) {
        let problem = Problem {
            severity,
            file: self.file.clone(),
            line: place.line,
            section: place.section.map(str::to_owned),
            text,
        };
        // What [DEFAULT] gets wrong shows in every section, and is named once; an error stands for its warning.
        let same = |other: &&mut Problem| other.line == problem.line && other.text == problem.text;
        let full = self.list.len() >= MAX_PROBLEMS;
        match self.list.iter_mut().find(same) {
            Some(other) => other.severity = other.severity.min(severity),
            None if !full => self.list.push(problem),
            None => self.beyond = Some(self.beyond.map_or(severity, |beyond| beyond.min(severity))),
        }
    }

    /// All of them, in the order of the lines; those without one come last.
    pub fn into_sorted(mut self) -> Vec<Problem> {
        self.list.sort_by_key(|problem| problem.line.unwrap_or(usize::MAX));
        if let Some(severity) = self.beyond {
            let text = format!("there are more faults than these {MAX_PROBLEMS}; mend them first");
            self.list.push(Problem { severity, file: self.file, line: None, section: None, text });
        }
        self.list
    }
}

/// Where a problem is.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct At<'a> {
    pub line: Option<usize>,
    pub section: Option<&'a str>,
}
