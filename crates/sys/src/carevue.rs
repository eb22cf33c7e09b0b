//! Commands of the CareVue host, run through the remote shell.

use std::env;
use std::fmt;
use std::io;
use std::process::{Command, ExitStatus};
use std::time::Duration;

use crate::child::{self, Limits};
use crate::site::{CareVue, Site, SiteError};

/// The remote shell when `PG_RSH` is not set.
pub const DEFAULT_RSH: &str = "ssh -o BatchMode=yes";
/// The most that is kept of what a command for a system message prints, in bytes.
const MAX_OUTPUT: usize = 1024;

/// A command that CareVue did not carry out.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The site does not say which host.
    Site(SiteError),
    /// A word that no command line can have.
    Word(String),
    /// The remote shell cannot be run.
    Run {
        /// The remote shell.
        program: String,
        /// What the system said.
        source: io::Error,
    },
    /// It ended with a failure.
    Failed(ExitStatus),
    /// It did not end in time.
    TimedOut(Duration),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Site(error) => error.fmt(f),
            Error::Word(why) => f.write_str(why),
            Error::Run { program, source } => {
                let hint = if source.kind() == io::ErrorKind::NotFound { "; set PG_RSH" } else { "" };
                write!(f, "cannot run {program:?}: {source}{hint}")
            }
            Error::Failed(status) => status.fmt(f),
            Error::TimedOut(time) => write!(f, "no end within {} s", time.as_secs_f64()),
        }
    }
}

impl std::error::Error for Error {}

/// The remote shell and its options, as `PG_RSH` says.
#[must_use]
pub fn remote_shell() -> Vec<String> {
    shell_words(env::var("PG_RSH").ok())
}

/// The same of a value of `PG_RSH`; blank counts as unset.
#[must_use]
pub fn shell_words(value: Option<String>) -> Vec<String> {
    let shell = value.filter(|value| !value.trim().is_empty()).unwrap_or_else(|| DEFAULT_RSH.to_owned());
    shell.split_whitespace().map(str::to_owned).collect()
}

/// The command that runs these words on the host. The words were not quoted before.
///
/// # Errors
/// A word with NUL or a line end.
pub fn command(host: &CareVue, shell: &[String], words: &[&[u8]]) -> Result<Command, String> {
    let line = words.iter().map(|word| shell_word(word)).collect::<Result<Vec<_>, _>>()?.join(&b' ');
    let (program, options) = shell.split_first().map_or(("", &[][..]), |(p, o)| (p, o));
    let mut command = Command::new(program);
    command.args(options).arg(format!("{}@{}", host.login, host.host));
    command.arg(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(&line));
    Ok(command)
}

/// Runs a command on the host and gives what it printed, as far as its first KiB.
///
/// # Errors
/// Why it was not carried out.
pub fn run(site: &Site, words: &[&[u8]], limits: Limits) -> Result<Vec<u8>, Error> {
    let host = site.carevue().map_err(Error::Site)?;
    let shell = remote_shell();
    let mut command = command(&host, &shell, words).map_err(Error::Word)?;
    let finished = child::run(&mut command, b"", limits)
        .map_err(|source| Error::Run { program: shell.first().cloned().unwrap_or_default(), source })?;
    match finished.timed_out {
        true => Err(Error::TimedOut(limits.time)),
        false if !finished.status.success() => Err(Error::Failed(finished.status)),
        false => Ok(finished.stdout),
    }
}

/// Shows a system message on CareVue's screens. What is not plain text in it becomes `?`.
///
/// # Errors
/// Why it was not shown, within `time`.
pub fn show_system_message(site: &Site, text: &str, time: Duration) -> Result<(), Error> {
    let plain = |c: char| if c.is_ascii_alphanumeric() || " .:,-+_/()".contains(c) { c } else { '?' };
    let text: String = text.chars().map(plain).collect();
    run(site, &[b"sysMsg", text.as_bytes()], Limits { time, output: MAX_OUTPUT }).map(drop)
}

/// The text as one word of a shell's command line: for sh and its kin, and for csh, which knows no way to have a line
/// end within quotes and takes `!` for history even there.
///
/// # Errors
/// A text with NUL or a line end.
pub fn shell_word(text: &[u8]) -> Result<Vec<u8>, String> {
    if let Some(place) = text.iter().position(|byte| matches!(byte, 0 | b'\n' | b'\r')) {
        return Err(format!("byte 0x{:02X} at {}, which no command line can have", text[place], place + 1));
    }
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./:,@%+".contains(byte);
    if !text.is_empty() && text.iter().all(plain) {
        return Ok(text.to_vec());
    }
    let mut word = vec![b'\''];
    for byte in text {
        match byte {
            // Out of the quotes, the sign, and in again.
            b'\'' => word.extend(b"'\\''"),
            b'!' => word.extend(b"'\\!'"),
            byte => word.push(*byte),
        }
    }
    word.push(b'\'');
    Ok(word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_has_the_account_and_one_line() {
        let host = CareVue { login: "cv".into(), host: "sim".into() };
        let shell = shell_words(Some(" rsh  -n ".into()));
        let command = command(&host, &shell, &[b"sysMsg", b"it's down"]).unwrap();
        let words: Vec<_> = command.get_args().collect();
        assert_eq!(command.get_program(), "rsh");
        assert_eq!(words, ["-n", "cv@sim", "sysMsg 'it'\\''s down'"]);
        assert_eq!(shell_words(Some(" ".into())), ["ssh", "-o", "BatchMode=yes"]);
    }
}
