//! `hl7 grep`

use crate::Status;
use crate::input;
use crate::output::Output;
use protogen_core::hl7::{CharacterSet, Message, Path, Value};
use std::borrow::Cow;
use std::io::Write;
use std::path::PathBuf;

/// Print the messages that have a value, unchanged
///
/// PATH alone asks for a value that is neither empty nor ""; PATH=VALUE, PATH!=VALUE and PATH~VALUE for one that
/// equals VALUE, none that does, one that contains it. An index left out means any. Status 1: none was found.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the messages that do not match
    #[arg(short = 'v', long)]
    invert: bool,
    /// Print only the number of messages
    #[arg(short, long)]
    count: bool,
    /// Print nothing; the exit status tells
    #[arg(short, long, conflicts_with = "count")]
    quiet: bool,
    /// What to look for
    #[arg(value_name = "PATH[=|!=|~]VALUE", value_parser = condition)]
    condition: Condition,
    /// Files to read; standard input if there are none
    files: Vec<PathBuf>,
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    let mut count = 0u64;
    let status = input::each_message(&args.files, max_size, |message, item, _| {
        if args.condition.holds(message) == args.invert {
            return Ok(Status::Done);
        }
        count += 1;
        if !args.quiet && !args.count {
            // A message of a framed batch gets a frame of its own.
            let (before, after): (&[u8], &[u8]) = match item.framed {
                true => (b"\x0B", b"\x1C\r"),
                false => (b"", b""),
            };
            output.message(before, item.body(), after)?;
            output.flush()?;
        }
        Ok(Status::Done)
    })?;
    if args.count {
        writeln!(output, "{count}")?;
    }
    // A message that cannot be read may be the one looked for: that is trouble, not "none".
    Ok(match status {
        Status::Done if count > 0 => Status::Done,
        Status::Done => Status::Negative,
        _ if count == 0 && status == Status::Negative => Status::Negative,
        _ => Status::Trouble,
    })
}

#[derive(Debug, Clone)]
struct Condition {
    path: Path,
    operator: Operator,
    value: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Valued,
    Equals,
    Differs,
    Contains,
}

fn condition(text: &str) -> Result<Condition, String> {
    let operators = [("!=", Operator::Differs), ("=", Operator::Equals), ("~", Operator::Contains)];
    let at = text.find(['=', '!', '~']).unwrap_or(text.len());
    let (path, rest) = text.split_at(at);
    let path = input::path(path)?;
    if rest.is_empty() {
        return Ok(Condition { path, operator: Operator::Valued, value: String::new() });
    }
    operators
        .into_iter()
        .find_map(|(sign, operator)| {
            Some(Condition { path, operator, value: rest.strip_prefix(sign)?.into() })
        })
        .ok_or_else(|| format!("\"{rest}\" is no condition, expected =VALUE, !=VALUE or ~VALUE"))
}

impl Condition {
    fn holds(&self, message: &Message) -> bool {
        let set = CharacterSet::of(message).unwrap_or(CharacterSet::Ascii);
        let mut values = message.get_all(&self.path);
        let equals = |value: Value| set.decode(&bytes(&value)) == self.value;
        match self.operator {
            Operator::Valued => values.any(|value| value.is_valued()),
            Operator::Equals => values.any(equals),
            Operator::Differs => !values.any(equals),
            // In characters, not bytes: in Big5 two halves of two characters can look like a third.
            Operator::Contains => values.any(|value| set.decode(&bytes(&value)).contains(&self.value)),
        }
    }
}

/// A leaf's text, a composite as it stands.
fn bytes<'a>(value: &Value<'a>) -> Cow<'a, [u8]> {
    if value.is_leaf() { value.text() } else { Cow::Borrowed(value.raw()) }
}
