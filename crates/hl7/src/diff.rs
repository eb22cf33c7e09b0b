//! `hl7 diff`

use crate::Status;
use crate::input;
use crate::output::{Output, readable};
use anyhow::Context;
use protogen_core::hl7::{Difference, Item, Kind, Message, diff};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Compare messages field by field
///
/// The first message of A with the first of B, and so on. Status 1 if they differ.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print a JSON object a difference
    #[arg(long)]
    json: bool,
    /// The one file, - for standard input
    a: PathBuf,
    /// The other
    b: PathBuf,
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    if args.a.as_os_str() == "-" && args.b.as_os_str() == "-" {
        anyhow::bail!("only one of the files can be standard input");
    }
    let (left, right) = (messages(&args.a, max_size)?, messages(&args.b, max_size)?);
    let mut printer = Printer { json: args.json, many: left.len().max(right.len()) > 1, number: 0, output };
    let mut differ = left.len() != right.len();
    for i in 0..left.len().max(right.len()) {
        printer.number = i + 1;
        match (left.get(i), right.get(i)) {
            (Some(left), Some(right)) => {
                let (left, right) = (parse(&args.a, i, left)?, parse(&args.b, i, right)?);
                for difference in diff(&left, &right) {
                    differ = true;
                    printer.print(&difference, &left, &right)?;
                }
            }
            (Some(body), None) => printer.whole("-", body)?,
            (_, Some(body)) => printer.whole("+", body)?,
            _ => {}
        }
    }
    Ok(if differ { Status::Negative } else { Status::Done })
}

fn parse<'a>(file: &Path, i: usize, body: &'a [u8]) -> anyhow::Result<Message<'a>> {
    Message::parse(body).with_context(|| format!("{}: message {}", file.display(), i + 1))
}

fn messages(file: &PathBuf, max_size: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let mut bodies = Vec::new();
    input::each_item(std::slice::from_ref(file), max_size, |item: &Item, place| {
        match item.kind {
            Kind::Message => {
                input::warn_of_half_frame(item, place);
                bodies.push(item.body().to_vec());
            }
            _ => input::warn_of_junk(item, place),
        }
        Ok(Status::Done)
    })?;
    if bodies.is_empty() {
        anyhow::bail!("{}: no message found, expected text that begins with MSH", file.display());
    }
    Ok(bodies)
}

struct Printer<'a> {
    json: bool,
    many: bool,
    number: usize,
    output: &'a mut Output,
}

impl Printer<'_> {
    fn print(&mut self, difference: &Difference, left: &Message, right: &Message) -> io::Result<()> {
        let text = |raw: Option<&[u8]>, message| raw.map(|raw| readable(raw, Some(message)));
        let (place, a, b) = match difference {
            Difference::Value { path, left: a, right: b } => {
                (Some(path.to_string()), text(*a, left), text(*b, right))
            }
            Difference::Removed { path, segment } => {
                (path.map(|path| path.to_string()), text(Some(segment), left), None)
            }
            Difference::Added { path, segment } => {
                (path.map(|path| path.to_string()), None, text(Some(segment), right))
            }
        };
        let place = place.unwrap_or_else(|| "?".into());
        if self.json {
            let line = serde_json::json!({ "message": self.number, "path": place, "a": a, "b": b });
            return writeln!(self.output, "{line}");
        }
        if self.many {
            write!(self.output, "message {}: ", self.number)?;
        }
        self.output.name(&place)?;
        let quoted = |text: Option<String>| text.map_or("absent".to_string(), |text| format!("\"{text}\""));
        match difference {
            Difference::Value { .. } => writeln!(self.output, ": {} -> {}", quoted(a), quoted(b)),
            Difference::Removed { .. } => writeln!(self.output, ": only in A: {}", a.unwrap_or_default()),
            Difference::Added { .. } => writeln!(self.output, ": only in B: {}", b.unwrap_or_default()),
        }
    }

    fn whole(&mut self, side: &str, body: &[u8]) -> io::Result<()> {
        let file = if side == "-" { "A" } else { "B" };
        let id = Message::parse(body)
            .map(|message| readable(message.control_id(), Some(&message)))
            .unwrap_or_default();
        match self.json {
            true => {
                let (a, b) = if side == "-" { (Some(&id), None) } else { (None, Some(&id)) };
                let line = serde_json::json!({ "message": self.number, "path": "MSH-10", "a": a, "b": b });
                writeln!(self.output, "{line}")
            }
            false => writeln!(self.output, "message {}: only in {file}: control id {id}", self.number),
        }
    }
}
