//! The `hl7tocv` program: sends the messages of spool directories to the gateway. See hl7tocv(8).
//!
//! [`queues`] reads which queues there are; `batch` is a run as cron starts it, `operator` the one at a terminal, and
//! both attempt a message as `delivery` does. `reports` tells the administrator, `list` a monitoring script.

mod args;
mod batch;
mod delivery;
mod list;
mod operator;
pub mod queues;
mod reports;
pub mod settings;

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use args::{Args, Mode};
use clap::{CommandFactory, FromArgMatches};
use protogen_core::llp::illp::is_token;
use protogen_sys::exit::{Exit, command_line_ends};
use protogen_sys::log::Setup;
use protogen_sys::site::Site;
use protogen_sys::spool;
use queues::Queues;
use settings::{ABLHL7TOCV, HL7TOCV, Queue};

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
            eprintln!("{}: {error:#}", own_name());
            Exit::Usage.into()
        }
    }
}

/// The name that the program was called by: it has two.
fn own_name() -> &'static str {
    let called = std::env::args_os().next().unwrap_or_default();
    match Path::new(&called).file_name().is_some_and(|name| name == "ablhl7tocv") {
        true => "ablhl7tocv",
        false => "hl7tocv",
    }
}

fn run(args: &Args) -> Result<Exit> {
    let site = Site::from_environment();
    let queues = queues::read(&site)?;
    let chosen = choose(args, &queues, &site)?;
    if args.check {
        return check(&queues, &site);
    }
    if args.list {
        let (text, exit) = list::list(&chosen, args.json)?;
        // Nobody may be reading any more; the status says the rest.
        let _ = std::io::stdout().write_all(text.as_bytes());
        return Ok(exit);
    }
    let run_log = args.run_log.as_deref().or(queues.run_log.as_deref());
    let run_log = if args.log_facility.is_some() { None } else { run_log };
    // The operator's terminal is not the log's.
    let mut log = Setup::new(own_name()).file(run_log).terminal(args.mode.is_some());
    if let Some(name) = &args.log_facility {
        log = log.facility(name.parse().map_err(anyhow::Error::msg).context("--log-facility")?);
    }
    if args.mode.is_none() && !(std::io::stdin().is_terminal() && std::io::stdout().is_terminal()) {
        bail!("the operator's mode needs a terminal; for cron: {} batch", own_name());
    }
    log.install()?;
    match args.mode {
        Some(Mode::Batch) => Ok(batch::run_all(&chosen, &site)),
        None => operator::run(&chosen, &site),
    }
}

/// The queues that the command line means, with what it sets for them.
fn choose(args: &Args, queues: &Queues, site: &Site) -> Result<Vec<Queue>> {
    let everything = args.all || args.list && args.queue.is_none() && args.spool.is_none();
    let mut chosen = match (&args.spool, &args.log, &args.queue) {
        (Some(spool), Some(log), _) => {
            let absolute =
                |path: &Path| std::path::absolute(path).with_context(|| path.display().to_string());
            let (spool, log) = (absolute(spool)?, absolute(log)?);
            if spool == log {
                bail!("--spool and --log are the same directory");
            }
            let name = spool.display().to_string();
            vec![Queue { name, named: false, spool, log, manner: queues.common.clone() }]
        }
        (_, _, Some(name)) => vec![queues.named(name, site, &site.etc("queues"))?],
        _ if everything => queues.queues.clone(),
        _ => {
            let name = if own_name() == "ablhl7tocv" { ABLHL7TOCV } else { HL7TOCV };
            vec![queues.named(name, site, &site.etc("queues"))?]
        }
    };
    if let Some(cid) = args.cid.as_ref().filter(|cid| !is_token(cid.as_bytes())) {
        bail!("--cid {cid:?}: expected at most 63 printable ASCII characters without blanks");
    }
    for queue in &mut chosen {
        if let Some(gateway) = &args.gateway {
            queue.manner.gateway = gateway.clone();
        }
        if let Some(cid) = &args.cid {
            queue.manner.cid.clone_from(cid);
        }
    }
    Ok(chosen)
}

/// `--check`: the file was read; its directories and gateways are looked for.
fn check(queues: &Queues, site: &Site) -> Result<Exit> {
    let mut exit = Exit::Done;
    let mut complain = |queue: &Queue, what: String| {
        eprintln!("{}: {}: [{}]: {what}", own_name(), site.etc("queues").display(), queue.name);
        exit = Exit::Usage;
    };
    for queue in &queues.queues {
        if let Err(error) = spool::Queue::open(&queue.spool, &queue.log) {
            complain(queue, error.to_string());
        }
        if let Err(error) = queue.manner.gateway.to_connect() {
            complain(queue, format!("gateway: {error}"));
        }
    }
    Ok(exit)
}
