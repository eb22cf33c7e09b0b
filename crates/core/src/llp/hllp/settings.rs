//! Variants, timers and limits of HLLP.

use std::time::Duration;

use super::{CR, EB, MAX_DATA, SB};
use crate::llp::SettingsError;

/// How the three check digits are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Bcc {
    /// Exclusive or of all bytes from SB to the last data byte, as the guide has it.
    #[default]
    XorData,
    /// The same, and the five count digits too: at least one product does so.
    XorDataAndCount,
    /// Sum of the bytes of `XorData`, modulo 256.
    SumData,
    /// `999`, not computed: for lines with a character set translator in between.
    None,
}

/// What the initiator does when no reply comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnTimeout {
    /// Report the message as failed. The peer may have processed it; the program decides.
    #[default]
    Fail,
    /// Send again, up to `send_retries` times: the peer may get the message twice.
    Resend,
}

/// What the initiator does when the reply comes damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnBadReply {
    /// Say NAK, so that the peer sends the reply again; if it does not, the receive timeout ends the wait.
    #[default]
    Nak,
    /// Send the request again, up to `send_retries` times: the peer gets it twice.
    Resend,
    /// Report the message as failed.
    Fail,
}

/// How an HLLP line behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Start of block. Default 0x0B.
    pub sb: u8,
    /// End of block, a CR follows. Default 0x1C.
    pub eb: u8,
    /// The protocol id `vv` of blocks sent: the edition of the guide, `21`, `22` or `23`. Default `21`. Not checked
    /// on receipt.
    pub version: [u8; 2],
    /// How check digits are made. Default [`Bcc::XorData`].
    pub bcc: Bcc,
    /// Take check digits of any [`Bcc`], not only the one set. Default off. `999` is taken always. This weakens the
    /// check: damage that is wrong by one rule may be right by another, and a single turned bit can pass. For finding
    /// out what a peer does, rather than for service.
    pub either: bool,
    /// A count of `99999` means "not computed", and with check digits `999` the count is not looked at. No source
    /// documents this, some products are said to do it. Default off.
    pub len_any: bool,
    /// Longest message in bytes; at most [`MAX_DATA`], the default.
    pub max_message: usize,
    /// How long the initiator waits for the reply. Default 30 s.
    pub receive_timeout: Duration,
    /// How often a block is sent again after a NAK. Default 5.
    pub send_retries: u32,
    /// How long a block may pause between two bytes. Default 10 s.
    pub byte_timeout: Duration,
    /// How long an EB CR that the count does not bear out may stand at the end of the input before it counts as
    /// the end of the block after all. Default 500 ms.
    pub eb_grace: Duration,
    /// What to do when no reply comes. Default [`OnTimeout::Fail`].
    pub on_timeout: OnTimeout,
    /// What to do when the reply comes damaged. Default [`OnBadReply::Nak`].
    pub on_bad_reply: OnBadReply,
    /// What one byte takes on the line, added to `receive_timeout` for each byte sent: about 1.04 ms at 9600 baud.
    /// Default 0.
    pub byte_time: Duration,
    /// Quiet time after a reply of ours before the next request, and `byte_time` for each byte of it. A NAK does not
    /// say which block it means: one that means the reply must not meet a request. Default 0, which is right where
    /// only one side begins.
    pub turnaround: Duration,
    /// How many messages may wait to be sent. Default 8.
    pub queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            sb: SB,
            eb: EB,
            version: *b"21",
            bcc: Bcc::default(),
            either: false,
            len_any: false,
            max_message: MAX_DATA,
            receive_timeout: Duration::from_secs(30),
            send_retries: 5,
            byte_timeout: Duration::from_secs(10),
            eb_grace: Duration::from_millis(500),
            on_timeout: OnTimeout::default(),
            on_bad_reply: OnBadReply::default(),
            byte_time: Duration::ZERO,
            turnaround: Duration::ZERO,
            queue: 8,
        }
    }
}

impl Settings {
    /// Whether these settings can work.
    ///
    /// # Errors
    /// Names the first one that cannot.
    pub fn check(&self) -> Result<(), SettingsError> {
        let unless = SettingsError::unless;
        unless(self.sb < 0x20 && self.sb != CR, "sb", "must be a control character other than CR")?;
        unless(self.eb < 0x20 && self.eb != CR, "eb", "must be a control character other than CR")?;
        unless(self.sb != self.eb, "eb", "must differ from sb")?;
        let version = self.version.iter().all(u8::is_ascii_graphic);
        unless(version, "version", "must be two printable characters")?;
        unless((1..=MAX_DATA).contains(&self.max_message), "max_message", "must be 1 to 99994")?;
        unless(self.byte_time <= Duration::from_secs(1), "byte_time", "must be at most a second")?;
        let minute = Duration::from_secs(60);
        unless(self.turnaround <= minute, "turnaround", "must be at most a minute")?;
        unless(self.queue > 0, "queue", "must be at least 1")?;
        SettingsError::timer(self.receive_timeout, "receive_timeout")?;
        SettingsError::timer(self.byte_timeout, "byte_timeout")?;
        SettingsError::timer(self.eb_grace, "eb_grace")
    }
}
