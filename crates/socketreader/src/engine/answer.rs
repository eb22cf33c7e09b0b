//! What the sender of a message is told.

use std::time::{SystemTime, UNIX_EPOCH};

use memchr::{memchr2, memmem};
use protogen_core::hl7::{Acknowledgment, Message, Mode, Outcome, is_acknowledgment, reject_unreadable};
use protogen_core::llp::mllp::{self, Settings};

/// Acknowledge and negative acknowledge: the commit blocks of MLLP release 2.
const ACK: u8 = 0x06;
const NAK: u8 = 0x15;

/// How the messages of a connection are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// With HL7 acknowledgments (`usehl7`).
    Hl7,
    /// With commit blocks.
    Mllp,
    /// Not at all (`useack = False`).
    Silent,
}

/// What is kept of a message until it is stored, to answer it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request {
    /// Its MSH segment; and the message itself, if its sender would not hear that it was not stored.
    Hl7 { header: Vec<u8>, kept: Option<Vec<u8>> },
    /// Nothing is needed.
    Mllp,
    /// Nobody waits for an answer, so the message itself is kept until it is stored.
    Silent(Vec<u8>),
}

impl Request {
    /// What is needed to answer `message`, which came in a frame of `settings`.
    ///
    /// # Errors
    /// Why it cannot be answered: no MSH that can be read, or one that no frame could repeat.
    pub(super) fn of(message: &[u8], manner: Manner, settings: &Settings) -> Result<Request, &'static str> {
        match manner {
            Manner::Silent => Ok(Request::Silent(message.to_vec())),
            Manner::Mllp => Ok(Request::Mllp),
            Manner::Hl7 => {
                let header = first_segment(message);
                let parsed = Message::parse(header).map_err(|_| "is no HL7 message")?;
                if [&settings.sob, &settings.eod].iter().any(|bytes| memmem::find(header, bytes).is_some()) {
                    return Err("has a delimiter of frames in its MSH segment");
                }
                // An acknowledgment is not acknowledged.
                if matches!(parsed.header(9).component(1).raw(), b"ACK" | b"MCF")
                    && Message::parse(message).is_ok_and(|whole| is_acknowledgment(&whole))
                {
                    return Ok(Request::Silent(message.to_vec()));
                }
                let hears_no = Mode::of(&parsed).due(Outcome::Rejected).is_some();
                let kept = (!hears_no).then(|| message.to_vec());
                Ok(Request::Hl7 { header: header.to_vec(), kept })
            }
        }
    }

    /// The message, where its sender would not hear that it was not stored: it is stored later then.
    pub(super) fn into_kept(self) -> Option<Vec<u8>> {
        match self {
            Request::Hl7 { kept, .. } => kept,
            Request::Mllp => None,
            Request::Silent(message) => Some(message),
        }
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(self, Request::Silent(_) | Request::Hl7 { kept: Some(_), .. })
    }
}

/// The first segment, without its end.
pub(super) fn first_segment(message: &[u8]) -> &[u8] {
    &message[..memchr2(b'\r', b'\n', message).unwrap_or(message.len())]
}

/// Writes answers; their time is taken once a second.
#[derive(Debug)]
pub(super) struct Answers {
    second: u64,
    time: Vec<u8>,
    /// The first part of control ids: differs between runs.
    run: String,
    count: u64,
}

impl Answers {
    pub(super) fn new(now: SystemTime) -> Answers {
        let run = format!("{:X}.", now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()));
        Answers { second: u64::MAX, time: Vec::new(), run, count: 0 }
    }

    fn set_time(&mut self, now: SystemTime) {
        let second = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if second != self.second {
            self.second = second;
            self.time = jiff::ZonedDateTime::now().strftime("%Y%m%d%H%M%S%z").to_string().into_bytes();
        }
    }

    /// The message is stored. Empty where no answer is due.
    pub(super) fn positive(&mut self, request: &Request, settings: &Settings, now: SystemTime) -> Vec<u8> {
        match request {
            Request::Hl7 { header, .. } => self.hl7(header, Outcome::Accepted, b"", settings, now),
            Request::Mllp => commit(ACK, settings),
            Request::Silent(_) => Vec::new(),
        }
    }

    /// The message is not stored: to be sent again later.
    pub(super) fn negative(
        &mut self,
        request: &Request,
        outcome: Outcome,
        text: &str,
        settings: &Settings,
        now: SystemTime,
    ) -> Vec<u8> {
        match request {
            Request::Hl7 { header, .. } => self.hl7(header, outcome, text.as_bytes(), settings, now),
            Request::Mllp => commit(NAK, settings),
            Request::Silent(_) => Vec::new(),
        }
    }

    fn hl7(
        &mut self,
        header: &[u8],
        outcome: Outcome,
        text: &[u8],
        settings: &Settings,
        now: SystemTime,
    ) -> Vec<u8> {
        let Ok(request) = Message::parse(header) else { return Vec::new() };
        let Some(code) = Mode::of(&request).due(outcome) else { return Vec::new() };
        self.set_time(now);
        self.count += 1;
        let control_id = format!("{}{:X}", self.run, self.count).into_bytes();
        let answer =
            Acknowledgment { time: &self.time, control_id: &control_id, text, ..Acknowledgment::new(code) }
                .answer(&request);
        framed(&answer, settings)
    }

    /// The answer to bytes whose MSH cannot be read; `None` for what does not even begin like a message.
    pub(super) fn unreadable(
        &mut self,
        bytes: &[u8],
        settings: &Settings,
        now: SystemTime,
    ) -> Option<Vec<u8>> {
        self.set_time(now);
        self.count += 1;
        let control_id = format!("{}{:X}", self.run, self.count).into_bytes();
        let answer = reject_unreadable(bytes, &self.time, &control_id, b"the MSH segment cannot be read")?;
        Some(framed(&answer, settings))
    }
}

fn framed(answer: &[u8], settings: &Settings) -> Vec<u8> {
    let mut out = Vec::with_capacity(answer.len() + 8);
    // Fails only where the site chose delimiters that occur in the answer: then there is none, and the man page says so.
    let _ = mllp::encode(answer, settings, &mut out);
    out
}

/// `SOB` code `EOD EOB`: no CR belongs into a commit block.
fn commit(code: u8, settings: &Settings) -> Vec<u8> {
    [&settings.sob[..], &[code], &settings.eod, &settings.eob].concat()
}
