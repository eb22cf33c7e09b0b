//! From the text of an access list to its entries.

use std::fmt;

use super::host::HostRule;
use super::messages::MessageRule;
use super::value::ValueRule;
use super::{Entry, Matching};

/// The longest text taken, in bytes (1 MiB).
pub const MAX_BYTES: usize = 1 << 20;

/// The columns before the message list.
const COLUMNS: [&str; 6] = ["host", "cid", "SenApp", "SenFac", "RecApp", "RecFac"];

/// A syntax error of an access list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyntaxError {
    /// The line, counted from 1. For a fault of a continued entry, the line that the entry begins on.
    pub line: usize,
    /// What is wrong with it.
    pub fault: Fault,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// The text is longer than [`MAX_BYTES`].
    TooLong,
    /// A line begins with a blank, but there is no entry above it.
    NothingToContinue,
    /// A control character other than a tab.
    ControlCharacter,
    /// The entry ends before this column.
    MissingColumn(&'static str),
    /// The host column holds no name, address, block or pattern.
    BadHost,
    /// It looks like an address, and is none.
    BadAddress,
    /// The number after the slash is no prefix length.
    BadPrefix,
    /// The address of a block has bits set beyond its prefix.
    HostBits,
    /// MSH-3 to MSH-6 are compared by their first component: a value with a `^` could never match.
    Component(&'static str),
    /// A sign before an item that is not the first, or two signs.
    SignNotFirst,
    /// An item of the message list is not `TYPE` or `TYPE^EVENT`.
    BadMessageItem,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.fault)
    }
}

impl std::error::Error for SyntaxError {}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::TooLong => write!(f, "the list is longer than {MAX_BYTES} bytes"),
            Fault::NothingToContinue => f.write_str(
                "begins with a blank, but there is no entry above to continue; move it to column 1",
            ),
            Fault::ControlCharacter => f.write_str("holds a control character; the list is plain text"),
            Fault::MissingColumn(name) => {
                write!(f, "column {name} is missing; an entry is: {} Messages...", COLUMNS.join(" "))
            }
            Fault::BadHost => f.write_str("host must be a name, an address, a block ADDRESS/PREFIX, or *"),
            Fault::BadAddress => f.write_str("host looks like an address, but is none; write all of it"),
            Fault::BadPrefix => f.write_str("the number after / must be 0 to 32 (IPv6: 0 to 128)"),
            Fault::HostBits => f.write_str("the block's address has bits set beyond its prefix; clear them"),
            Fault::Component(name) => {
                write!(
                    f,
                    "column {name} holds a ^; only first components are compared, write the part before it"
                )
            }
            Fault::SignNotFirst => f.write_str(
                "a + or - may stand once, before the first message type; it holds for the whole list",
            ),
            Fault::BadMessageItem => f.write_str("a message is TYPE or TYPE^EVENT, such as ORU or ADT^A01"),
        }
    }
}

pub(super) fn entries(text: &[u8], matching: Matching) -> Result<Vec<Entry>, SyntaxError> {
    if text.len() > MAX_BYTES {
        return Err(SyntaxError { line: 1, fault: Fault::TooLong });
    }
    logical_lines(text)?
        .into_iter()
        .map(|logical| entry(&logical, matching).map_err(|fault| SyntaxError { line: logical.line, fault }))
        .collect()
}

/// An entry with its continuation lines joined.
struct LogicalLine<'a> {
    line: usize,
    columns: Vec<&'a [u8]>,
}

/// Comment lines and blank lines are skipped wherever they stand, also between an entry and its continuation.
fn logical_lines(text: &[u8]) -> Result<Vec<LogicalLine<'_>>, SyntaxError> {
    let mut lines: Vec<LogicalLine<'_>> = Vec::new();
    for (index, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let number = index + 1;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let content = line.trim_ascii_start();
        if content.is_empty() || content.starts_with(b"#") {
            continue;
        }
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(SyntaxError { line: number, fault: Fault::ControlCharacter });
        }
        let columns = content.split(|byte| matches!(byte, b' ' | b'\t')).filter(|column| !column.is_empty());
        if content.len() == line.len() {
            lines.push(LogicalLine { line: number, columns: columns.collect() });
        } else {
            let fault = SyntaxError { line: number, fault: Fault::NothingToContinue };
            lines.last_mut().ok_or(fault)?.columns.extend(columns);
        }
    }
    Ok(lines)
}

fn entry(logical: &LogicalLine<'_>, matching: Matching) -> Result<Entry, Fault> {
    if let Some(missing) = COLUMNS.get(logical.columns.len()) {
        return Err(Fault::MissingColumn(missing));
    }
    let (columns, messages) = logical.columns.split_at(COLUMNS.len());
    if let Some(name) = (2..COLUMNS.len()).find(|n| columns[*n].contains(&b'^')).map(|n| COLUMNS[n]) {
        return Err(Fault::Component(name));
    }
    let value = |column: usize| ValueRule::new(columns[column], matching);
    Ok(Entry {
        line: logical.line,
        host: HostRule::parse(columns[0], matching)?,
        connection_id: value(1),
        applications: [value(2), value(3), value(4), value(5)],
        messages: MessageRule::parse(messages, matching)?,
    })
}
