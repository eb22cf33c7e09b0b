//! The gateway between HL7 and CareVue. See cvgateway(8).
//!
//! [`main`] takes the command line; the server's loop accepts connections, and a thread each carries out one message:
//! it is read, judged by the access list, written to the journal, changed as [`decide`] and the [`profile`] say, sent
//! to CareVue and answered.

mod adt;
mod args;
mod census;
mod charset;
mod check;
pub mod decide;
pub mod fuzz;
mod gateway;
mod journal;
mod notices;
mod outgoing;
mod patient;
pub mod profile;
mod repeats;
mod reply;
mod results;
mod server;
mod session;
mod tables;
mod transaction;

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use args::Args;
use clap::{CommandFactory, FromArgMatches};
use gateway::Places;
use protogen_core::hl7hosts::Matching;
use protogen_sys::exit::{Exit, command_line_ends};
use protogen_sys::log::Setup;
use protogen_sys::services::Place;
use protogen_sys::site::Site;

/// The gateway's name: MSH-3 of what it sends, MSH-5 of what is meant for itself.
pub(crate) const APPLICATION: &str = "CVGATEWAY";

/// The command line, for manual pages and shell completions.
pub fn command() -> clap::Command {
    Args::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let args = command().try_get_matches().and_then(|matches| Args::from_arg_matches(&matches));
    let args = match args {
        Ok(args) => args,
        Err(error) => return command_line_ends(&error, Exit::Usage),
    };
    match run(&args) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("cvgateway: {error:#}");
            Exit::Usage.into()
        }
    }
}

fn run(args: &Args) -> Result<Exit> {
    let mut log = Setup::new("cvgateway").foreground(true).file(args.log.as_deref());
    if let Some(name) = &args.log_facility {
        let facility = name.parse().map_err(anyhow::Error::msg).context("--log-facility")?;
        log = log.foreground(false).facility(facility);
    }
    let log = log.install()?;
    let fsi = match (&args.fsi_service, &args.fsi_host) {
        (Some(service), Some(host)) => Some(format!("{service}%{host}").parse::<Place>()?),
        _ => None,
    };
    let places = |fsi: Place| Places {
        site: Site::from_environment(),
        matching: if args.exact { Matching::Exact } else { Matching::Default },
        fsi,
        stub: None,
    };
    if let Some(facility) = &args.facility {
        check_facility(facility)?;
    }
    if args.check {
        return check::check(args, &places(fsi.clone().unwrap_or("1".parse()?)), fsi.is_some());
    }
    let (Some(service), Some(fsi), Some(facility)) = (&args.service, fsi, &args.facility) else {
        bail!("expected SERVICE FSI_SERVICE FSI_HOST FACILITY");
    };
    match &args.dry_run {
        Some(file) => check::dry_run(places(fsi), facility, file),
        None => server::run(places(fsi), service, facility, &log).map(|()| Exit::Done),
    }
}

/// Serves as the program does, with idb_direct(8) played by a function from its arguments to its exit status: what the
/// gateway itself takes is measured so. `fsi` is `SERVICE%HOST`.
///
/// # Errors
/// As the program's.
pub fn serve_with(idb_direct: fn(&[OsString]) -> u8, service: &str, fsi: &str, facility: &str) -> Result<()> {
    let log = Setup::new("cvgateway").foreground(true).install()?;
    let places = Places {
        site: Site::from_environment(),
        matching: Matching::Default,
        fsi: fsi.parse()?,
        stub: Some(idb_direct),
    };
    server::run(places, service, facility, &log)
}

/// FACILITY names a directory and stands in every message.
fn check_facility(facility: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if facility.is_empty() || facility.starts_with('.') || !facility.chars().all(plain) || facility.len() > 60
    {
        bail!("FACILITY {facility:?}: expected letters, digits, '_', '-' and '.', such as 060_IOP");
    }
    Ok(())
}
