//! The command line, as typed.

use std::path::PathBuf;

use clap::{Parser, ValueEnum, ValueHint};
use protogen_sys::services::Place;

/// Sends the messages of a spool directory to the gateway, in order
#[derive(Parser, Debug, Clone)]
#[command(name = "hl7tocv", version)]
pub(crate) struct Args {
    /// Run once, without a terminal, as cron does; without it: be the operator's
    #[arg(value_name = "batch", hide_possible_values = true)]
    pub(crate) mode: Option<Mode>,
    /// Work on this queue of etc/queues
    #[arg(long, value_name = "NAME", conflicts_with_all = ["spool", "all"])]
    pub(crate) queue: Option<String>,
    /// Work on this spool directory
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "log", conflicts_with = "all")]
    pub(crate) spool: Option<PathBuf>,
    /// Where delivered messages of --spool go
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath, requires = "spool")]
    pub(crate) log: Option<PathBuf>,
    /// Work on every queue of etc/queues
    #[arg(long)]
    pub(crate) all: bool,
    /// Send to this gateway, whatever the queue says
    #[arg(long, value_name = "SERVICE%HOST")]
    pub(crate) gateway: Option<Place>,
    /// Name ourselves by this connection id
    #[arg(long, value_name = "TOKEN", env = "PG_CID", hide_env = true)]
    pub(crate) cid: Option<String>,
    /// Print the state of the queues; of all, unless one is named
    #[arg(long, conflicts_with = "mode")]
    pub(crate) list: bool,
    /// With --list: as JSON
    #[arg(long, requires = "list")]
    pub(crate) json: bool,
    /// Check etc/queues and its directories, and end
    #[arg(long, conflicts_with_all = ["mode", "list"])]
    pub(crate) check: bool,
    /// Log to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) run_log: Option<PathBuf>,
    /// Log to this syslog facility [default: local0]
    #[arg(long, value_name = "NAME", conflicts_with = "run_log")]
    pub(crate) log_facility: Option<String>,
}

/// How it is run.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Without a terminal.
    Batch,
}
