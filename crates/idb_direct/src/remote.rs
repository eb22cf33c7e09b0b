//! CareVue's commands, run through the remote shell.

use std::io;
use std::time::{Duration, Instant};

use protogen_sys::carevue;
use protogen_sys::child::{self, Finished, Limits};
use protogen_sys::site::{CareVue, Site};

use crate::Failure;
use crate::settings::Settings;

/// The most that a command may print, in bytes: the census of 10,000 patients fits.
const MAX_OUTPUT: usize = 1 << 20;
/// How much of a command's complaint is told, in bytes.
const MAX_COMPLAINT: usize = 200;

/// The CareVue host, and the time left for it.
#[derive(Debug)]
pub(crate) struct Remote {
    host: CareVue,
    settings: Settings,
    /// Record numbers, which no complaint tells.
    private: Vec<Vec<u8>>,
    /// When all must be over.
    end: Instant,
}

impl Remote {
    /// # Errors
    /// A site that does not say which host. That is no fault of the message: it can be sent again when it is mended.
    pub(crate) fn new(site: &Site, settings: Settings, private: Vec<Vec<u8>>) -> Result<Remote, Failure> {
        let host = site.carevue().map_err(|error| Failure::Later(error.to_string()))?;
        let end = Instant::now() + settings.timeout;
        Ok(Remote { host, settings, private, end })
    }

    /// Allows so much more time.
    pub(crate) fn extend(&mut self, time: Duration) {
        self.end += time;
    }

    /// How much is left for everything.
    pub(crate) fn left(&self) -> Duration {
        self.end.saturating_duration_since(Instant::now())
    }

    /// Runs a command with this on its standard input; gives what it printed. The words were not quoted before.
    ///
    /// # Errors
    /// [`Failure::Later`], for a command that cannot be reached, fails, or takes too long.
    pub(crate) fn run(&self, words: &[&[u8]], input: &[u8]) -> Result<Vec<u8>, Failure> {
        let name = String::from_utf8_lossy(words.first().copied().unwrap_or_default()).into_owned();
        let command = carevue::command(&self.host, &self.settings.rsh, words);
        let mut command = command.map_err(|why| Failure::Wrong(format!("{name}: {why}")))?;
        let time = self.left().min(self.settings.timeout);
        if time.is_zero() {
            return Err(self.later(&name, "no time was left to ask"));
        }
        let limits = Limits { time, output: MAX_OUTPUT };
        let finished = child::run(&mut command, input, limits).map_err(|error| {
            let hint = if error.kind() == io::ErrorKind::NotFound { "; set PG_RSH" } else { "" };
            let program = self.settings.rsh.first().map_or("", String::as_str);
            self.later(&name, &format!("cannot run {program:?}: {error}{hint}"))
        })?;
        self.outcome(&name, finished)
    }

    fn outcome(&self, name: &str, finished: Finished) -> Result<Vec<u8>, Failure> {
        let Finished { status, stdout, stderr, timed_out } = finished;
        if timed_out {
            let limit = self.settings.timeout.as_secs_f64();
            return Err(self.later(name, &format!("no end in time (PG_IDB_TIMEOUT is {limit} s)")));
        }
        if !status.success() {
            let complaint = complaint(&stderr, &self.private);
            return Err(self.later(name, &format!("{status}{complaint}")));
        }
        if stdout.len() >= MAX_OUTPUT {
            return Err(self.later(name, &format!("more than {MAX_OUTPUT} bytes")));
        }
        Ok(stdout)
    }

    fn later(&self, name: &str, why: &str) -> Failure {
        Failure::Later(format!("{}@{}: {name}: {why}", self.host.login, self.host.host))
    }

    /// Shows a system message on CareVue's screens.
    pub(crate) fn show(&self, text: &[u8]) -> Result<(), Failure> {
        self.run(&[b"sysMsg", text], b"").map(drop)
    }
}

/// The last line of what a command complained of. A line with a quote may repeat a statement, and that a patient's
/// record number: only what stands before it is told; and where such a number stands alone, it is starred.
fn complaint(stderr: &[u8], private: &[Vec<u8>]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let mut line = line.to_owned();
    for number in private {
        line = starred(&line, &String::from_utf8_lossy(number));
    }
    let told: String = line
        .chars()
        .take_while(|c| !"\"'`".contains(*c))
        .map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' })
        .take(MAX_COMPLAINT)
        .collect();
    if told.is_empty() { told } else { format!(": {}", told.trim_end()) }
}

/// The line with `***` for each place where the number is no part of a longer word.
fn starred(line: &str, number: &str) -> String {
    let mut told = String::with_capacity(line.len());
    let mut rest = line;
    while let Some(place) = if number.is_empty() { None } else { rest.find(number) } {
        let (before, after) = (&rest[..place], &rest[place + number.len()..]);
        let is_part =
            before.chars().next_back().or(told.chars().next_back()).is_some_and(char::is_alphanumeric)
                || after.chars().next().is_some_and(char::is_alphanumeric);
        told.push_str(before);
        told.push_str(if is_part { number } else { "***" });
        rest = after;
    }
    told + rest
}

#[cfg(test)]
mod tests {
    use super::complaint;

    #[test]
    fn a_complaint_is_short_and_names_no_patient() {
        let complaint = |stderr: &[u8]| complaint(stderr, &[b"4711".to_vec(), Vec::new(), b"A B".to_vec()]);
        assert_eq!(complaint(b""), "");
        assert_eq!(complaint(b"banner\nssh: connect: refused\n\n"), ": ssh: connect: refused");
        assert_eq!(complaint(b"error at medRecNum = \"4711\""), ": error at medRecNum =");
        assert_eq!(
            complaint(b"4711: no patient 4711, line 47112, x4711; A B=4711"),
            ": ***: no patient ***, line 47112, x4711; ***=***"
        );
        assert_eq!(complaint(&[b'x'; 900]).len(), 202);
        assert_eq!(complaint(b"\x1b[31m\xCF"), ": ?[31m?");
    }
}
