//! The LLP driver: a line that speaks X3.28, HLLP or MLLP on one side, programs that speak ILLP on the other. See
//! llpdrv(8).
//!
//! [`main`] takes the command line; the startup process binds what can fail and forks; the driver is one event loop.

mod answer;
mod args;
mod bind;
mod driver;
mod medium;
mod settings;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use args::{Config, Stay};
use bind::Bound;
use protogen_sys::daemon::{self, Detached, Readiness};
use protogen_sys::exit::{Exit, command_line_ends};
use protogen_sys::log::Setup;

/// How long the startup process waits for the server.
const START_LIMIT: Duration = Duration::from_secs(30);

/// The command line, for manual pages and shell completions.
pub fn command() -> clap::Command {
    args::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let matches = match command().try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return command_line_ends(&error, Exit::Usage),
    };
    match run(&matches) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("llpdrv: {error:#}");
            Exit::Usage.into()
        }
    }
}

fn run(matches: &clap::ArgMatches) -> Result<()> {
    if matches.get_flag("settings") {
        print!("{}", settings::profile::write(&args::settings(matches, false)?));
        return Ok(());
    }
    let config = Config::new(matches)?;
    let bound = Bound::new(&config)?;
    if config.check {
        return Ok(());
    }
    match config.stay {
        Stay::Stays => serve(config, bound, None),
        Stay::Leaves => {
            daemon::leave_terminal().context("cannot leave the terminal")?;
            serve(config, bound, None)
        }
        Stay::Detached => detach(config, bound),
    }
}

/// Forks. The startup process prints the server's process id and nothing else.
fn detach(config: Config, bound: Bound) -> Result<()> {
    match daemon::detach()? {
        Detached::Startup(starting) => {
            let started = starting.wait(START_LIMIT);
            if started.is_ok() {
                bound.owner.leave();
            }
            println!("{}", started?);
            Ok(())
        }
        Detached::Server(readiness) => {
            bound.owner.take();
            serve(config, bound, Some(readiness))
        }
    }
}

fn serve(config: Config, bound: Bound, readiness: Option<Readiness>) -> Result<()> {
    let foreground = config.stay == Stay::Stays;
    let level = if config.dialogue { log::LevelFilter::Debug } else { log::LevelFilter::Info };
    let log = Setup::new("llpdrv")
        .foreground(foreground)
        .file(config.log.as_deref())
        .facility(config.facility)
        .level(level)
        .install();
    let driver = log.map_err(anyhow::Error::from).and_then(|log| driver::Driver::new(config, bound, log));
    match (driver, readiness) {
        (Ok(mut driver), readiness) => {
            driver.announce(readiness)?;
            driver.run().inspect_err(|error| log::error!("{error:#}"))
        }
        (Err(error), Some(readiness)) => {
            readiness.failed(Exit::Usage.status(), &format!("{error:#}"));
            Ok(())
        }
        (Err(error), None) => Err(error),
    }
}
