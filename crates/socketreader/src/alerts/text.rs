//! What somebody is told: what is wrong, since when, how many messages wait, and the commands to look and to mend.

use std::fmt::Write;
use std::path::Path;
use std::time::SystemTime;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use protogen_sys::site::host_name;

use super::condition::{Condition, Kind};
use super::subject::Call;
use crate::config::{Config, StateDirFrom};
use crate::log;

/// One call in the making.
pub(super) struct Letter<'a> {
    pub(super) config: &'a Config,
    /// The connection, or [`log::GENERAL`].
    pub(super) name: &'a str,
    pub(super) call: &'a Call,
    /// Of a connection: how many messages wait, and since when the oldest does.
    pub(super) waiting: Option<(u64, Option<SystemTime>)>,
}

impl Letter<'_> {
    /// One line for a hurry.
    pub(super) fn subject(&self) -> String {
        let words = |conditions: &[Condition]| {
            let mut words: Vec<_> = conditions.iter().map(|condition| condition.kind.word()).collect();
            // Several certificates.
            words.dedup();
            words.join(", ")
        };
        let what = match self.call {
            Call::Recovered(conditions) => format!("recovered: {}", words(conditions)),
            Call::Alert { conditions, dead, .. } => {
                let dead = (*dead > 0).then(|| plural(*dead, "dead letter"));
                let words = Some(words(conditions)).filter(|words| !words.is_empty());
                words.into_iter().chain(dead).collect::<Vec<_>>().join(", ")
            }
        };
        match self.waiting {
            Some((count, _)) if count > 0 => {
                format!("{}: {what}; {} waiting", self.name, plural(count, "message"))
            }
            Some(_) => format!("{}: {what}", self.name),
            None => format!("{what} on {}", host_name()),
        }
    }

    pub(super) fn text(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut text);
        text
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        writeln!(out, "socketreader on {}, {}", host_name(), self.config.file.display())?;
        if let Some((count, oldest)) = self.waiting {
            write!(out, "connection {}: {} waiting", self.name, plural(count, "message"))?;
            match oldest {
                Some(oldest) if count > 0 => writeln!(out, ", the oldest since {}", local(oldest))?,
                _ => writeln!(out)?,
            }
        }
        match self.call {
            Call::Recovered(conditions) => {
                writeln!(out, "\nOver, {}:", local(SystemTime::now()))?;
                self.conditions(out, conditions)
            }
            Call::Alert { conditions, dead, begun } => {
                writeln!(out, "\nWrong:")?;
                self.conditions(out, conditions)?;
                if *dead > 0 {
                    writeln!(out, "  {} since this was told last", plural(*dead, "dead letter"))?;
                }
                let gone = u64::from(*begun).saturating_sub(conditions.len() as u64);
                if gone > 0 {
                    writeln!(out, "  and {} meanwhile that ended by themselves", plural(gone, "trouble"))?;
                }
                self.commands(out, conditions, *dead)?;
                let minutes = self.config.general.mail_interval.as_secs_f64() / 60.0;
                writeln!(out, "\nNothing more about this within {minutes:.0} minutes, but that it is over.")
            }
        }
    }

    fn conditions(&self, out: &mut String, conditions: &[Condition]) -> std::fmt::Result {
        for Condition { kind, since, text, .. } in conditions {
            writeln!(out, "  {}, since {}: {text}", kind.word(), local(*since))?;
        }
        Ok(())
    }

    fn commands(&self, out: &mut String, conditions: &[Condition], dead: u64) -> std::fmt::Result {
        let file = quoted(&self.config.file.to_string_lossy());
        // As systemd told us; a shell does not know it.
        let state = &self.config.general.statedir;
        let environment = match state.from {
            StateDirFrom::Environment => {
                format!("STATE_DIRECTORY={} ", quoted(&state.path.to_string_lossy()))
            }
            _ => String::new(),
        };
        let command = |words: &str| format!("    {environment}socketreader -c {file} {words}");
        // Paths of the configuration may be relative.
        let place = std::env::current_dir().ok().filter(|place| place != Path::new("/"));
        let place = place.map(|place| format!(" (in the directory {})", place.display())).unwrap_or_default();
        writeln!(out, "\nTo look{place}:\n{}", command("--queues"))?;
        if self.name == log::GENERAL {
            return Ok(());
        }
        let name = quoted(self.name);
        if dead > 0 {
            writeln!(out, "{}", command(&format!("--show {name} dead")))?;
        }
        for number in conditions.iter().filter_map(|condition| condition.message) {
            writeln!(out, "{}", command(&format!("--show {name} {number}")))?;
        }
        writeln!(out, "\nTo mend:")?;
        for Condition { kind, message, .. } in conditions {
            let message = message.map_or_else(|| "N".to_owned(), |number| number.to_string());
            let resume = || format!("--resume {name}");
            let remedy = match kind {
                Kind::Stopped => vec![resume()],
                Kind::Held | Kind::Unanswered | Kind::Pipe => {
                    vec![resume(), format!("--drop {name} {message}")]
                }
                Kind::Unreadable => vec!["--repair".to_owned()],
                _ => Vec::new(),
            };
            writeln!(out, "  {}", advice(kind))?;
            for words in remedy {
                writeln!(out, "{}", command(&words))?;
            }
        }
        if dead > 0 {
            writeln!(out, "  when the receiver is mended, send the dead letters again, or give them up:")?;
            writeln!(out, "{}", command(&format!("--resend {name} dead")))?;
            writeln!(out, "{}", command(&format!("--drop {name} dead")))?;
        }
        Ok(())
    }
}

/// What to do, before the commands for it.
fn advice(kind: &Kind) -> &'static str {
    match kind {
        Kind::Stopped => "mend what the answer says, then let it go on:",
        Kind::Unreadable => {
            "put the file back from a copy, and it goes on by itself; or stop the program, set aside what is damaged, and start it again:"
        }
        Kind::Held => {
            "mend the receiver; it is tried by itself. To try at once, or to give up the message that is tried:"
        }
        Kind::Down => "start the receiver, or mend the way to it; what waits is sent by itself.",
        Kind::Unwritable => "make the directory or room on its disk; it is tried by itself.",
        Kind::Pipe => {
            "mend the command of pipe; it is tried by itself. To try at once, or to give the message up:"
        }
        Kind::Old => "see what keeps the receiver; what waits is sent by itself.",
        Kind::Unanswered => "see why the receiver closes on this message. To try at once, or to give it up:",
        Kind::Mismatched => "the receiver names other messages in MSA-2: mend it there, or see matchack.",
        Kind::Process(_) => "",
    }
}

fn plural(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// In the time of the place, to the second.
fn local(time: SystemTime) -> String {
    let zoned = Timestamp::try_from(time).unwrap_or_default().to_zoned_datetime(TimeZone::system());
    zoned.strftime("%Y-%m-%d %H:%M:%S").to_string()
}

/// As one word of a shell.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-+,:@%".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_word_of_a_shell() {
        assert_eq!(quoted("/etc/socketReader.cfg"), "/etc/socketReader.cfg");
        assert_eq!(quoted("my lab"), "'my lab'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
