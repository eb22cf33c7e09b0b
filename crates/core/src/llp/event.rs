//! What a machine reports.

use std::fmt;

/// Names one message given to [`Link::send`](super::Link::send); unique within one machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SendId(pub(super) u64);

impl fmt::Display for SendId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Something the program around the machine has to know.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A whole message has come. Answer each with [`Link::accept`](super::Link::accept) once it is stored, or with
    /// [`Link::refuse`](super::Link::refuse), in the order they came.
    Message {
        /// The message as it stood on the line, without the envelope.
        message: Vec<u8>,
        /// The message of ours that this one answers, where the protocol can tell (HLLP, ILLP).
        answers: Option<SendId>,
    },
    /// The peer has confirmed this message.
    Delivered(SendId),
    /// The message has been given to the line, and this protocol will never tell more.
    Sent(SendId),
    /// The message was not delivered, as far as this side can know.
    Failed(SendId, Failure),
    /// Once all bytes of `poll_transmit` are written, shut down the write half of the connection.
    FinishOutput,
    /// The machine is done; close the line. Nothing but this comes after the end of the input.
    Closed,
    /// Something for the log.
    Note(Note),
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Failure {
    /// The peer did not answer in time; so many attempts were made.
    NoAnswer(u32),
    /// The peer answered, each time, that it could not take it; with the protocol's reason byte where it has one.
    Refused(Option<u8>),
    /// The peer broke the transfer off (X3.28 termination interrupt).
    Interrupted,
    /// The answer came damaged (HLLP); the request may well have been processed.
    BadReply,
    /// The line was closed first.
    Disconnected,
    /// The program cancelled it.
    Cancelled,
    /// The session took longer than the gross timer allows.
    SessionTooLong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAnswer(tries) => write!(f, "no answer after {tries} attempts"),
            Self::Refused(None) => f.write_str("the peer refused it"),
            Self::Refused(Some(reason)) => write!(f, "the peer refused it, reason {:?}", char::from(*reason)),
            Self::Interrupted => f.write_str("the peer broke the transfer off"),
            Self::BadReply => f.write_str("the reply came damaged"),
            Self::Disconnected => f.write_str("the line was closed"),
            Self::Cancelled => f.write_str("cancelled"),
            Self::SessionTooLong => f.write_str("the session took too long"),
        }
    }
}

/// Why [`Link::send`](super::Link::send) did not take a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// So many messages wait already; try again after the next `Delivered`, `Sent` or `Failed`.
    Full,
    /// The message is empty.
    Empty,
    /// The message is longer than this many bytes.
    TooLong(usize),
    /// The protocol cannot carry this byte, which stands at this offset of the message.
    Forbidden {
        /// Counted from 0.
        offset: usize,
        /// The byte; HL7 can carry it as an escape sequence, `\Xhh\`.
        byte: u8,
    },
    /// The line is closed, or (ILLP) has had its one message.
    Closed,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many messages are waiting"),
            Self::Empty => f.write_str("the message is empty"),
            Self::TooLong(limit) => write!(f, "the message is longer than {limit} bytes"),
            Self::Forbidden { offset, byte } => {
                write!(f, "byte 0x{byte:02x} at offset {offset} cannot be sent with this protocol")
            }
            Self::Closed => f.write_str("the line is closed"),
        }
    }
}

impl std::error::Error for SendError {}

/// An oddity worth a line in the log. The line and the program go on.
///
/// At most 64 notes wait at a time; then further ones are only counted, and a [`NoteKind::Suppressed`] says how
/// many there were.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Note {
    /// What it is about.
    pub kind: NoteKind,
    /// Where in the stream of received bytes the matter begins, from 0.
    pub offset: u64,
    /// How many received bytes were thrown away.
    pub dropped: u64,
    /// The first of them, at most [`Note::SHOWN`]. May hold patient data: not for logs above `debug`.
    pub bytes: Vec<u8>,
}

impl Note {
    /// How many of the dropped bytes a note keeps: enough for an MSH segment's identifying fields.
    pub const SHOWN: usize = 128;
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at byte {}", self.kind, self.offset)?;
        match self.dropped {
            0 => Ok(()),
            1 => f.write_str(", 1 byte dropped"),
            n => write!(f, ", {n} bytes dropped"),
        }
    }
}

macro_rules! note_kinds {
    ($($(#[$doc:meta])+ $name:ident = $text:literal,)+) => {
        /// The matters a [`Note`] can be about.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum NoteKind { $($(#[$doc])+ $name,)+ }

        impl fmt::Display for NoteKind {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$name => $text,)+ })
            }
        }
    };
}

note_kinds! {
    /// Bytes that belong to no frame.
    Junk = "bytes outside of any frame",
    /// A frame began and then nothing more came.
    Stale = "an unfinished frame went stale",
    /// A frame began inside another one; the first was dropped.
    Restarted = "a frame was cut off by the next one",
    /// A frame grew beyond the limit.
    TooLong = "a frame exceeds the size limit",
    /// The line was closed inside a frame.
    EndOfInput = "the line was closed inside a frame",
    /// A frame without a message.
    EmptyFrame = "an empty frame was ignored",
    /// A UTF-8 byte order mark before the message was removed.
    ByteOrderMark = "a byte order mark was removed",
    /// The end of a frame lacked its last delimiter.
    MissingTrailer = "the frame's last delimiter is missing",
    /// UTF-16 or UTF-32, which MLLP cannot carry.
    Utf16 = "the frame is in UTF-16 or UTF-32, which cannot be carried",
    /// Strict receiver: a byte that may not stand in a frame.
    BadByte = "a byte in the frame is not allowed",
    /// A commit block of MLLP release 2 where none was expected.
    StrayCommit = "an unexpected commit block was ignored",
    /// The character count is wrong.
    BadCount = "the character count is wrong",
    /// The checksum is wrong.
    BadCheck = "the check characters are wrong",
    /// A block is not laid out as it should be.
    BadBlock = "a block is malformed",
    /// A block came out of sequence.
    BadNumber = "a block is out of sequence",
    /// A block came twice; the second was discarded.
    Duplicate = "a repeated block was discarded",
    /// The sender broke a block off.
    BlockAborted = "the sender broke a block off",
    /// A message was not finished before its session ended.
    MessageAborted = "an unfinished message was dropped with its session",
    /// An answer that belongs to nothing outstanding.
    StrayReply = "an answer that belongs to nothing outstanding",
    /// The peer says it could not read a block of ours.
    Nak = "the peer could not read a block",
    /// The peer did not answer in time; trying again.
    NoAnswer = "no answer in time",
    /// Both sides bid for the line at the same time.
    Contention = "both sides bid for the line",
    /// The line check found nobody.
    LineDown = "the line check got no answer",
    /// The program's answer to a message came too late to tell the peer.
    LateAnswer = "a message was accepted or refused too late to tell the peer",
    /// The program did not accept or refuse a message in time.
    NotStored = "a message was not stored in time",
    /// The connection id is malformed (ILLP); the connection is closed.
    BadToken = "the connection id is malformed",
    /// Notes were left out; `dropped` counts notes here, not bytes.
    Suppressed = "further notes were left out",
}
