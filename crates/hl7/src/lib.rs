//! The `hl7` filter: HL7 v2 messages in the shell's hands. See hl7(1).

mod ack;
mod cat;
mod check;
mod diff;
mod get;
mod grep;
mod input;
mod listen;
mod net;
mod output;
mod send;
mod set;
mod trace;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use output::Output;
use protogen_sys::exit::{Exit, command_line_ends};
use std::io::Write;
use std::process::ExitCode;

/// How a run ended, short of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Status {
    /// Done, or found.
    Done,
    /// A negative answer: nothing found, a difference, a message at fault.
    Negative,
    /// What was asked for could not be done: a usage error, a file that cannot be read.
    Trouble,
    /// It could not be done now, and may succeed later: no connection, no answer.
    TryLater,
}

impl From<Status> for ExitCode {
    fn from(status: Status) -> ExitCode {
        ExitCode::from(match status {
            Status::Done => Exit::Done,
            Status::Negative => Exit::Negative,
            Status::Trouble => Exit::Usage,
            Status::TryLater => Exit::TryLater,
        })
    }
}

/// Reads, searches, changes and answers HL7 v2 messages.
///
/// Reads files or standard input: MLLP-framed, plain or batches, one message or many.
#[derive(Debug, Parser)]
#[command(name = "hl7", version, disable_help_subcommand = true)]
struct Cli {
    /// Refuse messages longer than this many bytes
    #[arg(long, global = true, hide_short_help = true, value_name = "BYTES", default_value_t = protogen_core::hl7::MAX_MESSAGE)]
    max_size: usize,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Cat(cat::Args),
    Get(get::Args),
    Grep(grep::Args),
    Set(set::Args),
    Check(check::Args),
    Ack(ack::Args),
    Diff(diff::Args),
    Send(send::Args),
    Listen(listen::Args),
    Trace(trace::Args),
}

/// The command line, for manual pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return command_line_ends(&error, Status::Trouble),
    };
    let mut output = Output::new();
    let result =
        run(&cli, &mut output).and_then(|status| output.flush().map(|()| status).map_err(Into::into));
    match result {
        Ok(status) => status.into(),
        // Whoever reads us has enough: `hl7 cat | head` ends quietly.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hl7: {}", output::cause(&error));
            Status::Trouble.into()
        }
    }
}

fn run(cli: &Cli, output: &mut Output) -> anyhow::Result<Status> {
    match &cli.command {
        Command::Cat(args) => cat::run(args, cli.max_size, output),
        Command::Get(args) => get::run(args, cli.max_size, output),
        Command::Grep(args) => grep::run(args, cli.max_size, output),
        Command::Set(args) => set::run(args, cli.max_size, output),
        Command::Check(args) => check::run(args, cli.max_size, output),
        Command::Ack(args) => ack::run(args, cli.max_size, output),
        Command::Diff(args) => diff::run(args, cli.max_size, output),
        Command::Send(args) => send::run(args, cli.max_size, output),
        Command::Listen(args) => listen::run(args, cli.max_size, output),
        Command::Trace(args) => trace::run(args, cli.max_size, output),
    }
}
