//! What a queue is, resolved: its directories, its gateway, and how patient it is.

use std::path::PathBuf;
use std::time::Duration;

use protogen_sys::illp::Server;
use protogen_sys::services::{Place, ServiceError};
use protogen_sys::site::Site;

/// The queue of `hl7tocv`.
pub const HL7TOCV: &str = "ANAE_IOP";
/// The queue of `ablhl7tocv`.
pub const ABLHL7TOCV: &str = "ABL/060_IOP";
/// The gateway, where nothing names another.
pub const DEFAULT_GATEWAY: &str = "carevuehl7%localhost";
/// The longest message, in bytes.
pub const MAX_MESSAGE: usize = 16 << 20;

/// A queue.
#[derive(Debug, Clone)]
pub struct Queue {
    /// Its name; its spool directory, where it has none.
    pub name: String,
    /// Whether the name is one that `--queue` takes.
    pub named: bool,
    /// Where messages wait.
    pub spool: PathBuf,
    /// Where delivered messages go.
    pub log: PathBuf,
    /// What else can be set.
    pub manner: Manner,
}

/// What can be set for all queues and for each: the keys of queues(5).
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the keys of queues(5)
pub struct Manner {
    pub gateway: Place,
    pub cid: String,
    pub retries: u32,
    pub pause: Duration,
    pub connect: Duration,
    pub answer: Duration,
    /// None: never.
    pub probe: Option<Duration>,
    /// Whether a negative answer stops the queue.
    pub stop: bool,
    pub retry_negative: bool,
    pub mail_message: bool,
    pub run_limit: Duration,
    pub lock_limit: Duration,
    pub system_message: String,
    pub carevue_log: String,
}

impl Manner {
    /// What is in force where nothing is set.
    ///
    /// # Errors
    /// Never: a test makes one.
    pub fn shipped() -> Result<Manner, ServiceError> {
        Ok(Manner {
            gateway: DEFAULT_GATEWAY.parse()?,
            cid: String::new(),
            retries: 3,
            pause: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            answer: Duration::from_secs(180),
            probe: Some(Duration::from_secs(3)),
            stop: false,
            retry_negative: false,
            mail_message: false,
            run_limit: Duration::from_secs(600),
            lock_limit: Duration::from_secs(3600),
            system_message: "HL7 system is down".to_owned(),
            carevue_log: "/usr/M1215A/carevue/data/logs/ml.cis".to_owned(),
        })
    }

    /// The gateway as ILLP reaches it.
    pub(crate) fn server(&self) -> Server {
        Server {
            place: self.gateway.clone(),
            token: self.cid.clone().into_bytes(),
            connect: self.connect,
            answer: self.answer,
            probe: self.probe,
            max_message: MAX_MESSAGE,
        }
    }
}

impl Queue {
    /// A queue of the site, where nothing else is said.
    #[must_use]
    pub fn of_site(site: &Site, name: &str, manner: Manner) -> Queue {
        Queue { name: name.to_owned(), named: true, spool: site.spool(name), log: site.log(name), manner }
    }

    /// How the operator is called for this queue.
    pub(crate) fn operator_command(&self) -> String {
        match self.named {
            true => format!("hl7tocv --queue {}", self.name),
            false => format!("hl7tocv --spool {} --log {}", self.spool.display(), self.log.display()),
        }
    }
}
