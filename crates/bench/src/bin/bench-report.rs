//! Prints the table of what criterion measured; status 1 if a row is below its target.

use protogen_bench::report;
use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let Some(directory) = std::env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: bench-report target/criterion");
        return ExitCode::from(2);
    };
    match report::read(&directory) {
        Ok(measured) => {
            let table = report::Table::of(&measured);
            print!("{table}");
            if table.holds() { ExitCode::SUCCESS } else { ExitCode::from(1) }
        }
        Err(error) => {
            eprintln!("bench-report: {error}");
            ExitCode::from(2)
        }
    }
}
