//! What the sender of a message is told.

use std::time::{SystemTime, UNIX_EPOCH};

use memchr::{memchr, memchr2, memmem};
use protogen_core::hl7::{Acknowledgment, Message, Mode, Outcome, is_acknowledgment, reject_unreadable};
use protogen_core::llp::mllp::{self, Settings};

/// Acknowledge and negative acknowledge: the commit blocks of MLLP release 2.
pub(super) const ACK: u8 = 0x06;
const NAK: u8 = 0x15;

/// How the messages of a connection are answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// With HL7 acknowledgments (`usehl7`).
    Hl7,
    /// With commit blocks.
    Mllp,
    /// With a commit block and, behind it, an HL7 acknowledgment: release 2 of MLLP (`mllp2`). What is not stored gets the
    /// negative commit block alone, since it was not received.
    Release2,
    /// Not at all (`useack = False`).
    Silent,
}

/// What is due for a message that can be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Due {
    /// The answer for when it is stored. Empty where none is due.
    pub(super) stored: Vec<u8>,
    /// Whether its sender hears that it was not stored; otherwise it must be stored later.
    pub(super) hears_no: bool,
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

    /// What is due for `message`, which came in a frame of `settings`.
    ///
    /// # Errors
    /// Why it cannot be answered: no MSH that can be read, or one that no frame could repeat.
    pub(super) fn due(
        &mut self,
        message: &[u8],
        manner: Manner,
        settings: &Settings,
        now: SystemTime,
    ) -> Result<Due, &'static str> {
        match manner {
            Manner::Silent => Ok(Due { stored: Vec::new(), hears_no: false }),
            Manner::Mllp => Ok(Due { stored: commit(ACK, settings), hears_no: true }),
            Manner::Release2 => {
                let mut due = self.due(message, Manner::Hl7, settings, now)?;
                due.stored.splice(..0, commit(ACK, settings));
                Ok(Due { hears_no: true, ..due })
            }
            Manner::Hl7 => {
                let header = first_segment(message);
                let parsed = Message::parse(header).map_err(|_| "is no HL7 message")?;
                if [&settings.sob, &settings.eod].iter().any(|bytes| holds(header, bytes)) {
                    return Err("has a delimiter of frames in its MSH segment");
                }
                // An acknowledgment is not acknowledged.
                if matches!(parsed.header(9).component(1).raw(), b"ACK" | b"MCF")
                    && Message::parse(message).is_ok_and(|whole| is_acknowledgment(&whole))
                {
                    return Ok(Due { stored: Vec::new(), hears_no: false });
                }
                let mode = Mode::of(&parsed);
                let stored = self.hl7(&parsed, mode, Outcome::Accepted, b"", settings, now);
                Ok(Due { stored, hears_no: mode.due(Outcome::Rejected).is_some() })
            }
        }
    }

    /// The message is not stored: to be sent again later, or not at all. Empty where no answer is due.
    pub(super) fn negative(
        &mut self,
        message: &[u8],
        manner: Manner,
        outcome: Outcome,
        text: &str,
        settings: &Settings,
        now: SystemTime,
    ) -> Vec<u8> {
        match manner {
            Manner::Silent => Vec::new(),
            Manner::Mllp | Manner::Release2 => commit(NAK, settings),
            Manner::Hl7 => match Message::parse(first_segment(message)) {
                Ok(header) => self.hl7(&header, Mode::of(&header), outcome, text.as_bytes(), settings, now),
                Err(_) => Vec::new(),
            },
        }
    }

    fn hl7(
        &mut self,
        request: &Message<'_>,
        mode: Mode,
        outcome: Outcome,
        text: &[u8],
        settings: &Settings,
        now: SystemTime,
    ) -> Vec<u8> {
        let Some(code) = mode.due(outcome) else { return Vec::new() };
        self.set_time(now);
        let control_id = self.control_id();
        let answer =
            Acknowledgment { time: &self.time, control_id: &control_id, text, ..Acknowledgment::new(code) }
                .answer(request);
        framed(&answer, settings)
    }

    fn control_id(&mut self) -> Vec<u8> {
        self.count += 1;
        format!("{}{:X}", self.run, self.count).into_bytes()
    }

    /// The answer to bytes whose MSH cannot be read; `None` for what does not even begin like a message, where the framing
    /// asks for none.
    pub(super) fn unreadable(
        &mut self,
        bytes: &[u8],
        manner: Manner,
        settings: &Settings,
        now: SystemTime,
    ) -> Option<Vec<u8>> {
        if manner == Manner::Release2 {
            return Some(commit(NAK, settings));
        }
        self.set_time(now);
        let control_id = self.control_id();
        let answer = reject_unreadable(bytes, &self.time, &control_id, b"the MSH segment cannot be read")?;
        Some(framed(&answer, settings))
    }
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    match what {
        [one] => memchr(*one, bytes).is_some(),
        several => memmem::find(bytes, several).is_some(),
    }
}

fn framed(answer: &[u8], settings: &Settings) -> Vec<u8> {
    let mut out = Vec::with_capacity(answer.len() + 8);
    // Fails only where the site chose delimiters that occur in the answer: then there is none, and the man page says so.
    let _ = mllp::encode(answer, settings, &mut out);
    out
}

/// `SOB` code `EOD EOB`: no CR belongs into a commit block.
pub(super) fn commit(code: u8, settings: &Settings) -> Vec<u8> {
    [&settings.sob[..], &[code], &settings.eod, &settings.eob].concat()
}
