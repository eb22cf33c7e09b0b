//! The table of options: what a section may hold.
//!
//! A new option is a row of [`OPTIONS`], a field of `Draft`, its place in socketReader.cfg(5) and in `etc/socketReader.cfg`;
//! tests hold the four together. A default that is text goes through the option's own parser.

use super::draft::Draft;
pub use super::table::OPTIONS;
use super::value::Value;

/// The kinds of sections, as bits: an option is valid in some of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(u8);

impl Place {
    /// `[general]`.
    pub const GENERAL: Place = Place(1);
    /// An incoming socket connection.
    pub const SOCKET_IN: Place = Place(2);
    /// An outgoing socket connection.
    pub const SOCKET_OUT: Place = Place(4);
    /// An incoming file connection.
    pub const FILE_IN: Place = Place(8);
    /// An outgoing file connection.
    pub const FILE_OUT: Place = Place(16);
    /// Both socket connections.
    pub const SOCKET: Place = Self::SOCKET_IN.or(Self::SOCKET_OUT);
    /// Both file connections.
    pub const FILE: Place = Self::FILE_IN.or(Self::FILE_OUT);
    /// All outgoing connections.
    pub const OUTPUT: Place = Self::SOCKET_OUT.or(Self::FILE_OUT);
    /// All incoming connections.
    pub const INPUT: Place = Self::SOCKET_IN.or(Self::FILE_IN);
    /// All connections.
    pub const CONNECTION: Place = Self::SOCKET.or(Self::FILE);

    /// Either place.
    #[must_use]
    pub const fn or(self, other: Place) -> Place {
        Place(self.0 | other.0)
    }

    /// Whether the two have a section in common.
    #[must_use]
    pub const fn meets(self, other: Place) -> bool {
        self.0 & other.0 != 0
    }

    /// The place of one section, for a message.
    #[must_use]
    pub fn shown(self) -> &'static str {
        match self {
            Self::GENERAL => "in [general]",
            Self::SOCKET_IN => "on an incoming socket connection",
            Self::SOCKET_OUT => "on an outgoing socket connection",
            Self::FILE_IN => "on an incoming file connection",
            Self::FILE_OUT => "on an outgoing file connection",
            _ => "on a connection",
        }
    }
}

/// What holds when an option is not set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fallback {
    /// This value.
    Value(&'static str),
    /// What these words say.
    Words(&'static str),
    /// Nothing: the option must be set.
    Required,
}

/// Reads a value into a draft; an error is the rule that the value breaks.
pub(super) type Set = fn(&mut Draft, Value<'_>) -> Result<(), String>;

/// One option.
#[derive(Debug, Clone, Copy)]
pub struct OptionRow {
    /// Its name, in lower case.
    pub name: &'static str,
    /// Where it is valid.
    pub place: Place,
    /// What its value is called.
    pub value: &'static str,
    /// What holds without it.
    pub fallback: Fallback,
    /// What it does, in one line.
    pub doc: &'static str,
    /// Whether its value may go on in further lines.
    pub(super) lines: bool,
    pub(super) set: Set,
}

/// The row of an option.
#[must_use]
pub fn option(name: &str) -> Option<&'static OptionRow> {
    OPTIONS.iter().find(|row| row.name == name)
}
