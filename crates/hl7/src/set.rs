//! `hl7 set`

use crate::Status;
use crate::input;
use crate::output::Output;
use anyhow::{Context, anyhow};
use protogen_core::hl7::{CharacterSet, Editor, Kind, Path};
use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;

/// Change values; every other byte stays as it came
///
/// VALUE is HL7 text: delimiters below the path's level divide it, those of its level and above are escaped. Missing
/// fields and components are made, missing segments are an error. The first message at fault ends the run.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Take VALUE as plain text: every delimiter in it is escaped
    #[arg(long)]
    text: bool,
    /// Assignments, then files; standard input if there are no files
    #[arg(required = true, value_name = "PATH=VALUE|FILE")]
    arguments: Vec<OsString>,
    /// Files, where a name could be taken for an assignment
    #[arg(last = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    let (assignments, files) = input::paths_and_files(&args.arguments, &args.files, assignment)?;
    let mut found = false;
    let status = input::each_item(&files, max_size, |item, place| {
        if item.kind != Kind::Message {
            // The header of a batch in the next file, too, begins in a line of its own.
            if item.kind != Kind::Other && item.before().is_empty() {
                output.end_line()?;
            }
            output.write_all(item.raw)?;
            return Ok(Status::Done);
        }
        found = true;
        let changed = change(item.body(), &assignments, args.text)
            .with_context(|| format!("{}: byte {}", place.file, item.body_offset()))?;
        output.message(item.before(), &changed, item.after())?;
        output.flush()?;
        Ok(Status::Done)
    })?;
    if !found {
        eprintln!("hl7: no message found, expected text that begins with MSH");
        return Ok(Status::Negative);
    }
    Ok(status)
}

struct Assignment {
    path: Path,
    value: String,
}

fn assignment(text: &str) -> Result<Assignment, String> {
    let (path, value) = text.split_once('=').ok_or("no assignment, expected PATH=VALUE")?;
    Ok(Assignment { path: input::path(path)?, value: value.into() })
}

fn change(body: &[u8], assignments: &[Assignment], text: bool) -> anyhow::Result<Vec<u8>> {
    let mut editor = Editor::new(body.to_vec())?;
    for Assignment { path, value } in assignments {
        let set = CharacterSet::of(&editor.message()?)?;
        let bytes = set.encode(value).map_err(|c| {
            anyhow!("{path}: '{c}' is not of the message's character set; MSH-18 may name another, such as UNICODE UTF-8")
        })?;
        match text {
            true => editor.set_text(path, &bytes)?,
            false => editor.set_value(path, &bytes)?,
        }
    }
    Ok(editor.into_bytes())
}
