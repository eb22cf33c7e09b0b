//! What the menu offers for a message.

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use protogen_core::hl7::{Severity, check, readable_lines};
use protogen_sys::carevue;
use protogen_sys::child::Limits;
use protogen_sys::durable;
use protogen_sys::files::RealFiles;
use protogen_sys::log::printable;
use protogen_sys::site::host_name;

use super::message::{Desk, Work};
use super::other;
use crate::batch::shown;
use crate::delivery::{self, describe};
use crate::list::time;

/// How much of CareVue's log is fetched, and within which time.
const LOG_LINES: &str = "2000";
const LOG_LIMITS: Limits = Limits { time: Duration::from_secs(30), output: 4 << 20 };
/// How many originals of one message the log can hold.
const MAX_ORIGINALS: usize = 1000;

impl Desk<'_> {
    /// `v`: the message and the last answer, for reading.
    pub(super) fn view(&self, work: &Work) -> io::Result<()> {
        self.screen.page(&dossier(work))
    }

    /// `l`: the end of CareVue's own log.
    pub(super) fn show_carevue_log(&self) -> io::Result<()> {
        let (site, path) = (self.site.clone(), self.queue.manner.carevue_log.clone());
        self.screen.say(&format!("fetching {path}"))?;
        let (fetched, _) = self.screen.while_working(move || {
            carevue::run(&site, &[b"tail", b"-n", LOG_LINES.as_bytes(), path.as_bytes()], LOG_LIMITS)
        })?;
        match fetched {
            Some(Ok(text)) => {
                let text = String::from_utf8_lossy(&text);
                let lines = text.lines().map(|line| printable(&format_args!("{line}")) + "\n");
                self.screen.page(&lines.collect::<String>())
            }
            Some(Err(error)) => self.screen.say(&format!("  no log: {error}")),
            None => self.screen.say("  not waited for"),
        }
    }

    /// `r`: what the operator says of it, with the message and the answer, behind what the file has already.
    pub(super) fn report(&self, work: &Work) -> io::Result<()> {
        let Some(remark) = self.screen.ask_line("What is the problem?")? else { return Ok(()) };
        let path = self.spool.log().join("REPORT");
        let mut text = format!("==== {} {}\n", time(SystemTime::now()), self.operator());
        let _ = write!(text, "{}\n\n{}\n", printable(&format_args!("{remark}")), dossier(work));
        let mut options = OpenOptions::new();
        let mut file = options.append(true).create(true).mode(0o600).open(&path)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        log::info!("{}: {}: a problem report was written", self.queue.name, shown(work.name));
        self.screen.say(&format!("  written to {}", path.display()))
    }

    /// `d`: to the log as if it had been taken; whether the operator stayed with it.
    pub(super) fn delete(&self, work: &Work) -> io::Result<bool> {
        if !self.screen.confirms("Delete it from the queue, as if it had been taken?")? {
            return Ok(false);
        }
        let mut answer =
            format!("deleted at {} by {}\n", time(SystemTime::now()), self.operator()).into_bytes();
        answer.extend_from_slice(&work.answer);
        let log_name = self.move_to_log(work, &answer).map_err(other)?;
        log::warn!(
            "{}: {} deleted by the operator, {log_name} in the log",
            self.queue.name,
            describe(&work.bytes)
        );
        self.screen.say(&format!("  deleted; in the log as {log_name}"))?;
        Ok(true)
    }

    /// `e`: a copy is edited, checked, and takes the message's place; the original goes to the log.
    pub(super) fn edit(&self, work: &mut Work) -> io::Result<()> {
        let copy = Copy(self.spool.spool().join(dotted(work, ".edit.tmp")));
        let end = LineEnd::of(&work.bytes);
        durable::write(&RealFiles, &copy.0, &end.lines(&work.bytes)).map_err(other)?;
        loop {
            if !self.screen.edit(&copy.0)? {
                return self.screen.say("  the editor failed; the message is as it was");
            }
            let Some(lines) = delivery::read(&copy.0)? else {
                return self.screen.say("  the copy is gone; the message is as it was");
            };
            if lines == end.lines(&work.bytes) {
                return self.screen.say("  nothing was changed");
            }
            let edited = end.restored(&lines);
            if self.is_sound(&edited)? {
                return self.replace(work, edited);
            }
            if !self.screen.confirms("Edit it again? (n: the message is as it was)")? {
                return Ok(());
            }
        }
    }

    /// Shows what is out of order; whether the message can be sent.
    fn is_sound(&self, bytes: &[u8]) -> io::Result<bool> {
        let findings = check(bytes);
        for finding in &findings {
            let line =
                bytes[..finding.offset.min(bytes.len())].iter().filter(|byte| **byte == b'\r').count() + 1;
            self.screen
                .say(&format!("  line {line}: {} {}: {}", finding.severity, finding.place, finding.text))?;
        }
        Ok(findings.iter().all(|finding| finding.severity != Severity::Error))
    }

    fn replace(&self, work: &mut Work, edited: Vec<u8>) -> io::Result<()> {
        let original = self.keep_original(work)?;
        durable::write(&RealFiles, &work.path, &edited).map_err(other)?;
        self.spool.clear_negative(work.name).map_err(other)?;
        log::warn!(
            "{}: {} edited by the operator, now {}; the original is {}",
            self.queue.name,
            describe(&work.bytes),
            describe(&edited),
            original.display()
        );
        self.screen.say(&format!("  changed; the original is {}", original.display()))?;
        (work.bytes, work.answer, work.told) = (edited, Vec::new(), String::new());
        Ok(())
    }

    /// As `NAME.orig`, `NAME.orig.2` and so on: each edit keeps what was before it.
    fn keep_original(&self, work: &Work) -> io::Result<PathBuf> {
        for number in 1..=MAX_ORIGINALS {
            let mut name = work.name.to_owned();
            name.push(if number == 1 { ".orig".to_owned() } else { format!(".orig.{number}") });
            let path = self.spool.log().join(name);
            match durable::write_new(&RealFiles, &path, &work.bytes) {
                Ok(()) => return Ok(path),
                Err(error) if error.is_taken() => {}
                Err(error) => return Err(other(error)),
            }
        }
        Err(io::Error::other("the log has too many originals of it"))
    }

    /// Who is at the terminal.
    fn operator(&self) -> String {
        let user = std::env::var("LOGNAME").or_else(|_| std::env::var("USER")).unwrap_or_else(|_| "?".into());
        printable(&format_args!("{user} on {}", host_name()))
    }
}

/// What is known of a message.
fn dossier(work: &Work) -> String {
    let mut text = format!("Message {}\n", work.path.display());
    for line in readable_lines(&work.bytes) {
        let _ = writeln!(text, "{line}");
    }
    match work.answer.is_empty() {
        true => text.push_str("\nNo answer.\n"),
        false => {
            text.push_str("\nAnswer\n");
            for line in readable_lines(&work.answer) {
                let _ = writeln!(text, "{line}");
            }
        }
    }
    if !work.told.is_empty() {
        let _ = writeln!(text, "\nLast attempt: {}", work.told);
    }
    text
}

/// `.NAME` with an ending: no reader takes it for a message, and one that ends in `.tmp` goes in a day if we are killed.
fn dotted(work: &Work, suffix: &str) -> std::ffi::OsString {
    let mut name = std::ffi::OsString::from(".");
    name.push(work.name);
    name.push(suffix);
    name
}

/// The copy that is edited; removed at the end.
struct Copy(PathBuf);

impl Drop for Copy {
    fn drop(&mut self) {
        let path: &Path = &self.0;
        // The next edit writes it anew.
        let _ = fs::remove_file(path);
    }
}

/// How a message ends its segments: an editor wants lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LineEnd {
    Cr,
    CrLf,
    Lf,
}

impl LineEnd {
    fn of(bytes: &[u8]) -> LineEnd {
        match bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
            Some(place) if bytes[place] == b'\n' => LineEnd::Lf,
            Some(place) if bytes.get(place + 1) == Some(&b'\n') => LineEnd::CrLf,
            _ => LineEnd::Cr,
        }
    }

    fn lines(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            LineEnd::Lf => bytes.to_vec(),
            LineEnd::Cr => bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte }).collect(),
            LineEnd::CrLf => bytes.iter().copied().filter(|byte| *byte != b'\r').collect(),
        }
    }

    fn restored(self, lines: &[u8]) -> Vec<u8> {
        let end: &[u8] = match self {
            LineEnd::Lf => b"\n",
            LineEnd::Cr => b"\r",
            LineEnd::CrLf => b"\r\n",
        };
        let mut bytes = Vec::with_capacity(lines.len());
        for byte in lines {
            match byte {
                b'\n' => bytes.extend_from_slice(end),
                byte => bytes.push(*byte),
            }
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_edited_is_the_same() {
        for bytes in [&b"MSH|\rPID|\r"[..], b"MSH|\r\nPID|\r\n", b"MSH|\nPID|", b"MSH|", b""] {
            let end = LineEnd::of(bytes);
            assert_eq!(end.restored(&end.lines(bytes)), bytes, "{end:?}");
        }
        assert_eq!(LineEnd::Cr.restored(b"MSH|\nPID|1\n"), b"MSH|\rPID|1\r");
    }
}
