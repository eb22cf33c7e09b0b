//! `hl7 listen`

mod client;
mod server;

use crate::Status;
use crate::ack;
use crate::net::{self, ProtocolArgs, Settings};
use crate::output::Output;
use protogen_core::hl7::AckCode;
use protogen_sys::services::Place;
use server::{Answering, Server};
use std::path::PathBuf;
use std::time::Duration;

/// Receive messages, print or spool them, and answer
///
/// Prints each message on standard output as `hl7 cat` does, and a line about it on standard error. Ends on SIGTERM
/// or ^C, or after --count messages. It is for trying an interface: one that runs for good is socketreader's.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    protocol: ProtocolArgs,
    /// Listen on this name or address, not on loopback only
    #[arg(long, value_name = "HOST", default_value = "localhost")]
    host: String,
    /// Write each message to a file of its own here, safely stored before it is answered
    #[arg(long, value_name = "DIR")]
    spool: Option<PathBuf>,
    /// Answer with this code, or `none`; by default with what the sender asks for
    #[arg(long, value_name = "CODE", value_parser = answering, default_value = "auto")]
    ack: Answering,
    /// What the answer tells a person
    #[arg(long, default_value = "")]
    text: String,
    /// Answer so much later
    #[arg(long, value_name = "SECONDS", value_parser = net::seconds)]
    delay: Option<Duration>,
    /// Leave so many of a hundred messages without answer, and close the connection
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=100))]
    drop: u32,
    /// End after so many messages
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Serve at most so many connections at once
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,
    /// Let a client pause so long inside an ILLP message
    #[arg(long, hide_short_help = true, value_name = "SECONDS", value_parser = net::seconds, default_value = "60")]
    timeout: Duration,
    /// Print nothing but errors and where it listens
    #[arg(short, long)]
    quiet: bool,
    /// The port, by number (0: any) or by services(5) name
    port: String,
}

fn answering(text: &str) -> Result<Answering, String> {
    match text {
        "auto" => Ok(Answering::Asked),
        "none" => Ok(Answering::Never),
        code => {
            ack::code(code).map(Answering::Always).map_err(|error: String| format!("{error}, auto or none"))
        }
    }
}

/// How a server is set up.
pub(super) struct Plan {
    settings: Settings,
    answering: Answering,
    text: String,
    delay: Option<Duration>,
    drop: u32,
    count: Option<u64>,
    connections: usize,
    spool: Option<PathBuf>,
    quiet: bool,
}

pub(crate) fn run(args: &Args, max_size: usize, output: &mut Output) -> anyhow::Result<Status> {
    let settings = Settings {
        protocol: args.protocol.protocol(),
        max_message: max_size,
        timeout: args.timeout,
        token: Vec::new(),
    };
    settings.check()?;
    let place: Place = format!("{}%{}", args.port, args.host).parse()?;
    let plan = Plan {
        settings,
        answering: args.ack,
        text: args.text.clone(),
        delay: args.delay,
        drop: args.drop,
        count: args.count,
        connections: args.connections as usize,
        spool: args.spool.clone(),
        quiet: args.quiet,
    };
    Server::new(plan, &place)?.run(output)
}

impl Answering {
    /// The code for a message, by what its sender asked for and whether it could be taken.
    fn code(self, message: &protogen_core::hl7::Message, taken: bool) -> Option<AckCode> {
        use protogen_core::hl7::{Mode, Outcome, is_acknowledgment};
        let outcome = if taken { Outcome::Accepted } else { Outcome::Rejected };
        match self {
            Answering::Never => None,
            Answering::Always(code) if taken => Some(code),
            _ if is_acknowledgment(message) => None,
            _ => Mode::of(message).due(outcome),
        }
    }
}
