//! socketreader: routes HL7 messages between sockets and files, and loses none. See socketreader(8).
//!
//! [`config`] reads and checks the configuration; `daemon` moves the messages.

mod backoff;
mod bell;
mod board;
pub mod config;
mod daemon;
mod engine;
mod feed;
mod files;
mod follow;
mod log;
mod rejects;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use config::{Config, Report, Scope};
use protogen_sys::exit::Exit;
use protogen_sys::log::printable;

/// Routes messages between sockets and files, and loses none that it acknowledged.
#[derive(Debug, Parser)]
#[command(name = "socketreader", version)]
struct Cli {
    /// The configuration, see socketReader.cfg(5)
    #[arg(short, long, value_name = "FILE", default_value = "socketReader.cfg")]
    configfile: PathBuf,
    /// Check the configuration, name all its faults, and start nothing
    #[arg(long)]
    check: bool,
    /// With --check: print the result as JSON
    #[arg(long, requires = "check")]
    json: bool,
    /// Set aside what is damaged in the journal, so that the program starts again
    #[arg(long, conflicts_with = "check")]
    repair: bool,
}

/// The command line, for manual pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version end here too, with status 0; a closed pipe is no reason to fail.
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage.into() } else { ExitCode::SUCCESS };
        }
    };
    let scope = if cli.check { Scope::Check } else { Scope::Start };
    let report = config::load(&cli.configfile, scope);
    // A program that starts writes the warnings to its log.
    if cli.check || report.config.is_none() {
        report.problems.iter().for_each(tell);
    }
    if cli.check {
        return check(&report, cli.json).into();
    }
    let Some(config) = report.config else { return Exit::Usage.into() };
    let done = if cli.repair { repair(&config) } else { run(config) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("socketreader: {}", printable(&format_args!("{error:#}")));
            Exit::TryLater.into()
        }
    }
}

fn tell(problem: &config::Problem) {
    eprintln!("socketreader: {}", printable(&format_args!("{problem}")));
}

/// Prints what the configuration comes to.
fn check(report: &Report, json: bool) -> Exit {
    let text = if json { format!("{:#}\n", report.json()) } else { report.summary() };
    // Whoever reads us may have enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if report.config.is_some() { Exit::Done } else { Exit::Usage }
}

/// Makes a damaged journal readable again, and says what was found.
fn repair(config: &Config) -> anyhow::Result<()> {
    let journal = config.general.statedir.journal();
    let found = protogen_journal::repair(&journal).map_err(anyhow::Error::msg)?;
    let mut text = String::new();
    for place in &found {
        let (first, end) = place.lost;
        let lost = match end.saturating_sub(first) {
            0 => "no message is lost".to_owned(),
            1 => format!("message {first} may be lost"),
            _ => format!("messages {first} to {} may be lost", end - 1),
        };
        text += &format!(
            "{}: bytes {} to {} are passed by from now on, {lost}; they are kept in {}\n",
            place.segment.display(),
            place.from,
            place.to,
            place.aside.display()
        );
    }
    if found.is_empty() {
        text = format!("{}: nothing is damaged\n", journal.display());
    }
    // Whoever reads us may have enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Moves messages as the configuration says, until SIGTERM. Its warnings go to the log.
///
/// # Errors
/// What keeps it from starting or going on.
pub fn run(config: Config) -> anyhow::Result<()> {
    daemon::run(config)
}
