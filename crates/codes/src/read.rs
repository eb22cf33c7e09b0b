//! Reading table files: line by line, with bounded memory, and every complaint with its file and line.

use std::fmt;
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use crate::store::StoreError;
use crate::table::{MAX_ROW, Row};

/// The byte order mark that some programs put before UTF-8.
pub(crate) const BOM: &[u8] = b"\xEF\xBB\xBF";

/// A table file.
pub struct Source {
    name: PathBuf,
    /// Its rows belong to the LOINC+ coding system (see [`crate::loinc`]).
    pub extension: bool,
    pub(crate) input: Box<dyn BufRead>,
}

impl Source {
    /// The file of this name, read from `input`.
    pub fn new(name: &Path, input: impl BufRead + 'static) -> Source {
        Source { name: name.to_owned(), extension: false, input: Box::new(input) }
    }

    /// The same, as a file of extensions.
    #[must_use]
    pub fn of_extensions(self) -> Source {
        Source { extension: true, ..self }
    }

    /// Its name, for messages.
    pub fn name(&self) -> &Path {
        &self.name
    }

    pub(crate) fn failed(&self) -> impl Fn(io::Error) -> StoreError + use<> {
        let path = self.name.clone();
        move |source| StoreError::File { path: path.clone(), source }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("extension", &self.extension).finish()
    }
}

/// Something to tell about a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1; 0 for the file as a whole.
    pub line: u32,
    /// What is wrong and what was expected.
    pub text: String,
    /// An error keeps the table from being changed.
    pub error: bool,
}

impl fmt::Display for Notice {
    /// `FILE:LINE: cause`, with `warning:` where it is one.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if self.line > 0 {
            write!(f, "{}:", self.line)?;
        }
        write!(f, "{} {}", if self.error { "" } else { " warning:" }, self.text)
    }
}

/// Where notices go, and how many there were.
pub struct Notices<'n> {
    tell: &'n mut dyn FnMut(&Notice),
    file: PathBuf,
    /// Errors so far.
    pub errors: u64,
    /// Warnings so far.
    pub warnings: u64,
}

impl<'n> Notices<'n> {
    /// Each notice is handed to `tell`.
    pub fn new(tell: &'n mut dyn FnMut(&Notice)) -> Notices<'n> {
        Notices { tell, file: PathBuf::new(), errors: 0, warnings: 0 }
    }

    pub(crate) fn of_file(&mut self, file: &Path) {
        self.file = file.to_owned();
    }

    pub(crate) fn error(&mut self, line: u32, text: impl Into<String>) {
        self.errors += 1;
        (self.tell)(&Notice { file: self.file.clone(), line, text: text.into(), error: true });
    }

    pub(crate) fn warning(&mut self, line: u32, text: impl Into<String>) {
        self.warnings += 1;
        (self.tell)(&Notice { file: self.file.clone(), line, text: text.into(), error: false });
    }
}

/// Hands each line to `each` without its line feed. A line that no table file may hold (too long, with NUL or CR, a byte
/// order mark before the first) is told, and left out.
pub(crate) fn lines(
    source: &mut Source,
    notices: &mut Notices<'_>,
    mut each: impl FnMut(u32, &[u8], &mut Notices<'_>) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let failed = source.failed();
    let mut line = Vec::new();
    for number in 1.. {
        line.clear();
        let limit = MAX_ROW as u64 + 1;
        let count = io::Read::take(&mut source.input, limit).read_until(b'\n', &mut line).map_err(&failed)?;
        if count == 0 {
            return Ok(());
        }
        let ended = line.pop_if(|byte| *byte == b'\n').is_some();
        if !ended && count > MAX_ROW {
            notices.error(number, format!("the line is longer than {MAX_ROW} bytes"));
            source.input.skip_until(b'\n').map_err(&failed)?;
        } else if number == 1 && line.starts_with(BOM) {
            notices.error(1, "begins with a byte order mark (EF BB BF); save the file as UTF-8 without one");
        } else if let Some(at) = line.iter().position(|byte| *byte == 0) {
            notices.error(number, format!("byte {}: NUL; a table holds text only", at + 1));
        } else if line.ends_with(b"\r") {
            notices.error(number, "ends in CR LF, expected LF alone; tr -d '\\r' makes such a file");
        } else if let Some(at) = line.iter().position(|byte| *byte == b'\r') {
            notices.error(number, format!("byte {}: CR within the line; lines end in LF", at + 1));
        } else {
            each(number, &line, notices)?;
        }
    }
    Ok(())
}

/// The line as text, or what to say about its first byte that is not UTF-8.
pub(crate) fn utf8(line: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(line).map_err(|error| {
        let at = error.valid_up_to();
        let byte = line.get(at).copied().unwrap_or_default();
        format!(
            "byte {}: 0x{byte:02X} is not UTF-8; if the file is Latin-1, iconv -f ISO-8859-1 -t UTF-8 makes it so",
            at + 1
        )
    })
}

/// Splits a line into fields: between separators, quoted (`"`, doubled within quotes) or not.
///
/// # Errors
/// Which column is malformed, and how.
pub(crate) fn split(line: &str, separator: char) -> Result<Row, String> {
    let mut row = Row::default();
    let mut rest = line;
    for column in 1.. {
        let after = match rest.strip_prefix('"') {
            None => {
                let end = rest.find(separator).unwrap_or(rest.len());
                row.push(&rest[..end]);
                &rest[end..]
            }
            Some(quoted) => {
                let end = closing_quote(quoted)
                    .ok_or_else(|| format!("column {column}: the quote (\") is not closed on this line"))?;
                row.push(&quoted[..end].replace("\"\"", "\""));
                &quoted[end + 1..]
            }
        };
        match after.strip_prefix(separator) {
            Some(next) => rest = next,
            None if after.is_empty() => break,
            None => {
                return Err(format!(
                    "column {column}: text after the closing quote; a quote (\") within quotes is written twice"
                ));
            }
        }
    }
    Ok(row)
}

fn closing_quote(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let at = from + text[from..].find('"')?;
        match text[at + 1..].starts_with('"') {
            true => from = at + 2,
            false => return Some(at),
        }
    }
}

/// Writes a field in quotes.
pub(crate) fn quote(field: &str, to: &mut Vec<u8>) {
    to.push(b'"');
    to.extend_from_slice(field.replace('"', "\"\"").as_bytes());
    to.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn fields(line: &str) -> Result<Vec<String>, String> {
        split(line, '\t').map(|row| row.fields().map(str::to_owned).collect())
    }

    #[test]
    fn fields_are_split_at_separators_outside_quotes() {
        assert_eq!(fields("a\t\"b\tc\"\t\"\"\t").unwrap(), ["a", "b\tc", "", ""]);
        assert_eq!(fields("\"say \"\"x\"\"\"\t5\" tube").unwrap(), ["say \"x\"", "5\" tube"]);
        assert_eq!(fields("").unwrap(), [""]);
        let unclosed = fields("a\t\"b\tc").unwrap_err();
        assert_eq!(unclosed, "column 2: the quote (\") is not closed on this line");
        assert!(fields("\"a\"b\tc").unwrap_err().starts_with("column 1: text after the closing quote"));
        assert!(fields("\"a\"\"").is_err());
    }

    proptest! {
        #[test]
        fn quoted_fields_come_back(values in proptest::collection::vec("[^\0\r\n]{0,12}", 1..6)) {
            let mut line = Vec::new();
            for (at, value) in values.iter().enumerate() {
                if at > 0 {
                    line.push(b'\t');
                }
                quote(value, &mut line);
            }
            prop_assert_eq!(fields(std::str::from_utf8(&line).unwrap()).unwrap(), values);
        }

        #[test]
        fn any_line_splits_or_is_refused(line in "[a\"\t]{0,20}") {
            let _ = fields(&line);
        }
    }
}
