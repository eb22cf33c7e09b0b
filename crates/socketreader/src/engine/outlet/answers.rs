//! What a receiver answers, and what follows from it.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use protogen_core::hl7::{AckCode, Message};
use protogen_core::llp::mllp::Item;
use protogen_journal::Outcome;
use protogen_sys::event_loop::{Drained, EventLoop};

use super::super::answer::first_segment;
use super::super::judge::{Expected, Verdict};
use super::super::token::Owner;
use super::line::Line;
use super::{Current, Outlet};
use crate::board::{Board, Outbox, Pause, Trouble};
use crate::config::{OnRefusal, Refusal};
use crate::log;

/// How much is read from a receiver in one turn, in bytes.
const TURN: usize = 256 << 10;
/// So many answers to other messages in a row are told to somebody.
const MISMATCHES: u32 = 3;

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
        let drained = wire.drain(buffer, TURN, |mut bytes| {
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
            let is_reply = matches!(answer, Answer::Frame(_));
            self.answered(answer, now);
            if is_reply && self.socket.mllp2 {
                self.commit_reply();
            }
        }
        match drained {
            Ok(Drained::WouldBlock) => {}
            Ok(Drained::Stopped) => events.revisit(Owner::Outlet(self.number).token()),
            Ok(Drained::End) => self.hang_up(events, "closed by the receiver"),
            Err(error) => self.hang_up(events, &error.to_string()),
        }
    }

    fn answered(&mut self, answer: Answer, now: Instant) {
        match &answer {
            Answer::Frame(bytes) => self.meter.answered(bytes),
            Answer::Commit(positive) => self.meter.answered(if *positive { b"\x06" } else { b"\x15" }),
        }
        if matches!(answer, Answer::Commit(_)) && self.socket.mllp2 && !self.is_about_current() {
            return self.unasked(&answer);
        }
        let waits = |current: &&Current| current.sent.is_some() && current.expected != Expected::Nothing;
        let Some(current) = self.current.as_ref().filter(waits) else { return self.unasked(&answer) };
        let (verdict, note) = match (answer, &current.expected) {
            (Answer::Commit(true), Expected::Hl7(_)) if self.socket.mllp2 => return self.committed(now),
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
                self.outbox.failed(why.clone());
                self.mismatches += 1;
                if self.mismatches == MISMATCHES {
                    self.outbox
                        .raise(Trouble::Mismatched, || format!("{MISMATCHES} answers in a row: {why}"));
                }
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
        self.outbox.failed(format!("message {sequence} was answered {refusal}: {named}"));
        let policy = &self.socket.policy;
        let action = policy.on(refusal);
        let is_held = policy.breaker > 0 && self.dead_in_a_row >= policy.breaker;
        if action == OnRefusal::Dead && !is_held && tries >= policy.attempts(refusal) {
            self.dead_in_a_row = self.dead_in_a_row.saturating_add(1);
            let breaker = policy.breaker;
            if self.dead_in_a_row == breaker {
                log::error!(
                    &self.name,
                    "{breaker} dead letters in a row: the queue is held, and tried with growing pauses"
                );
                self.outbox.raise(Trouble::Held, || {
                    format!("{breaker} dead letters in a row, the last answered {refusal}")
                });
            }
            return self.settle(Outcome::Dead, note);
        }
        if action == OnRefusal::Stop {
            let pause = Pause::after(sequence, refusal);
            let by = &pause.by;
            log::error!(&self.name, "stopped, {by}: mend it, then socketreader --resume {}", self.name);
            if let Err(error) = stop(&self.board, &self.outbox, pause) {
                log::error!(log::GENERAL, "the stop will not survive a restart: {error}");
            }
        }
        self.meter.tries_again();
        self.record(sequence, Outcome::Tries(tries), note);
        self.pause = Some(now + self.retry.pause());
    }
}

/// Pauses the connection. The loop does not wait for the file that makes it survive a restart.
fn stop(board: &Arc<Board>, outbox: &Arc<Outbox>, pause: Pause) -> io::Result<JoinHandle<()>> {
    outbox.set_pause(Some(pause));
    let (board, outbox) = (Arc::clone(board), Arc::clone(outbox));
    let keep = move || {
        if let Err(error) = board.save_pauses() {
            log::error!(&outbox.name, "the stop will not survive a restart: {error}");
        }
    };
    std::thread::Builder::new().name("pause".to_owned()).spawn(keep)
}

#[cfg(test)]
mod tests {
    use super::*;

    use protogen_testkit::Dir;

    use crate::board::pauses_in;
    use crate::config::{Scope, load};

    #[test]
    fn a_stop_that_is_saved_late_does_not_undo_what_an_operator_did_meanwhile() {
        let dir = Dir::new();
        let text = format!(
            "[general]\nuseconnections = in, out\nstatedir = {}\n\
             [in]\ntranstech = socket\ntransdir = in\nport = 2575\nqueuename = q\n\
             [out]\ntranstech = socket\ntransdir = out\nport = 2576\nqueuename = q\n",
            dir.make("state").display(),
        );
        let config = Arc::new(load(&dir.write("sr.cfg", text), Scope::Start).config.unwrap());
        let board = Arc::new(Board::open(&config).unwrap());
        let outbox = board.outbox("out").unwrap();
        for sequence in 1..100 {
            let saving = stop(&board, &outbox, Pause::after(sequence, "AE")).unwrap();
            board.set_pause(&outbox, None).unwrap();
            saving.join().unwrap();
            assert!(!outbox.is_paused(), "{sequence}");
            assert!(pauses_in(&dir.join("state")).unwrap().is_empty(), "{sequence}");
        }
        stop(&board, &outbox, Pause::after(100, "AE")).unwrap().join().unwrap();
        assert!(outbox.is_paused() && pauses_in(&dir.join("state")).unwrap().contains_key("out"));
    }
}
