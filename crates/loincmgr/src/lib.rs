//! The `loincmgr` program: makes, changes, queries and dumps the LOINC table. See loincmgr(8).

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgAction, Command, value_parser};
use protogen_codes::loinc::Loinc;

/// The command line, for manual pages and shell completions.
pub fn command() -> Command {
    let extensions = Arg::new("extensions")
        .long("extensions")
        .value_name("FILE")
        .value_parser(value_parser!(PathBuf))
        .action(ArgAction::Append)
        .conflicts_with_all(["query", "delete", "dump", "reorganize"])
        .help("Load this file, too, as coding system LOINC+");
    protogen_manager::arguments(Command::new("loincmgr"), "")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Makes, changes, queries and dumps the LOINC table.")
        .arg(extensions)
}

/// Runs the program.
pub fn main() -> ExitCode {
    protogen_manager::main("loincmgr", command(), |run, output| {
        let extensions: Vec<PathBuf> =
            run.matches.get_many("extensions").unwrap_or_default().cloned().collect();
        run.table(&Loinc, &extensions, output)
    })
}
