//! The `idb_direct` program: which bed is occupied, which patient is known, asked of CareVue's own database; and the
//! admit observations, written to it. See idb_direct(8).
//!
//! The answer is the exit status: `bits`. `args` takes the command line, `value` what may not pass, `remote` runs
//! CareVue's commands, `census` asks, `commit` writes, `report` tells the administrator, `told` keeps from telling
//! twice.

mod args;
mod bits;
mod census;
mod commit;
mod remote;
mod report;
mod settings;
mod told;
pub mod value;

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use args::Request;
use protogen_sys::exit::command_line_ends;
use protogen_sys::site::Site;
use remote::Remote;
use settings::Settings;

/// The error flag: what was asked cannot be answered, and asking again does not help.
pub const ERROR: u8 = 128;
/// CareVue could not be asked; try later.
pub const TRY_LATER: u8 = 192;

/// A question without an answer. Its text names no record number: that belongs to a patient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The command line is wrong.
    Usage(String),
    /// What is asked for is not there or cannot be.
    Wrong(String),
    /// CareVue could not be asked, or did not do it.
    Later(String),
}

impl Failure {
    /// The exit status.
    fn status(&self) -> u8 {
        match self {
            Failure::Usage(_) | Failure::Wrong(_) => ERROR,
            Failure::Later(_) => TRY_LATER,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Failure::Usage(why) | Failure::Wrong(why) | Failure::Later(why)) = self;
        f.write_str(why)
    }
}

impl std::error::Error for Failure {}

/// The command line, for manual pages and shell completions.
pub fn command() -> clap::Command {
    args::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return command_line_ends(&error, ERROR),
    };
    let site = Site::from_environment();
    let request = match Request::new(&matches) {
        Ok(request) => request,
        Err(failure) => return fail(&failure, &site, "the command line"),
    };
    match run(&request, &site) {
        Ok(status) => status.into(),
        Err(failure) => fail(&failure, &site, &request.place()),
    }
}

/// Tells the reason. Who makes a mistake in typing sees it; all else is the administrator's, too.
fn fail(failure: &Failure, site: &Site, place: &str) -> ExitCode {
    say(&failure.to_string());
    if !matches!(failure, Failure::Usage(_)) {
        report::mail(site, &failure.to_string(), place);
    }
    failure.status().into()
}

/// Asks, and with `-c` waits and writes.
fn run(request: &Request, site: &Site) -> Result<u8, Failure> {
    let settings = Settings::from_environment()?;
    let private = request.pairs.iter().map(|pair| pair.recno.clone()).collect();
    let mut remote = Remote::new(site, settings.clone(), private)?;
    if !request.commit {
        return Ok(bits::status(&census::ask(&remote, &request.pairs)?));
    }
    commit::run(&mut remote, request, site, &settings)
}

/// Writes a line to standard error. Nobody may be reading; the status says enough then.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "idb_direct: {text}");
}
