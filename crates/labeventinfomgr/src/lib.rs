//! The `labeventinfomgr` program: makes, changes, queries and dumps the LabEventInfo table, and makes CareVue's
//! LabEventMap from it. See labeventinfomgr(8).

use std::io::Write;
use std::ops::ControlFlow;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use clap::{Arg, ArgAction, ArgGroup, Command};
use protogen_codes::lab_event_info::{Charset, LabEventInfos};
use protogen_codes::lab_event_map::lab_event_map;
use protogen_codes::table::Table;
use protogen_codes::units::Units;
use protogen_manager::Run;
use protogen_sys::exit::Exit;

/// The command line, for manual pages and shell completions.
pub fn command() -> Command {
    let map = Arg::new("map")
        .short('M')
        .long("map")
        .action(ArgAction::SetTrue)
        .help("Print the idb script that makes LabEventMap");
    let careunit = Arg::new("careunit")
        .long("careunit")
        .value_name("NAME")
        .default_value("060_IOP")
        .help("The care unit of -M");
    let charset = Arg::new("charset")
        .long("charset")
        .value_name("NAME")
        .default_value(Charset::default().name())
        .value_parser(Charset::NAMES.map(|(name, _)| name))
        .hide_possible_values(true)
        .help("Of lines that are not UTF-8, and of -M: or latin1");
    protogen_manager::arguments(Command::new("labeventinfomgr"), " | -M")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Makes, changes, queries and dumps the LabEventInfo table.")
        .args([map, careunit, charset])
        .mut_group("action", |group| ArgGroup::arg(group, "map"))
}

/// Runs the program.
pub fn main() -> ExitCode {
    protogen_manager::main("labeventinfomgr", command(), |run, output| {
        let name = run.matches.get_one::<String>("charset").map(String::as_str);
        let charset = Charset::NAMES.into_iter().find(|(own, _)| Some(*own) == name);
        let charset = charset.map(|(_, charset)| charset).unwrap_or_default();
        if !run.matches.get_flag("map") {
            let exit = run.table(&LabEventInfos { charset }, &[], output)?;
            if ["create", "replace", "update"].iter().any(|name| run.matches.contains_id(name)) {
                check_units(run)?;
            }
            return Ok(exit);
        }
        let careunit = run.matches.get_one::<String>("careunit").context("--careunit")?;
        let table = Table::lab_event_info(run.site.codes())?;
        let script =
            lab_event_map(&table, careunit, charset)?.map_err(|why| anyhow!("no script made: {why}"))?;
        output.write_all(&script)?;
        Ok(Exit::Done)
    })
}

/// Warns of units that the gateway will not know. Without a units table there is nothing to ask.
fn check_units(run: &Run<'_>) -> anyhow::Result<()> {
    let Ok(units) = Table::open(Units, run.site.codes()) else { return Ok(()) };
    let mut codes = Vec::new();
    Table::lab_event_info(run.site.codes())?.each(|row| {
        codes.extend([4, 5].map(|place| (row.field(0).to_owned(), row.field(place).to_owned())));
        ControlFlow::Continue(())
    })?;
    for (id, code) in codes.into_iter().filter(|(_, code)| !code.is_empty()) {
        if let Err(error) = units.unit(&code)? {
            run.warn(&format!("{id}: {error}; its results will be left out"));
        }
    }
    Ok(())
}
