//! `hl7 cat`

use crate::Status;
use crate::input::{self, Place};
use crate::output::{Output, readable};
use protogen_core::hl7::{Item, Kind, Message, Segment, Value, display, field_name};
use std::io::{self, Write};
use std::path::PathBuf;

/// Print messages for reading: a segment a line, a blank line between messages
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the bytes exactly as they came
    #[arg(long, conflicts_with = "fields")]
    raw: bool,
    /// Print each valued field on a line of its own, with its HL7 name
    #[arg(long)]
    fields: bool,
    /// Files to read; standard input if there are none
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    let mut first = true;
    input::each_item(&args.files, max_size, |item, place| {
        if args.raw {
            output.write_all(item.raw)?;
            return Ok(Status::Done);
        }
        if item.kind == Kind::Other {
            input::warn_of_junk(item, place);
            return Ok(Status::Done);
        }
        if !std::mem::take(&mut first) {
            output.write_all(b"\n")?;
        }
        let status = print(item, place, args.fields, output)?;
        // A person or a program at the other end of a pipe may wait for this message.
        output.flush()?;
        Ok(status)
    })
}

fn print(item: &Item, place: &Place, fields: bool, output: &mut Output) -> io::Result<Status> {
    input::warn_of_half_frame(item, place);
    let message = match (item.kind, Message::parse(item.body())) {
        (Kind::Message, Err(error)) => {
            place.complain(item.body_offset(), error);
            print_lines(item.body(), output)?;
            return Ok(Status::Negative);
        }
        (_, Ok(message)) => message,
        // Headers and trailers of batches are lines like any other.
        (_, Err(_)) => return print_lines(item.body(), output).map(|()| Status::Done),
    };
    for segment in message.segments() {
        match fields {
            true => print_fields(&segment, &message, output)?,
            false => print_segment(segment.raw(), Some(&message), output)?,
        }
    }
    Ok(Status::Done)
}

/// Prints one message, or what should have been one, for reading.
pub(crate) fn print_message(bytes: &[u8], output: &mut Output) -> io::Result<()> {
    match Message::parse(bytes) {
        Ok(message) => {
            message.segments().try_for_each(|segment| print_segment(segment.raw(), Some(&message), output))
        }
        Err(_) => print_lines(bytes, output),
    }
}

fn print_lines(text: &[u8], output: &mut Output) -> io::Result<()> {
    let lines = text.split(|b| matches!(b, b'\r' | b'\n')).filter(|line| !line.is_empty());
    lines.into_iter().try_for_each(|line| print_segment(line, None, output))
}

fn print_segment(raw: &[u8], message: Option<&Message>, output: &mut Output) -> io::Result<()> {
    let text = readable(raw, message);
    let name = text.char_indices().nth(3).map_or(text.len(), |(at, _)| at);
    output.name(&text[..name])?;
    writeln!(output, "{}", &text[name..])
}

fn print_fields(segment: &Segment, message: &Message, output: &mut Output) -> io::Result<()> {
    let name = readable(segment.name(), Some(message));
    output.name(&name)?;
    output.write_all(b"\n")?;
    for (i, field) in segment.fields().enumerate() {
        for (r, value) in field.repetitions().enumerate().filter(|(_, value)| !value.is_empty()) {
            let n = i + 1;
            let place = if r == 0 { format!("{name}-{n}") } else { format!("{name}-{n}[{}]", r + 1) };
            let title = field_name(segment.name(), n).map_or("", |field| field.name);
            let text = shown(&value, message);
            let mut lines = text.lines();
            writeln!(output, "  {place:<10} {title:<32} {}", lines.next().unwrap_or(""))?;
            lines.try_for_each(|line| writeln!(output, "  {:<10} {:<32} {line}", "", ""))?;
        }
    }
    Ok(())
}

/// A leaf with its formatting carried out, a composite as it stands.
fn shown(value: &Value, message: &Message) -> String {
    if !value.is_leaf() || value.level() == protogen_core::hl7::Level::Literal {
        return readable(value.raw(), Some(message));
    }
    let text = display(value.raw(), value.delimiters());
    let lines: Vec<String> = text.split(|b| *b == b'\n').map(|line| readable(line, Some(message))).collect();
    lines.join("\n")
}
