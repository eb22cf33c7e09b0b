//! What a receiver answers, and what follows from it.

use std::ops::ControlFlow;
use std::time::Instant;

use protogen_core::hl7::{AckCode, Message};
use protogen_core::llp::mllp::Item;
use protogen_journal::Outcome;
use protogen_sys::event_loop::{Drained, EventLoop, drain};

use super::super::answer::first_segment;
use super::super::judge::{Expected, Refusal, Verdict};
use super::super::token::Owner;
use super::{BREAKER, Current, Line, Outlet, RETRIES};
use crate::log;

/// How much is read from a receiver in one turn, in bytes.
const TURN: usize = 256 << 10;

enum Answer {
    Frame(Vec<u8>),
    Commit(bool),
}

impl Outlet {
    /// Reads what the receiver sent.
    pub(in crate::engine) fn read(&mut self, events: &mut EventLoop, buffer: &mut [u8], now: Instant) {
        let Some(Line { wire, decoder, .. }) = &mut self.line else { return };
        let mut answers = Vec::new();
        let mut notes = Vec::new();
        let drained = drain(&mut wire.stream, buffer, TURN, |mut bytes| {
            while let Some(item) = decoder.decode(&mut bytes, now) {
                match item {
                    Item::Frame(frame) => answers.push(Answer::Frame(frame.message.to_vec())),
                    Item::Commit(positive, _) => answers.push(Answer::Commit(positive)),
                    Item::Dropped(dropped) => notes.push((dropped.kind, dropped.offset, dropped.count)),
                    _ => {}
                }
            }
            ControlFlow::Continue(())
        });
        for (kind, offset, count) in notes {
            log::error!(&self.name, "framing error: {kind} at byte {offset}, {count} bytes dropped");
        }
        for answer in answers {
            self.answered(answer, now);
        }
        match drained {
            Ok(Drained::WouldBlock) => {}
            Ok(Drained::Stopped) => events.revisit(Owner::Outlet(self.number).token()),
            Ok(Drained::End) => self.hang_up(events, "closed by the receiver"),
            Err(error) => self.hang_up(events, &error.to_string()),
        }
    }

    fn answered(&mut self, answer: Answer, now: Instant) {
        let waits = |current: &&Current| current.sent.is_some() && current.expected != Expected::Nothing;
        let Some(current) = self.current.as_ref().filter(waits) else { return self.unasked(&answer) };
        let (verdict, note) = match (answer, &current.expected) {
            (Answer::Commit(true), _) => (Verdict::Accepted, b"ACK".to_vec()),
            (Answer::Commit(false), _) => (Verdict::Refused(Refusal::Nak), b"NAK".to_vec()),
            (Answer::Frame(bytes), Expected::Hl7(control_id)) => {
                (self.judge.judge(&bytes, control_id), bytes)
            }
            // A receiver that sends HL7 acknowledgments although commit blocks are configured.
            (Answer::Frame(bytes), _) => {
                let header = Message::parse(first_segment(&current.stored.bytes));
                let id = header.map(|header| header.control_id().to_vec()).unwrap_or_default();
                (self.judge.judge(&bytes, &id), bytes)
            }
        };
        match verdict {
            Verdict::Accepted => {
                if let Expected::Hl7(control_id) = &current.expected {
                    self.judge.delivered(control_id.clone());
                }
                self.settle(Outcome::Delivered, note);
            }
            Verdict::Refused(refusal) => self.refused(refusal, note, now),
            Verdict::Late(code) => self.late(code),
            Verdict::Foreign(why) => {
                log::error!(&self.name, "{why}: not credited, the right answer is awaited");
            }
        }
    }

    /// An answer came while no message waits for one.
    fn unasked(&self, answer: &Answer) {
        let message = match answer {
            Answer::Frame(bytes) => Message::parse(bytes).ok(),
            Answer::Commit(_) => None,
        };
        match (answer, message.as_ref().and_then(AckCode::of)) {
            (Answer::Commit(false), _) => {
                log::error!(&self.name, "a NAK that nothing waits for: a message may be refused");
            }
            (_, Some(code)) => self.late(code),
            _ => log::info!(&self.name, "an answer that nothing waits for is ignored"),
        }
    }

    /// A further answer, for a message that was settled before.
    fn late(&self, code: AckCode) {
        if code.is_positive() {
            log::info!(&self.name, "a later {code} for a message delivered before");
        } else {
            log::error!(
                &self.name,
                "a later {code} for a message delivered before: its receiver did not take it"
            );
        }
    }

    fn refused(&mut self, refusal: Refusal, note: Vec<u8>, now: Instant) {
        let Some(current) = &mut self.current else { return };
        current.tries += 1;
        current.sent = None;
        let (sequence, tries) = (current.stored.sequence, current.tries);
        let named = log::Named(&current.stored.bytes);
        log::error!(&self.name, "message {sequence} was answered {refusal}, attempt {tries}: {named}");
        log::prod!(&self.name, "answered {refusal}: {}", current.stored.bytes.escape_ascii());
        use AckCode::{AE, CR};
        // AE and CR judge the content: the same message will not fare better.
        let final_answer = matches!(refusal, Refusal::Code(AE | CR)) || tries >= RETRIES;
        if self.dead_in_a_row >= BREAKER {
            self.pause = Some(now + self.retry.pause());
        } else if final_answer {
            self.dead_in_a_row += 1;
            if self.dead_in_a_row == BREAKER {
                log::error!(
                    &self.name,
                    "{BREAKER} dead letters in a row: the queue is held, and tried with growing pauses"
                );
            }
            self.settle(Outcome::Dead, note);
        } else {
            self.record(sequence, Outcome::Tries(tries), note);
            self.pause = Some(now + self.retry.pause());
        }
    }
}
