//! What the options of a section say, before it is known what they come to together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use protogen_core::hl7::Filter;
use protogen_core::hl7hosts::Peers;

use super::{Alert, Debug, LogLevel, Mask, MatchAck, OnRefusal};

/// The options of one section, with the defaults of those that are not set.
#[derive(Debug, Default)]
pub(super) struct Draft {
    pub logfile: Option<PathBuf>,
    pub loglvl: Option<LogLevel>,
    pub useconnections: Vec<String>,
    pub statedir: Option<PathBuf>,
    pub durable: bool,
    pub keep: Duration,
    pub keepsize: u64,
    pub alert: Option<Alert>,
    pub mailinterval: Duration,
    pub disklow: u64,
    pub slowsync: Duration,
    pub metrics: Option<SocketAddr>,

    pub is_socket: Option<bool>,
    pub is_input: Option<bool>,
    pub usehl7: bool,
    pub queuename: Option<String>,
    pub debug: Debug,
    pub debug_unknown: Vec<String>,
    pub maxsize: u64,
    pub maxpending: u64,
    pub maxage: Duration,
    pub filter: Option<Filter>,
    pub dedupe: Duration,
    pub pipe: Option<String>,
    pub pipewait: Duration,

    pub queuedb: Option<PathBuf>,
    pub useack: bool,
    pub mllp2: bool,
    pub createserversocket: bool,
    pub ipaddr: String,
    pub port: u16,
    pub sob: Vec<u8>,
    pub eod: Vec<u8>,
    pub eob: Vec<u8>,
    pub maxconnections: usize,
    pub timeout: Duration,
    pub keepalive: Duration,
    pub allow: Vec<Peers>,
    pub tls: bool,
    pub tlscert: Option<PathBuf>,
    pub tlskey: Option<PathBuf>,
    pub tlsca: Option<PathBuf>,
    pub tlsverify: Option<bool>,
    pub tlsname: Option<String>,
    pub onae: Option<OnRefusal>,
    pub onar: Option<OnRefusal>,
    pub oncommiterror: Option<OnRefusal>,
    pub oncommitreject: Option<OnRefusal>,
    pub onnak: Option<OnRefusal>,
    pub retries: u32,
    pub breaker: u32,
    pub matchack: Option<MatchAck>,
    pub maxpause: Duration,
    pub downtime: Duration,

    pub messagedir: Option<PathBuf>,
    pub newline: bool,
    pub filemask: Option<Mask>,
    pub cycletime: Duration,
    pub maxfiles: usize,
    pub settle: Duration,
    pub errordir: Option<PathBuf>,
    pub hl7prefix: bool,
    pub prefix: String,
    pub suffix: String,
    pub filemode: Option<u32>,
}
