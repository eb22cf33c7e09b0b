//! Variants, timers and limits of X3.28.

use std::time::Duration;

use super::{CR, LF};
use crate::llp::SettingsError;

/// What stands before the text of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Numbering {
    /// The block number, one digit 0 to 7, and the text's length, five digits (HL7).
    #[default]
    BlockAndLength,
    /// Nothing.
    None,
}

/// How a block is acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Ack {
    /// DLE and the block's number, 0 for a bid (HL7).
    #[default]
    Numbered,
    /// DLE 0 for a bid and every second block, DLE 1 for the others, as in IBM's BSC.
    Alternating,
    /// ACK, 0x06.
    Plain,
}

/// The check characters of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Bcc {
    /// Exclusive or, two hexadecimal digits (HL7). Sent in upper case, read in both.
    #[default]
    HexXor,
    /// Exclusive or, one byte of 7 bits.
    RawLrc,
    /// None: the line is trusted.
    None,
}

/// What stands after every sequence. A receiver takes CR, LF and CR LF whatever is set, and gets by without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Term {
    /// CR (HL7).
    #[default]
    Cr,
    /// CR LF.
    CrLf,
    /// Nothing.
    None,
}

impl Term {
    pub(super) fn bytes(self) -> &'static [u8] {
        match self {
            Self::Cr => &[CR],
            Self::CrLf => &[CR, LF],
            Self::None => &[],
        }
    }
}

/// What the master does when a block is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum TimeoutAction {
    /// Ask for the last reply with ENQ. Not used with [`Ack::Plain`], whose answer would say nothing.
    #[default]
    Enq,
    /// Send the block again.
    Resend,
}

/// Who gives way when both sides bid at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Priority {
    /// The peer: this side goes on bidding.
    High,
    /// This side: it becomes the slave, and bids again afterwards.
    #[default]
    Low,
}

/// How an X3.28 line behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Default [`Numbering::BlockAndLength`].
    pub numbering: Numbering,
    /// Default [`Ack::Numbered`].
    pub ack: Ack,
    /// Default [`Bcc::HexXor`].
    pub bcc: Bcc,
    /// Default [`Term::Cr`].
    pub term: Term,
    /// Use and understand the reverse interrupt. Default on.
    pub rint: bool,
    /// Default [`TimeoutAction::Enq`].
    pub timeout_action: TimeoutAction,
    /// Default [`Priority::Low`]; one end of a line should be set to high. With two equal ends the pauses are
    /// random and the line still works, but slowly after each collision.
    pub priority: Priority,
    /// Blocks are `DLE STX ... DLE ETX` with each DLE in the text doubled, and any byte may be sent. HL7 has no such
    /// thing. Default off.
    pub dle_transparency: bool,
    /// Only 7 bits of a byte count: the eighth is cleared on receipt, and a message that uses it is not taken.
    /// Default off.
    pub seven_bit: bool,
    /// A, response timer: how long the master waits for a reply. Default 6 s.
    pub timer_a: Duration,
    /// B, receive timer: the longest pause between two bytes of a block. Default 3 s.
    pub timer_b: Duration,
    /// C, gross timer: the longest session. Default none.
    pub timer_c: Option<Duration>,
    /// D, inter-block timer: how long the slave waits for the next block, and for its own program to store a
    /// message. Default 30 s.
    pub timer_d: Duration,
    /// E, line check: an idle line is probed after so long. Default 180 s; none for off.
    pub timer_e: Option<Duration>,
    /// How often the master bids for a session. Default 5.
    pub bids: u32,
    /// How often a block is sent again. Default 5.
    pub block_retries: u32,
    /// How often the master asks for a lost reply. Default 3.
    pub enq_retries: u32,
    /// How often a message is tried again, in a session of its own, after the slave broke off. Default 2.
    pub session_retries: u32,
    /// Quiet time after our EOT, for the peer to bid with its reply. Default 1 s.
    pub turnaround: Duration,
    /// Pause after a bid or a session that failed. Default 10 s.
    pub pause: Duration,
    /// Wait before every reply, for converters that turn the line around slowly. Default 0, at most 1 s.
    pub reply_delay: Duration,
    /// Longest random extra wait after a collision of bids. Default 2 s.
    pub contention_spread: Duration,
    /// Where the random numbers start; give each line another one. Default 1.
    pub seed: u64,
    /// Longest text of a block sent, in bytes, 1 to 99999. Default 240.
    pub block_size: usize,
    /// End a block after each segment. Default off.
    pub segment_per_block: bool,
    /// How many messages may be sent in one session. Default 1, so that the peer's reply comes in between.
    pub session_messages: u32,
    /// Longest message, in bytes. Default 99999.
    pub max_message: usize,
    /// What one byte takes on the line, added to timer A for each byte sent: about 1.04 ms at 9600 baud. Default 0.
    pub byte_time: Duration,
    /// How many messages may wait to be sent, and how many received ones may wait to be stored before bids are
    /// refused. Default 8.
    pub queue: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self {
            numbering: Numbering::default(),
            ack: Ack::default(),
            bcc: Bcc::default(),
            term: Term::default(),
            rint: true,
            timeout_action: TimeoutAction::default(),
            priority: Priority::default(),
            dle_transparency: false,
            seven_bit: false,
            timer_a: seconds(6),
            timer_b: seconds(3),
            timer_c: None,
            timer_d: seconds(30),
            timer_e: Some(seconds(180)),
            bids: 5,
            block_retries: 5,
            enq_retries: 3,
            session_retries: 2,
            turnaround: seconds(1),
            pause: seconds(10),
            reply_delay: Duration::ZERO,
            contention_spread: seconds(2),
            seed: 1,
            block_size: 240,
            segment_per_block: false,
            session_messages: 1,
            max_message: 99_999,
            byte_time: Duration::ZERO,
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
        let second = Duration::from_secs(1);
        SettingsError::timer(self.timer_a, "timer_a")?;
        SettingsError::timer(self.timer_b, "timer_b")?;
        SettingsError::timer(self.timer_c.unwrap_or(second), "timer_c")?;
        SettingsError::timer(self.timer_d, "timer_d")?;
        SettingsError::timer(self.timer_e.unwrap_or(second), "timer_e")?;
        SettingsError::timer(self.pause, "pause")?;
        unless(self.timer_d > self.timer_a, "timer_d", "must be longer than timer_a")?;
        unless(self.bids > 0, "bids", "must be at least 1")?;
        unless(self.turnaround <= second * 60, "turnaround", "must be at most a minute")?;
        unless(self.contention_spread <= second * 60, "contention_spread", "must be at most a minute")?;
        unless(self.reply_delay <= second, "reply_delay", "must be at most a second")?;
        unless(self.byte_time <= second, "byte_time", "must be at most a second")?;
        unless((1..=99_999).contains(&self.block_size), "block_size", "must be 1 to 99999")?;
        unless(self.session_messages > 0, "session_messages", "must be at least 1")?;
        unless(self.max_message > 0, "max_message", "must be at least 1")?;
        unless(self.queue > 0, "queue", "must be at least 1")
    }
}
