//! The `carevue-sim` program: a stand-in for CareVue, for tests, the demo and a newcomer. See carevue-sim(1).
//!
//! One `state` directory holds all that the simulated CareVue knows. `fsi` is the server that takes HL7 messages;
//! the commands of a CareVue host work on the same state: `idb`, `ptMgrSup`, `dbload` and `sysMsg`. `manner` is how
//! it misbehaves.

mod census;
mod commands;
mod dbload;
mod fsi;
mod idb;
mod manner;
mod rsh;
mod state;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use protogen_sys::exit::{Exit, command_line_ends};

/// The commands that a link to the program may be named after, as on a CareVue host.
const COMMANDS: [&str; 4] = ["idb", "ptMgrSup", "dbload", "sysMsg"];

/// Stands in for CareVue: takes HL7 messages, answers idb, ptMgrSup, dbload and sysMsg
#[derive(Debug, Parser)]
#[command(name = "carevue-sim", version, disable_help_subcommand = true)]
struct Cli {
    /// What the simulated CareVue knows
    #[arg(long, global = true, env = "CAREVUE_SIM_STATE", hide_env_values = true, value_name = "DIR")]
    state: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make the state directory: a care unit with its beds
    Init {
        /// The care unit, which is MSH-6 of what it receives
        #[arg(long, value_name = "NAME")]
        careunit: String,
        /// A bed; once for each
        #[arg(long, value_name = "NAME")]
        bed: Vec<String>,
    },
    /// Serve HL7 messages by ILLP, in the foreground
    Serve {
        /// Listen on this port or service
        #[arg(long, value_name = "SERVICE")]
        port: String,
        /// Listen on the addresses of this name
        #[arg(long, value_name = "HOST", default_value = "localhost")]
        host: String,
    },
    /// Print the patients: record number, bed, name
    Census,
    /// Print the results: record number, code, value, unit, flag
    Results,
    /// Print the system messages that were shown
    Messages,
    /// Put a patient into a bed, or on the waiting list without one
    Admit {
        /// The record number
        recno: String,
        /// The bed
        bed: Option<String>,
        /// The name
        #[arg(long, default_value = "")]
        name: String,
    },
    /// Answer otherwise from now on: real, honest, ae, ar, hang, close, lose, slow, late, no-rsh
    Misbehave {
        /// How
        manner: String,
        /// Seconds (slow) or looks (late)
        number: Option<f64>,
        /// For so many messages, then as the real one again
        #[arg(long, value_name = "COUNT")]
        times: Option<u32>,
    },
    /// Run a command as the remote shell would, with the CareVue commands on its path
    Rsh {
        /// LOGIN@HOST
        account: String,
        /// The command; several words are joined by blanks
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<OsString>,
    },
    /// Run the statements on standard input
    #[command(name = "idb")]
    Idb,
    /// The patient manager
    #[command(name = "ptMgrSup")]
    PtMgrSup {
        /// Print the census: record number, bed
        #[arg(short = 'c', required = true)]
        census: bool,
    },
    /// Load the entities of a file
    #[command(name = "dbload")]
    Dbload {
        /// The file: Class TAB attr=value ... a line
        file: PathBuf,
    },
    /// Show a system message
    #[command(name = "sysMsg")]
    SysMsg {
        /// Its text
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        text: Vec<OsString>,
    },
}

/// The command line, for manual pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program, under its own name or under that of one of CareVue's commands.
pub fn main() -> ExitCode {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    let name = arguments.first().and_then(|name| std::path::Path::new(name).file_name()?.to_str());
    let alias = COMMANDS.into_iter().find(|command| name == Some(command));
    if let Some(alias) = alias {
        arguments.insert(1, alias.into());
    }
    let tool = alias.unwrap_or("carevue-sim");
    let cli = command().try_get_matches_from(arguments).and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match cli {
        Ok(cli) => cli,
        Err(error) => return command_line_ends(&error, Exit::Usage),
    };
    let Some(directory) = cli.state.filter(|directory| !directory.as_os_str().is_empty()) else {
        eprintln!("{tool}: which state? --state DIR or CAREVUE_SIM_STATE is needed");
        return Exit::Usage.into();
    };
    let mut output = std::io::stdout().lock();
    let result = commands::run(cli.command, &directory, &mut output);
    match result.and_then(|exit| Ok(output.flush().map(|()| exit)?)) {
        Ok(status) => status.into(),
        // Whoever reads has enough.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{tool}: {error:#}");
            // The commands of a CareVue host know no other failure.
            if alias.is_some() { Exit::Negative.into() } else { Exit::Usage.into() }
        }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<std::io::Error>();
    error.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}
