//! What `hl7 send` and `hl7 listen` share: the choice of a protocol and its settings.

pub(crate) use protogen_sys::connection::Connection;

use clap::Args;
use protogen_core::llp::{Link, hllp, illp, mllp, mllp2};
use std::fmt;
use std::time::{Duration, Instant};

/// How messages cross the connection.
#[derive(Debug, Clone, Args)]
#[group(id = "protocol", multiple = false)]
pub(crate) struct ProtocolArgs {
    /// MLLP release 1, the default
    #[arg(long, hide_short_help = true)]
    mllp: bool,
    /// MLLP release 2, with commit blocks
    #[arg(long)]
    mllp2: bool,
    /// HLLP, with counts and checksums
    #[arg(long)]
    hllp: bool,
    /// ILLP: one message and its answer a connection
    #[arg(long)]
    illp: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    Mllp,
    Mllp2,
    Hllp,
    Illp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Mllp => "MLLP",
            Protocol::Mllp2 => "MLLP release 2",
            Protocol::Hllp => "HLLP",
            Protocol::Illp => "ILLP",
        })
    }
}

impl ProtocolArgs {
    pub(crate) fn protocol(&self) -> Protocol {
        match (self.mllp2, self.hllp, self.illp) {
            (true, ..) => Protocol::Mllp2,
            (_, true, _) => Protocol::Hllp,
            (.., true) => Protocol::Illp,
            _ => Protocol::Mllp,
        }
    }
}

/// Which end of a connection a machine is for; only ILLP has two kinds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Client,
    Server,
}

/// What a protocol machine is made with.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) protocol: Protocol,
    pub(crate) max_message: usize,
    pub(crate) timeout: Duration,
    /// The connection id of ILLP; empty for none.
    pub(crate) token: Vec<u8>,
}

impl Settings {
    /// Tells at once what a machine would refuse later.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        match self.protocol {
            Protocol::Mllp => self.mllp().check()?,
            Protocol::Mllp2 => self.mllp2().check()?,
            Protocol::Hllp => self.hllp().check()?,
            Protocol::Illp => self.illp().check()?,
        }
        if self.protocol != Protocol::Illp && !self.token.is_empty() {
            anyhow::bail!("--cid goes with --illp: {} has no connection id", self.protocol);
        }
        Ok(())
    }

    pub(crate) fn link(&self, end: End, now: Instant) -> Box<dyn Link> {
        match (self.protocol, end) {
            (Protocol::Mllp, _) => Box::new(mllp::Station::new(self.mllp())),
            (Protocol::Mllp2, _) => Box::new(mllp2::Station::new(self.mllp2())),
            (Protocol::Hllp, _) => Box::new(hllp::Station::new(self.hllp())),
            (Protocol::Illp, End::Client) => Box::new(illp::Client::new(self.illp())),
            (Protocol::Illp, End::Server) => Box::new(illp::Server::new(self.illp(), now)),
        }
    }

    fn mllp(&self) -> mllp::Settings {
        mllp::Settings { max_message: self.max_message, ..mllp::Settings::default() }
    }

    fn mllp2(&self) -> mllp2::Settings {
        let commit_timeout = self.timeout;
        // The destination waits at least twice as long as the source.
        let frame_timeout = (commit_timeout * 2).max(self.mllp().frame_timeout);
        let framing = mllp::Settings { frame_timeout, ..self.mllp() };
        mllp2::Settings { framing, commit_timeout, ..mllp2::Settings::default() }
    }

    fn hllp(&self) -> hllp::Settings {
        let max_message = self.max_message.min(hllp::MAX_DATA);
        hllp::Settings { max_message, receive_timeout: self.timeout, ..hllp::Settings::default() }
    }

    fn illp(&self) -> illp::Settings {
        illp::Settings {
            token: self.token.clone(),
            max_message: self.max_message,
            idle_timeout: self.timeout,
        }
    }
}

/// Seconds on the command line, from a millisecond to a day.
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "expected seconds, as 30 or 0.5".to_string())?;
    match (0.001..=86_400.0).contains(&seconds) {
        true => Ok(Duration::from_secs_f64(seconds)),
        false => Err("expected 0.001 to 86400 seconds".into()),
    }
}
