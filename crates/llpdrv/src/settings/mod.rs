//! Every timer, retry, size and variant, with its name: an option of the command line is a key of the profile.

mod choice;
mod field;
pub(crate) mod profile;
mod rows;

pub(crate) use field::Field;
pub(crate) use rows::ROWS;

use std::time::Duration;

use anyhow::Result;
use protogen_core::llp::x328::Priority;
use protogen_core::llp::{SettingsError, hllp, illp, mllp2, x328};
use protogen_sys::tty::Serial;

/// The protocol on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    X328,
    Hllp,
    Mllp,
}

/// All settings of a driver.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// What the driver calls itself in MSH-5 of messages meant for it.
    pub(crate) name: String,
    pub(crate) cid: Vec<u8>,
    pub(crate) max_message: usize,
    pub(crate) connections: usize,
    pub(crate) waiting: usize,
    pub(crate) priority: Priority,
    pub(crate) connect_timeout: Duration,
    pub(crate) connect_retries: u32,
    pub(crate) connect_pause: Duration,
    pub(crate) destination_timeout: Duration,
    pub(crate) distal_timeout: Duration,
    pub(crate) line_wait: Duration,
    pub(crate) reply_timeout: Duration,
    pub(crate) reopen_pause: Duration,
    pub(crate) reopen_limit: Duration,
    pub(crate) socket_mode: u32,
    pub(crate) serial: Serial,
    /// Release 2 of MLLP, with commit blocks.
    pub(crate) mllp_release: u32,
    pub(crate) mllp: mllp2::Settings,
    pub(crate) hllp: hllp::Settings,
    pub(crate) x328: x328::Settings,
}

impl Default for Settings {
    fn default() -> Settings {
        let seconds = Duration::from_secs;
        Settings {
            name: "LLPDRV".to_owned(),
            cid: Vec::new(),
            max_message: 16 << 20,
            connections: 64,
            waiting: 8,
            priority: Priority::Low,
            connect_timeout: seconds(10),
            connect_retries: 3,
            connect_pause: seconds(1),
            destination_timeout: seconds(60),
            distal_timeout: seconds(60),
            line_wait: seconds(60),
            reply_timeout: seconds(60),
            reopen_pause: seconds(1),
            reopen_limit: seconds(60),
            socket_mode: 0o600,
            serial: Serial::default(),
            mllp_release: 1,
            mllp: mllp2::Settings::default(),
            // Both sides begin on this line.
            hllp: hllp::Settings { turnaround: Duration::from_millis(200), ..hllp::Settings::default() },
            x328: x328::Settings::default(),
        }
    }
}

impl Settings {
    /// The settings that follow from others: sizes that hold for every protocol, the priority, and on a serial line what
    /// a byte takes, so that no timer runs out while a block is still on its way.
    pub(crate) fn derive(&mut self, on_serial_line: bool) {
        self.mllp.framing.max_message = self.max_message;
        self.hllp.max_message = self.max_message.min(hllp::MAX_DATA);
        self.x328.max_message = self.max_message.min(x328::Settings::default().max_message);
        self.x328.priority = self.priority;
        (self.mllp.queue, self.hllp.queue, self.x328.queue) = (self.waiting, self.waiting, self.waiting);
        if on_serial_line && self.hllp.byte_time.is_zero() {
            self.hllp.byte_time = self.serial.byte_time();
        }
        if on_serial_line && self.x328.byte_time.is_zero() {
            self.x328.byte_time = self.serial.byte_time();
        }
    }

    /// Tells at the start what a machine would refuse later.
    pub(crate) fn check(&self, protocol: Protocol) -> Result<()> {
        let named = |prefix: &str, error: SettingsError| {
            let rule = error.rule.replace('_', "-");
            anyhow::anyhow!("--{prefix}{} {rule}", error.setting.replace('_', "-"))
        };
        match protocol {
            Protocol::X328 => self.x328.check().map_err(|error| named("x328-", error))?,
            Protocol::Hllp => self.hllp.check().map_err(|error| named("hllp-", error))?,
            Protocol::Mllp if self.mllp_release == 2 => {
                self.mllp.check().map_err(|error| named("mllp-", error))?;
            }
            Protocol::Mllp => self.mllp.framing.check().map_err(|error| named("mllp-", error))?,
        }
        let shown = |name: &str| if name == "token" { "cid" } else { "max-message" }.to_owned();
        self.illp_client()
            .check()
            .map_err(|error| anyhow::anyhow!("--{} {}", shown(error.setting), error.rule))?;
        self.serial
            .check()
            .map_err(|(name, rule)| anyhow::anyhow!("--serial-{} {rule}", name.replace('_', "-")))?;
        let unless = |holds, text: &str| if holds { Ok(()) } else { Err(anyhow::anyhow!("{text}")) };
        unless((1..=2).contains(&self.mllp_release), "--mllp-release must be 1 or 2")?;
        unless((1..=1000).contains(&self.connections), "--connections must be 1 to 1000")?;
        unless((1..=1000).contains(&self.waiting), "--waiting must be 1 to 1000")?;
        unless(self.socket_mode <= 0o777, "--socket-mode must be 0 to 777, in octal digits")?;
        unless(self.reopen_limit >= self.reopen_pause, "--reopen-limit must be at least --reopen-pause")?;
        let name = !self.name.is_empty() && self.name.bytes().all(|b| b.is_ascii_graphic());
        unless(name, "--name must be printable ASCII without blanks")
    }

    /// Whether the protocol has a word for "not now"; MLLP release 1 has none.
    pub(crate) fn can_refuse(&self, protocol: Protocol) -> bool {
        protocol != Protocol::Mllp || self.mllp_release == 2
    }

    /// The settings of a connection to TO.
    pub(crate) fn illp_client(&self) -> illp::Settings {
        let (token, idle_timeout) = (self.cid.clone(), self.destination_timeout);
        illp::Settings { token, max_message: self.max_message, idle_timeout }
    }

    /// The settings of a distal client's connection.
    pub(crate) fn illp_server(&self) -> illp::Settings {
        let idle_timeout = self.distal_timeout;
        illp::Settings { token: Vec::new(), max_message: self.max_message, idle_timeout }
    }
}
