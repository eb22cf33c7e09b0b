//! Standard output: buffered, flushed when a person or a pipe may be waiting, quiet when nobody reads.

use protogen_core::hl7::Value;
pub(crate) use protogen_core::hl7::readable;
use std::borrow::Cow;
use std::io::{self, BufWriter, IsTerminal, Stdout, Write};

pub(crate) struct Output {
    to: BufWriter<Stdout>,
    pub(crate) colour: bool,
    /// The last byte written, to know whether a message needs a segment end before the next.
    last: u8,
}

impl Output {
    pub(crate) fn new() -> Self {
        let colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Output { to: BufWriter::with_capacity(64 << 10, io::stdout()), colour, last: b'\n' }
    }

    /// Writes a message with the frame it came in. Where plain ones follow each other, the first gets the
    /// segment end it lacks, or the second would begin in its last line.
    pub(crate) fn message(&mut self, before: &[u8], body: &[u8], after: &[u8]) -> io::Result<()> {
        if before.is_empty() && !body.is_empty() {
            self.end_line()?;
        }
        self.write_all(before)?;
        self.write_all(body)?;
        self.write_all(after)
    }

    /// Ends the segment that is being written, if it has no end.
    pub(crate) fn end_line(&mut self) -> io::Result<()> {
        match self.last {
            b'\r' | b'\n' => Ok(()),
            _ => self.write_all(b"\r"),
        }
    }

    /// Writes the name of a segment or field, standing out on a terminal.
    pub(crate) fn name(&mut self, name: &str) -> io::Result<()> {
        match self.colour {
            true => write!(self, "\x1B[1m{name}\x1B[0m"),
            false => self.write_all(name.as_bytes()),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes)?;
        if let Some(&last) = bytes[..written].last() {
            self.last = last;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An error and what caused it, on one line; a cause that the error tells already is not told twice.
pub(crate) fn cause(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.ends_with(&cause) {
        _ if told.is_empty() => cause,
        true => told,
        false => format!("{told}: {cause}"),
    })
}

/// A value on one line of a table: a leaf unescaped, with TAB, CR, LF and `\` as `\t \r \n \\`; a composite as it
/// stands, where only TAB, CR and LF are shown so.
pub(crate) fn write_value(to: &mut impl Write, value: &Value, also: Option<u8>) -> io::Result<()> {
    let leaf = value.is_leaf();
    let text = if leaf { value.text() } else { Cow::Borrowed(value.raw()) };
    let mut copied = 0;
    for (i, byte) in value.delimiters().characters(&text) {
        let shown = match byte {
            b'\t' => b't',
            b'\r' => b'r',
            b'\n' => b'n',
            b'\\' if leaf => b'\\',
            _ if leaf && Some(byte) == also => byte,
            _ => continue,
        };
        to.write_all(&text[copied..i])?;
        to.write_all(&[b'\\', shown])?;
        copied = i + 1;
    }
    to.write_all(&text[copied..])
}
