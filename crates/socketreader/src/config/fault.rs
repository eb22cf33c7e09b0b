//! What the grammar finds wrong or odd in a line.

use std::fmt;

use super::ini::{MAX_OPTIONS, MAX_SECTIONS};

/// A line that is wrong or odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The line.
    pub line: usize,
    /// The section it stands in; `None` before the first.
    pub section: Option<String>,
    /// What it is.
    pub kind: FaultKind,
}

/// What can be wrong or odd with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FaultKind {
    /// Something stands before the first section. Named once.
    BeforeSections,
    /// More than [`MAX_SECTIONS`]: the file is not read further.
    TooManySections,
    /// More than [`MAX_OPTIONS`]: those that follow are not read.
    TooManyOptions,
    /// `[` without `]`.
    OpenHeader,
    /// An indented line with no option above it.
    NothingToContinue,
    /// Begins with `=` or `:`.
    NoName,
    /// None of what a line can be.
    NoOption,
    /// The option was set before, in this line.
    SetBefore {
        /// The option.
        option: String,
        /// The earlier line.
        line: usize,
    },
    /// The section has a heading already, in this line.
    HeadedBefore(usize),
    /// The value begins with `;`, which begins no comment there.
    CommentAsValue(String),
}

impl FaultKind {
    /// Whether it only is odd: the original takes it in silence.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(self, Self::SetBefore { .. } | Self::HeadedBefore(_) | Self::CommentAsValue(_))
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeSections => {
                f.write_str("this stands before the first section; begin the file with [general]")
            }
            Self::TooManySections => {
                write!(f, "the file has more than {MAX_SECTIONS} sections, so this is no configuration")
            }
            Self::TooManyOptions => {
                write!(f, "the section has more than {MAX_OPTIONS} options, so this is no configuration")
            }
            Self::OpenHeader => f.write_str("the section's name has no closing ]"),
            Self::NothingToContinue => f.write_str(
                "the line is indented, but there is no option above it to continue; move it to the first column",
            ),
            Self::NoName => f.write_str("the option's name is missing; a line is OPTION = VALUE"),
            Self::NoOption => f.write_str(
                "this is neither [SECTION] nor OPTION = VALUE; a comment has # or ; in the first column",
            ),
            Self::SetBefore { option, line } => {
                write!(f, "{option} is set in line {line} too; this value counts, remove the other")
            }
            Self::HeadedBefore(line) => {
                write!(f, "the section begins in line {line} already; both are one, join them")
            }
            Self::CommentAsValue(option) => write!(
                f,
                "the value of {option} begins with ; and is no comment; move the comment to a line of its own"
            ),
        }
    }
}
