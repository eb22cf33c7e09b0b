//! socketreader: routes HL7 messages between sockets and files, and loses none. See socketreader(8).
//!
//! [`config`] reads and checks the configuration; `daemon` moves the messages.

mod alerts;
mod backoff;
mod bell;
mod board;
pub mod config;
mod control;
mod daemon;
mod engine;
mod feed;
mod files;
mod follow;
mod gate;
mod guard;
mod log;
mod metrics;
mod rejects;
mod reload;
mod tls;
mod tryout;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{ArgGroup, CommandFactory, FromArgMatches, Parser};
use config::{Config, Report, Scope};
use control::{Change, select::Which};
use protogen_sys::daemon::Detached;
use protogen_sys::exit::{Exit, command_line_ends};
use protogen_sys::log::printable;
use tryout::Since;

/// How long the server may take to be ready: a large journal is looked through.
const START_LIMIT: Duration = Duration::from_secs(300);

/// Routes messages between sockets and files, and loses none that it acknowledged.
#[derive(Debug, Parser)]
#[command(name = "socketreader", version)]
#[command(
    override_usage = "socketreader [OPTIONS] [MESSAGES]...",
    after_help = "MESSAGES: N, N-M, N-, dead, waiting, id:CONTROL-ID"
)]
#[command(group = ArgGroup::new("action").args([
    "check", "repair", "queues", "show", "export", "resend", "drop", "pause", "resume", "follow", "try_out",
]))]
struct Cli {
    /// Configuration
    #[arg(short, long, value_name = "FILE", default_value = "socketReader.cfg")]
    configfile: PathBuf,
    /// Name all faults of the configuration
    #[arg(long)]
    check: bool,
    /// Serve in the background; prints the process id
    #[arg(long, conflicts_with = "action")]
    daemon: bool,
    /// Keep the process id in a file, locked while it runs
    #[arg(long, value_name = "FILE", conflicts_with = "action")]
    pidfile: Option<PathBuf>,
    /// Set aside what is damaged in the journal
    #[arg(long)]
    repair: bool,
    /// Print how the queues stand
    #[arg(long)]
    queues: bool,
    /// List messages; one alone is shown whole
    #[arg(long, value_name = "CONNECTION")]
    show: Option<String>,
    /// Write messages to standard output
    #[arg(long, value_name = "CONNECTION", requires = "messages")]
    export: Option<String>,
    /// Send messages again, or after all
    #[arg(long, value_name = "CONNECTION", requires = "messages")]
    resend: Option<String>,
    /// Give messages up
    #[arg(long, value_name = "CONNECTION", requires = "messages")]
    drop: Option<String>,
    /// Send nothing more there
    #[arg(long, value_name = "CONNECTION")]
    pause: Option<String>,
    /// Go on sending there
    #[arg(long, value_name = "CONNECTION")]
    resume: Option<String>,
    /// Print a line for each delivery
    #[arg(long)]
    follow: bool,
    /// Show what NEW would send differently [--since TIME]
    #[arg(long = "try", value_name = "NEW")]
    try_out: Option<PathBuf>,
    /// With --try: from when on; 2026-11-28T03:00, 24h, 7d
    #[arg(long, value_name = "TIME", requires = "try_out", allow_hyphen_values = true, hide = true)]
    since: Option<Since>,
    /// Print what an action finds as JSON
    #[arg(long, requires = "action", conflicts_with = "repair")]
    json: bool,
    /// With --show, --export, --resend, --drop: N, N-M, N-, dead, waiting, id:CONTROL-ID
    #[arg(hide = true, conflicts_with_all = ["check", "repair", "queues", "pause", "resume", "follow", "try_out"])]
    messages: Vec<Which>,
}

/// The command line, for manual pages and shell completions.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs the program.
pub fn main() -> ExitCode {
    let cli = match command().try_get_matches().and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => cli,
        Err(error) => return command_line_ends(&error, Exit::Usage),
    };
    let scope = if cli.check { Scope::Check } else { Scope::Start };
    let report = config::load(&cli.configfile, scope);
    // A program that starts writes the warnings to its log.
    if cli.check || report.config.is_none() {
        report.problems.iter().for_each(tell);
    }
    if cli.check {
        return check(&report, cli.json).into();
    }
    let Some(config) = report.config else { return Exit::Usage.into() };
    match act(cli, config) {
        Ok(exit) => exit.into(),
        Err(error) => {
            eprintln!("socketreader: {}", printable(&format_args!("{error:#}")));
            Exit::TryLater.into()
        }
    }
}

/// Does what the command line asks for; without an action, moves messages.
fn act(cli: Cli, config: Config) -> anyhow::Result<Exit> {
    let Cli { messages, json, .. } = cli;
    let change = |name: Option<String>, change: fn(Vec<Which>) -> Change| name.map(|name| (name, change));
    let change = change(cli.resend, Change::Resend)
        .or(change(cli.drop, Change::Drop))
        .or(change(cli.pause, |_| Change::Pause))
        .or(change(cli.resume, |_| Change::Resume));
    if let Some((name, change)) = change {
        return control::perform(&config, &name, &change(messages), json);
    }
    match (cli.show, cli.export) {
        (Some(name), _) => control::show(&config, &name, &messages, json),
        (_, Some(name)) => control::export(&config, &name, &messages, json),
        _ if cli.try_out.is_some() => tryout::run(&config, &cli.try_out.unwrap_or_default(), cli.since, json),
        _ if cli.queues => control::queues(&config, json),
        _ if cli.follow => control::follow(&config, json),
        _ if cli.repair => repair(&config).map(|()| Exit::Done),
        _ if cli.daemon => detach(config, cli.pidfile.as_deref()).map(|()| Exit::Done),
        _ => daemon::run(config, cli.pidfile.as_deref(), None).map(|()| Exit::Done),
    }
}

/// Leaves the terminal. The startup process prints the server's process id, or why there is none.
fn detach(config: Config, pidfile: Option<&Path>) -> anyhow::Result<()> {
    match protogen_sys::daemon::detach()? {
        Detached::Startup(starting) => {
            let started = starting.wait(START_LIMIT)?;
            // Whoever started us may not listen.
            let _ = writeln!(std::io::stdout(), "{started}");
            Ok(())
        }
        Detached::Server(readiness) => daemon::run(config, pidfile, Some(readiness)),
    }
}

fn tell(problem: &config::Problem) {
    eprintln!("socketreader: {}", printable(&format_args!("{problem}")));
}

/// Prints what the configuration comes to.
fn check(report: &Report, json: bool) -> Exit {
    let text = if json { format!("{:#}\n", report.json()) } else { report.summary() };
    // Whoever reads us may have enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    if report.config.is_some() { Exit::Done } else { Exit::Usage }
}

/// Makes a damaged journal readable again, and says what was found.
fn repair(config: &Config) -> anyhow::Result<()> {
    let journal = config.general.statedir.journal();
    let found = protogen_journal::repair(&journal).map_err(anyhow::Error::msg)?;
    let mut text = String::new();
    for place in &found {
        let (first, end) = place.lost;
        let lost = match end.saturating_sub(first) {
            0 => "no message is lost".to_owned(),
            1 => format!("message {first} may be lost"),
            _ => format!("messages {first} to {} may be lost", end - 1),
        };
        text += &format!(
            "{}: bytes {} to {} are passed by from now on, {lost}; they are kept in {}\n",
            place.segment.display(),
            place.from,
            place.to,
            place.aside.display()
        );
    }
    if found.is_empty() {
        text = format!("{}: nothing is damaged\n", journal.display());
    }
    // Whoever reads us may have enough.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(())
}

/// Moves messages as the configuration says, until SIGTERM. Its warnings go to the log.
///
/// # Errors
/// What keeps it from starting or going on.
pub fn run(config: Config) -> anyhow::Result<()> {
    daemon::run(config, None, None)
}
