//! `hl7 get`

use crate::Status;
use crate::input;
use crate::output::{Output, write_value};
use protogen_core::hl7::{CharacterSet, Message, Path, Value};
use serde_json::Value as Json;
use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;

/// Print values: one line a message, a column a path, parted by TAB
///
/// A path is SEG[n]-field[repetition].component.subcomponent, as PID-5.1, PID-3[2].4 or OBX[3]-5.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print every value that matches, parted by the repetition separator
    #[arg(long)]
    all: bool,
    /// Print a JSON object a message, in UTF-8
    #[arg(long)]
    json: bool,
    /// Paths, then files; standard input if there are no files
    #[arg(required = true, value_name = "PATH|FILE")]
    arguments: Vec<OsString>,
    /// Files, where a name could be taken for a path
    #[arg(last = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    let (paths, files) = input::paths_and_files(&args.arguments, &args.files, input::path)?;
    input::each_message(&files, max_size, |message, _, _| {
        match args.json {
            true => print_json(message, &paths, args.all, output)?,
            false => print_line(message, &paths, args.all, output)?,
        }
        output.flush()?;
        Ok(Status::Done)
    })
}

fn print_line(message: &Message, paths: &[Path], all: bool, output: &mut Output) -> io::Result<()> {
    for (i, path) in paths.iter().enumerate() {
        if i > 0 {
            output.write_all(b"\t")?;
        }
        if !all {
            write_value(output, &message.get(path), None)?;
            continue;
        }
        let separator = message.delimiters().repetition.unwrap_or(b'~');
        for (n, value) in message.get_all(path).enumerate() {
            if n > 0 {
                output.write_all(&[separator])?;
            }
            write_value(output, &value, Some(separator))?;
        }
    }
    output.write_all(b"\n")
}

fn print_json(message: &Message, paths: &[Path], all: bool, output: &mut Output) -> io::Result<()> {
    let set = CharacterSet::of(message).unwrap_or(CharacterSet::Ascii);
    let values = paths.iter().map(|path| {
        let value = match all {
            true => Json::Array(message.get_all(path).map(|value| json(&value, set)).collect()),
            false => json(&message.get(path), set),
        };
        (path.to_string(), value)
    });
    writeln!(output, "{}", Json::Object(values.collect()))
}

/// Absent is null, empty an empty string, a leaf its text, a composite as it stands.
fn json(value: &Value, set: CharacterSet) -> Json {
    let Some(raw) = value.get() else { return Json::Null };
    let text = if value.is_leaf() { value.text() } else { Cow::Borrowed(raw) };
    Json::String(set.decode(&text).into_owned())
}
