//! Differences as text, or as a JSON object each.

use std::io::{self, Write};

use protogen_core::hl7::{Difference, Message, diff};
use protogen_journal::Stored;
use protogen_sys::log::printable;
use serde_json::{Value, json};

use super::given::{Given, settings};
use super::{Counts, Output};

pub(super) struct Teller {
    as_json: bool,
    out: io::StdoutLock<'static>,
    differs: bool,
}

/// A difference: the place, and what stands there before and after; `None` where there is nothing.
type Change = (String, Option<String>, Option<String>);

impl Teller {
    pub(super) fn new(as_json: bool) -> Teller {
        Teller { as_json, out: io::stdout().lock(), differs: false }
    }

    pub(super) fn has_differences(&self) -> bool {
        self.differs
    }

    /// What differs of an output whatever the message is.
    pub(super) fn settings(&mut self, output: &Output<'_>) -> io::Result<()> {
        let (Some(old), Some(new)) = (&output.old, &output.new) else {
            let (old, new) = (output.old.as_ref().map(|_| "in use"), output.new.as_ref().map(|_| "in use"));
            return self
                .setting(output.name, ("connection".into(), old.map(Into::into), new.map(Into::into)));
        };
        let (old, new) = (settings(old.connection), settings(new.connection));
        let value = |of: &[(&str, String)], name: &str| {
            of.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone())
        };
        let mut names: Vec<&str> = old.iter().chain(&new).map(|(name, _)| *name).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let (old, new) = (value(&old, name), value(&new, name));
            if old != new {
                self.setting(output.name, (name.to_owned(), old, new))?;
            }
        }
        Ok(())
    }

    fn setting(&mut self, output: &str, (option, old, new): Change) -> io::Result<()> {
        self.differs = true;
        if self.as_json {
            return self.line(&json!({ "connection": output, "option": option, "old": old, "new": new }));
        }
        let shown = |value: Option<String>| value.unwrap_or_else(|| "nothing".to_owned());
        let text = format!("{output}: {option}: {} -> {}", shown(old), shown(new));
        writeln!(self.out, "{}", printable(&format_args!("{text}")))
    }

    /// What differs of a message.
    pub(super) fn message(
        &mut self,
        output: &str,
        stored: &Stored,
        before: Option<Result<Given, String>>,
        after: Option<Result<Given, String>>,
    ) -> io::Result<()> {
        self.differs = true;
        let named = crate::log::Named(&stored.bytes).to_string();
        let sent = |given: Option<Result<Given, String>>| match given {
            Some(Ok(_)) => Some("sent".to_owned()),
            Some(Err(why)) => Some(why),
            None => None,
        };
        let changes: Vec<Change> = match (before, after) {
            (Some(Ok(before)), Some(Ok(after))) => changes(&before, &after),
            (before, after) => vec![("message".to_owned(), sent(before), sent(after))],
        };
        for (path, old, new) in changes {
            if self.as_json {
                let difference = json!({
                    "connection": output,
                    "message": stored.sequence,
                    "from": stored.connection,
                    "named": named,
                    "path": path,
                    "old": old,
                    "new": new,
                });
                self.line(&difference)?;
                continue;
            }
            let quoted =
                |text: &Option<String>| text.as_ref().map_or("nothing".into(), |text| format!("\"{text}\""));
            let what = match (path.as_str(), &old, &new) {
                ("message", _, None) => "no longer goes there".to_owned(),
                ("message", Some(old), Some(why)) if old == "sent" => format!("no longer goes there: {why}"),
                ("message", _, _) => "goes there".to_owned(),
                _ => format!("{path}: {} -> {}", quoted(&old), quoted(&new)),
            };
            let text = format!("{output}: message {} ({named}): {what}", stored.sequence);
            writeln!(self.out, "{}", printable(&format_args!("{text}")))?;
        }
        Ok(())
    }

    /// What it came to.
    pub(super) fn summary(&mut self, messages: u64, outputs: &[Output<'_>]) -> io::Result<()> {
        for Output { name, counts: Counts { same, changed, gone, added }, .. } in outputs {
            if self.as_json {
                let counts = json!({ "connection": name, "same": same, "changed": changed, "gone": gone, "added": added });
                self.line(&counts)?;
            } else {
                let text =
                    format!("{name}: {same} as before, {changed} changed, {gone} no longer, {added} new");
                writeln!(self.out, "{}", printable(&format_args!("{text}")))?;
            }
        }
        if !self.as_json {
            writeln!(self.out, "{messages} messages tried, none sent")?;
        }
        self.out.flush()
    }

    fn line(&mut self, value: &Value) -> io::Result<()> {
        writeln!(self.out, "{value}")
    }
}

/// The differences field by field; of what is no HL7 message, as a whole.
fn changes(before: &Given, after: &Given) -> Vec<Change> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut changes = Vec::new();
    if before.name != after.name {
        changes.push(("file name".to_owned(), before.name.clone(), after.name.clone()));
    }
    if before.message == after.message {
        return changes;
    }
    let (Ok(left), Ok(right)) = (Message::parse(&before.message), Message::parse(&after.message)) else {
        changes.push(("content".to_owned(), Some(text(&before.message)), Some(text(&after.message))));
        return changes;
    };
    let found = diff(&left, &right);
    if found.is_empty() {
        changes.push(("content".to_owned(), Some(text(&before.message)), Some(text(&after.message))));
    }
    for difference in found {
        let named = |path: Option<String>| path.unwrap_or_else(|| "a segment".to_owned());
        changes.push(match difference {
            Difference::Value { path, left, right } => (path.to_string(), left.map(text), right.map(text)),
            Difference::Removed { path, segment } => {
                (named(path.map(|path| path.to_string())), Some(text(segment)), None)
            }
            Difference::Added { path, segment } => {
                (named(path.map(|path| path.to_string())), None, Some(text(segment)))
            }
        });
    }
    changes
}
