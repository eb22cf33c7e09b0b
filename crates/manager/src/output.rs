//! Rows on standard output.

use std::io::{self, BufWriter, Stdout, Write};

use protogen_codes::table::{Kind, Row};

/// Buffered standard output.
#[derive(Debug)]
pub struct Output(BufWriter<Stdout>);

impl Output {
    pub(crate) fn new() -> Output {
        Output(BufWriter::with_capacity(64 << 10, io::stdout()))
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

/// How rows are printed.
pub(crate) enum Form {
    /// As lines of a table file.
    Table,
    /// As CSV with a header.
    Csv,
    /// As JSON objects, one a line.
    Json,
    /// One field of each.
    Field(usize),
}

pub(crate) struct Printer<'p, K> {
    kind: &'p K,
    form: Form,
    output: &'p mut Output,
}

impl<'p, K: Kind> Printer<'p, K> {
    pub(crate) fn new(kind: &'p K, form: Form, output: &'p mut Output) -> Self {
        Printer { kind, form, output }
    }

    pub(crate) fn header(&mut self) -> io::Result<()> {
        match self.form {
            Form::Csv => self.record(self.kind.fields().iter().map(|field| field.name)),
            _ => Ok(()),
        }
    }

    pub(crate) fn row(&mut self, row: &Row) -> io::Result<()> {
        let fields = self.kind.fields();
        match self.form {
            Form::Field(place) => writeln!(self.output, "{}", row.field(place)),
            Form::Csv => self.record(row.fields().take(fields.len())),
            Form::Json => {
                let values = fields.iter().zip(row.fields());
                let object: serde_json::Map<String, serde_json::Value> =
                    values.map(|(field, value)| (field.name.to_owned(), value.into())).collect();
                serde_json::to_writer(&mut self.output, &object)?;
                self.output.write_all(b"\n")
            }
            Form::Table => {
                let mut line = Vec::new();
                self.kind.write(row, &mut line);
                self.output.write_all(&line)
            }
        }
    }

    fn record<'v>(&mut self, values: impl Iterator<Item = &'v str>) -> io::Result<()> {
        let mut writer = csv::WriterBuilder::new().from_writer(Vec::new());
        writer.write_record(values).map_err(io::Error::from)?;
        let line = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
        self.output.write_all(&line)
    }
}

pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

/// An error and what caused it, on one line; a cause that the error tells already is not told twice.
pub(crate) fn cause(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |told, cause| match told.contains(&cause) {
        _ if told.is_empty() => cause,
        true => told,
        false => format!("{told}: {cause}"),
    })
}
