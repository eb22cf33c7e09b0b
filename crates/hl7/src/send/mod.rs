//! `hl7 send`

mod driver;
mod messages;
mod report;

use crate::Status;
use crate::net::{self, Protocol, ProtocolArgs, Settings};
use crate::output::Output;
use driver::{Driver, Plan};
use messages::Messages;
use protogen_sys::services::Place;
use std::path::PathBuf;
use std::time::Duration;

/// Send messages and print the answers
///
/// Status 1 if an answer is not AA or CA, 75 if one is missing. With --rate, --connections, --count or --pipeline it
/// is a load generator: it prints throughput and latencies, and gives each message a control id of its own.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    protocol: ProtocolArgs,
    /// ILLP connection id
    #[arg(long, value_name = "TOKEN", env = "PG_CID", default_value = "", hide_env_values = true)]
    cid: String,
    /// Wait so long for a connection and for each answer
    #[arg(long, value_name = "SECONDS", value_parser = net::seconds, default_value = "30")]
    timeout: Duration,
    /// Do not wait for answers: written or committed is enough
    #[arg(long)]
    no_answer: bool,
    /// Send so many messages in all, the files over and over
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Send at most so many messages a second
    #[arg(long, value_name = "N", value_parser = rate)]
    rate: Option<f64>,
    /// Send over so many connections at once
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: Option<u32>,
    /// Let so many messages of a connection wait for their answers
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pipeline: Option<u32>,
    /// Open a connection for each message
    #[arg(long)]
    transient: bool,
    /// Leave the control ids of a load as they are
    #[arg(long, hide_short_help = true)]
    keep_ids: bool,
    /// Print the answers as they came, in MLLP frames
    #[arg(long)]
    raw: bool,
    /// Print the report of a load as JSON
    #[arg(long)]
    json: bool,
    /// Name or address of the receiver
    host: String,
    /// Its port, by number or by services(5) name
    port: String,
    /// Files to send; standard input if there are none
    files: Vec<PathBuf>,
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "expected messages a second".to_string())?;
    (0.001..=10_000_000.0).contains(&rate).then_some(rate).ok_or_else(|| "expected 0.001 to 10000000".into())
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    let protocol = args.protocol.protocol();
    let settings = Settings {
        protocol,
        max_message: max_size,
        timeout: args.timeout,
        token: args.cid.clone().into_bytes(),
    };
    settings.check()?;
    let pipeline = args.pipeline.unwrap_or(1) as usize;
    if pipeline > 1 && matches!(protocol, Protocol::Illp | Protocol::Hllp) {
        anyhow::bail!("--pipeline does not go with {protocol}, which waits for each answer");
    }
    if args.no_answer && matches!(protocol, Protocol::Illp | Protocol::Hllp) {
        anyhow::bail!("--no-answer does not go with {protocol}, where the answer ends the exchange");
    }
    if pipeline > 1 && args.transient {
        anyhow::bail!("--pipeline does not go with --transient");
    }
    let place: Place = format!("{}%{}", args.port, args.host).parse()?;
    let addresses = place.to_connect()?;
    let load =
        args.count.is_some() || args.rate.is_some() || args.connections.is_some() || args.pipeline.is_some();
    let Some(messages) = Messages::read(&args.files, max_size, args.count, load && !args.keep_ids)? else {
        return Ok(Status::Negative);
    };
    let plan = Plan {
        settings,
        addresses,
        lanes: args.connections.unwrap_or(1) as usize,
        pipeline,
        rate: args.rate,
        wait_for_answers: !args.no_answer,
        load,
        json: args.json,
        raw: args.raw,
        transient: args.transient || protocol == Protocol::Illp,
    };
    Driver::new(plan, messages)?.run(output)
}
