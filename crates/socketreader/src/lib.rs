//! socketreader: routes HL7 messages between sockets and files, and loses none. See socketreader(8).
//!
//! [`config`] reads and checks the configuration; `daemon` moves the messages.

pub mod config;
mod daemon;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser};
use protogen_sys::exit::Exit;

/// Routes messages between sockets and files. Nothing it acknowledged is lost.
#[derive(Debug, Parser)]
#[command(name = "socketreader", version)]
struct Cli {
    /// The configuration
    #[arg(short, long, value_name = "FILE", default_value = "socketReader.cfg")]
    configfile: PathBuf,
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
    eprintln!("socketreader: {}: the parser is being written", cli.configfile.display());
    Exit::Usage.into()
}

/// Moves messages as the configuration says, until SIGTERM.
///
/// # Errors
/// What keeps it from starting or going on.
pub fn run(config: config::Config) -> anyhow::Result<()> {
    daemon::run(config)
}
