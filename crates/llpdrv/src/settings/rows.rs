//! The table of settings: the one place that names them.

use super::field::Field::{
    Byte, Bytes, Choice, Count, MaybeSeconds, Octal, Pair, Seconds, Size, Switch, Text, Token, Wait,
};
use super::{Field, Settings};

/// One setting.
pub(crate) struct Row {
    /// The option without its dashes. Up to a first `serial-`, `mllp-`, `hllp-` or `x328-` it is the profile's table.
    pub(crate) name: &'static str,
    /// What stands for the value.
    pub(crate) value: &'static str,
    /// What it does, for the long help.
    pub(crate) about: &'static str,
    /// Where it is.
    pub(crate) field: fn(&mut Settings) -> Field<'_>,
}

impl Row {
    /// The profile's table and key.
    pub(crate) fn place(&self) -> (&'static str, &'static str) {
        let tables = ["serial", "mllp", "hllp", "x328"];
        match self.name.split_once('-') {
            Some((table, key)) if tables.contains(&table) => (table, key),
            _ => ("", self.name),
        }
    }
}

macro_rules! rows {
    ($($name:literal $value:literal $kind:ident($($place:tt)+) $about:literal;)+) => {
        /// All settings, in the order of the manual page.
        pub(crate) const ROWS: &[Row] = &[
            $(Row { name: $name, value: $value, about: $about, field: |s| $kind(&mut s.$($place)+) },)+
        ];
    };
}

rows! {
    "name" "NAME" Text(name) "MSH-5 of messages that ask for the counters";
    "cid" "TOKEN" Token(cid) "ILLP connection id shown to TO";
    "max-message" "BYTES" Size(max_message) "Longest message";
    "connections" "N" Size(connections) "Most clients on the line, and of DIST";
    "waiting" "N" Size(waiting) "Messages of one line client that may wait";
    "priority" "high|low" Choice(priority) "Who gives way when both sides want the line";
    "connect-timeout" "SECONDS" Seconds(connect_timeout) "Wait for a connection to TO";
    "connect-retries" "N" Count(connect_retries) "Further attempts to connect to TO";
    "connect-pause" "SECONDS" Wait(connect_pause) "Pause before each";
    "destination-timeout" "SECONDS" Seconds(destination_timeout) "Wait for TO's reply";
    "distal-timeout" "SECONDS" Seconds(distal_timeout) "Longest silence inside a distal request";
    "line-wait" "SECONDS" Seconds(line_wait) "How long a distal request waits for the line";
    "reply-timeout" "SECONDS" Seconds(reply_timeout) "Wait for the line's reply to it";
    "reopen-pause" "SECONDS" Seconds(reopen_pause) "Pause before a lost line is opened again";
    "reopen-limit" "SECONDS" Seconds(reopen_limit) "What the pause grows to";
    "socket-mode" "MODE" Octal(socket_mode) "Mode of the UNIX socket";

    "serial-speed" "BAUD" Count(serial.speed) "Bits a second";
    "serial-data-bits" "N" Count(serial.data_bits) "5 to 8";
    "serial-parity" "none|odd|even" Choice(serial.parity) "Parity bit";
    "serial-stop-bits" "N" Count(serial.stop_bits) "1 or 2";
    "serial-flow" "none|software|hardware" Choice(serial.flow) "Flow control";

    "mllp-release" "1|2" Count(mllp_release) "2: with commit blocks";
    "mllp-sob" "HEX" Bytes(mllp.framing.sob) "Start of block";
    "mllp-eod" "HEX" Bytes(mllp.framing.eod) "End of data";
    "mllp-eob" "HEX" Bytes(mllp.framing.eob) "End of block";
    "mllp-strict" "yes|no" Switch(mllp.framing.strict) "Take nothing but the grammar of release 2";
    "mllp-eb-grace" "SECONDS" Seconds(mllp.framing.eb_grace) "Wait for the end of block behind the end of data";
    "mllp-frame-timeout" "SECONDS" Seconds(mllp.framing.frame_timeout) "Longest silence inside a frame";
    "mllp-commit-timeout" "SECONDS" Seconds(mllp.commit_timeout) "Release 2: wait for the commit";
    "mllp-retries" "N" Count(mllp.retries) "Release 2: how often a block is sent again";
    "mllp-retry-pause" "SECONDS" Seconds(mllp.retry_pause) "Release 2: pause before that";

    "hllp-sb" "HEX" Byte(hllp.sb) "Start of block";
    "hllp-eb" "HEX" Byte(hllp.eb) "End of block";
    "hllp-version" "VV" Pair(hllp.version) "Protocol id of blocks sent";
    "hllp-bcc" "xor|xor-count|sum|none" Choice(hllp.bcc) "How check digits are made";
    "hllp-either" "yes|no" Switch(hllp.either) "Take check digits made any way";
    "hllp-len-any" "yes|no" Switch(hllp.len_any) "A count of 99999 means: not counted";
    "hllp-receive-timeout" "SECONDS" Seconds(hllp.receive_timeout) "Wait for the reply to a block";
    "hllp-send-retries" "N" Count(hllp.send_retries) "How often a block is sent again";
    "hllp-byte-timeout" "SECONDS" Seconds(hllp.byte_timeout) "Longest silence inside a block";
    "hllp-eb-grace" "SECONDS" Seconds(hllp.eb_grace) "Wait after an end that the count contradicts";
    "hllp-on-timeout" "fail|resend" Choice(hllp.on_timeout) "When no reply comes";
    "hllp-on-bad-reply" "nak|resend|fail" Choice(hllp.on_bad_reply) "When it comes damaged";
    "hllp-turnaround" "SECONDS" Wait(hllp.turnaround) "Quiet time after our replies";
    "hllp-byte-time" "SECONDS" Wait(hllp.byte_time) "What a byte takes; on a tty from its speed";

    "x328-numbering" "block-length|none" Choice(x328.numbering) "What stands before a block's text";
    "x328-ack" "numbered|alternating|plain" Choice(x328.ack) "How a block is acknowledged";
    "x328-bcc" "hex-xor|raw-lrc|none" Choice(x328.bcc) "Check characters";
    "x328-term" "cr|crlf|none" Choice(x328.term) "What stands after every sequence";
    "x328-rint" "yes|no" Switch(x328.rint) "Reverse interrupts";
    "x328-timeout-action" "enq|resend" Choice(x328.timeout_action) "When a block is not answered";
    "x328-dle" "yes|no" Switch(x328.dle_transparency) "Transparent text";
    "x328-seven-bit" "yes|no" Switch(x328.seven_bit) "Only 7 bits of a byte count";
    "x328-timer-a" "SECONDS" Seconds(x328.timer_a) "Response timer";
    "x328-timer-b" "SECONDS" Seconds(x328.timer_b) "Receive timer";
    "x328-timer-c" "SECONDS" MaybeSeconds(x328.timer_c) "Gross timer, 0 for none";
    "x328-timer-d" "SECONDS" Seconds(x328.timer_d) "Inter-block timer";
    "x328-timer-e" "SECONDS" MaybeSeconds(x328.timer_e) "Line check, 0 for none";
    "x328-bids" "N" Count(x328.bids) "How often a session is bid for";
    "x328-block-retries" "N" Count(x328.block_retries) "How often a block is sent again";
    "x328-enq-retries" "N" Count(x328.enq_retries) "How often a lost reply is asked for";
    "x328-session-retries" "N" Count(x328.session_retries) "How often a message broken off is tried again";
    "x328-turnaround" "SECONDS" Wait(x328.turnaround) "Quiet time after our sessions";
    "x328-pause" "SECONDS" Seconds(x328.pause) "Pause after a session that failed";
    "x328-reply-delay" "SECONDS" Wait(x328.reply_delay) "Wait before every reply";
    "x328-contention-spread" "SECONDS" Wait(x328.contention_spread) "Longest random wait after a collision";
    "x328-block-size" "BYTES" Size(x328.block_size) "Longest text of a block sent";
    "x328-segment-per-block" "yes|no" Switch(x328.segment_per_block) "End a block after each segment";
    "x328-session-messages" "N" Count(x328.session_messages) "Messages sent in one session";
    "x328-byte-time" "SECONDS" Wait(x328.byte_time) "What a byte takes; on a tty from its speed";
}
