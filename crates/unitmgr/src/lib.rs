//! The `unitmgr` program: makes, changes, queries and dumps the units table, and converts a value. See unitmgr(8).

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, anyhow, bail};
use clap::{Arg, ArgGroup, ArgMatches, Command};
use protogen_codes::table::Table;
use protogen_codes::units::{Constant, Decimal, Unit, Units, convert, parse_decimal};
use protogen_manager::{Output, Run};
use protogen_sys::exit::Exit;

/// The command line, for manual pages and shell completions.
pub fn command() -> Command {
    let convert = Arg::new("convert")
        .long("convert")
        .value_names(["VALUE", "FROM", "TO"])
        .num_args(3)
        .allow_negative_numbers(true)
        .help("Print a value in another unit");
    let constant = Arg::new("const")
        .long("const")
        .value_names(["VALUE", "UNIT"])
        .num_args(2)
        .conflicts_with_all([
            "create",
            "replace",
            "update",
            "exclude",
            "query",
            "delete",
            "dump",
            "reorganize",
        ])
        .help("The constant of --convert, such as a molar mass");
    protogen_manager::arguments(Command::new("unitmgr"), " | --convert VALUE FROM TO")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Makes, changes, queries and dumps the units table; converts values.")
        .args([convert, constant])
        .mut_group("action", |group| ArgGroup::arg(group, "convert"))
}

/// Runs the program.
pub fn main() -> ExitCode {
    protogen_manager::main("unitmgr", command(), |run, output| match words(run.matches, "convert")[..] {
        [value, from, to] => conversion(run, [value, from, to], output),
        _ => run.table(&Units, &[], output),
    })
}

fn words<'m>(matches: &'m ArgMatches, name: &str) -> Vec<&'m str> {
    matches.get_many::<String>(name).unwrap_or_default().map(String::as_str).collect()
}

fn conversion(run: &Run<'_>, [value, from, to]: [&str; 3], output: &mut Output) -> anyhow::Result<Exit> {
    let table = Table::open(Units, run.site.codes())?;
    let unit = |code: &str| -> anyhow::Result<Unit> { Ok(table.unit(code)??) };
    let (from, to) = (unit(from)?, unit(to)?);
    let constant = match words(run.matches, "const")[..] {
        [value, code] => Some((number(value).context("--const")?, unit(code).context("--const")?)),
        _ => None,
    };
    let constant = constant.as_ref().map(|(value, unit)| Constant { value: *value, unit });
    let result = match convert(number(value)?, &from, &to, constant) {
        Ok(result) => result,
        Err(error) => bail!(error),
    };
    writeln!(output, "{result} {}", to.code())?;
    Ok(Exit::Done)
}

fn number(text: &str) -> anyhow::Result<Decimal> {
    parse_decimal(text).ok_or_else(|| anyhow!("{text:?} is no number, expected one such as 8.0 or -20"))
}
