//! The shape all protocol machines share.

use std::time::Instant;

use super::{Event, SendError, SendId};

/// One end of a line.
///
/// After every `handle_*`, `send`, `accept` and `refuse` call: take all events, then all bytes, then set the
/// timer anew. `now` must never go backwards; equal times are fine.
pub trait Link {
    /// Bytes have been read from the line. What is not yet understood is kept, within the settings' limits.
    ///
    /// The events this causes are as large as the input plus one kept frame: feed it what one `read` gave.
    fn handle_input(&mut self, input: &[u8], now: Instant);

    /// The peer has closed the line, or it broke. What is unfinished is dropped and noted, what waits fails.
    fn handle_eof(&mut self, now: Instant);

    /// The time [`poll_timeout`](Self::poll_timeout) named has come. Does nothing when called early.
    fn handle_timeout(&mut self, now: Instant);

    /// Appends the bytes that are to be written now to `out`; says whether there were any.
    fn poll_transmit(&mut self, out: &mut Vec<u8>) -> bool;

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next.
    fn poll_timeout(&self) -> Option<Instant>;

    /// The next event.
    fn poll_event(&mut self) -> Option<Event>;

    /// Takes a message to be sent. Replies go before urgent requests and these before others that wait; otherwise
    /// they go in order, one at a time.
    ///
    /// # Errors
    /// The message was not taken, and no event will speak of it.
    fn send(&mut self, message: &[u8], kind: Kind, now: Instant) -> Result<SendId, SendError>;

    /// The program has stored the oldest message it was given and has not yet answered for; a protocol that
    /// acknowledges does so now. To be called once for each `Message` event, with every protocol.
    fn accept(&mut self, now: Instant);

    /// The program could not store the oldest message it was given and has not yet answered for.
    fn refuse(&mut self, now: Instant);

    /// Gives up a message. Returns false when it is over already, or cannot be taken back.
    fn cancel(&mut self, id: SendId, now: Instant) -> bool;

    /// The connection id that the peer gave itself (ILLP), once its message has come; empty where there is none.
    fn connection_id(&self) -> &[u8] {
        &[]
    }

    /// Whether this side can take messages now; X3.28 answers a bid by it, the others do not care.
    fn set_ready(&mut self, _ready: bool) {}

    /// Nothing is being sent, received or waited for.
    fn is_idle(&self) -> bool;

    /// What has happened on this line so far.
    fn counters(&self) -> &Counters;
}

/// What a message is to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Begins an exchange; HLLP and ILLP wait for the message that answers it.
    Request,
    /// As `Request`, but goes before others, and X3.28 asks a sending peer for the line (reverse interrupt).
    Urgent,
    /// Answers a message of the peer.
    Reply,
}

/// Counters of one line, as the NST segment of HL7 network management wants them (HL7 v2 appendix C).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counters {
    /// Bytes received (NST-6).
    pub bytes_in: u64,
    /// Bytes sent (NST-7).
    pub bytes_out: u64,
    /// Messages received whole, repetitions not counted (NST-8).
    pub messages_in: u64,
    /// Messages delivered or sent (NST-9).
    pub messages_out: u64,
    /// Frames or blocks received in good order.
    pub blocks_in: u64,
    /// Frames or blocks sent, repetitions counted.
    pub blocks_out: u64,
    /// Negative acknowledgments received.
    pub naks_in: u64,
    /// Negative acknowledgments sent.
    pub naks_out: u64,
    /// Blocks or frames sent again.
    pub retries: u64,
    /// X3.28 sessions begun by either side.
    pub sessions: u64,
    /// Wrong check characters received (NST-10).
    pub checksum_errors: u64,
    /// Wrong lengths received (NST-11).
    pub length_errors: u64,
    /// Other damage received (NST-12).
    pub other_errors: u64,
    /// Bids for the line that went without an answer (NST-13).
    pub connect_timeouts: u64,
    /// Other waits that ended without an answer (NST-14).
    pub receive_timeouts: u64,
    /// Times the line was closed with work under way (NST-15).
    pub network_errors: u64,
    /// Messages that were reported as failed.
    pub failed: u64,
}
