//! Commit blocks, retries, and what each role does with what it did not expect.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::*;
use crate::llp::mllp::encode;
use crate::llp::{Event, Failure, Kind, Link, NoteKind, SendId};

const M1: &[u8] = b"MSH|^~\\&|A|B|C|D|1||ADT^A01|1|P|2.1\r";
const M2: &[u8] = b"MSH|^~\\&|A|B|C|D|1||ADT^A01|2|P|2.1\r";
const COMMIT_ACK: &[u8] = b"\x0b\x06\x1c\r";
const COMMIT_NAK: &[u8] = b"\x0b\x15\x1c\r";

struct Rig {
    station: Station,
    now: Instant,
}

impl Rig {
    fn new() -> Self {
        Settings::default().check().unwrap();
        Self { station: Station::new(Settings::default()), now: Instant::now() }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.station.handle_input(bytes, self.now);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.station.handle_timeout(self.now);
    }

    fn send(&mut self, message: &[u8]) -> SendId {
        self.station.send(message, Kind::Request, self.now).unwrap()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.station.poll_transmit(&mut out);
        out
    }

    fn events(&mut self) -> Vec<Event> {
        let all = std::iter::from_fn(|| self.station.poll_event());
        all.filter(|e| !matches!(e, Event::Note(_))).collect()
    }

    fn notes(&mut self) -> Vec<NoteKind> {
        let all = std::iter::from_fn(|| self.station.poll_event());
        all.filter_map(|e| if let Event::Note(n) = e { Some(n.kind) } else { None }).collect()
    }
}

fn content(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(message, &Settings::default().framing, &mut out).unwrap();
    out
}

fn message(bytes: &[u8]) -> Event {
    Event::Message { message: bytes.to_vec(), answers: None }
}

#[test]
fn nothing_new_is_sent_before_the_commit() {
    let mut rig = Rig::new();
    let (one, two) = (rig.send(M1), rig.send(M2));
    assert_eq!(rig.bytes(), content(M1));
    rig.feed(&COMMIT_ACK[..2]);
    assert_eq!(rig.bytes(), b"");
    rig.feed(&COMMIT_ACK[2..]);
    assert_eq!(rig.events(), [Event::Delivered(one)]);
    assert_eq!(rig.bytes(), content(M2));
    rig.feed(COMMIT_ACK);
    assert_eq!(rig.events(), [Event::Delivered(two)]);
    assert!(rig.station.is_idle());
}

#[test]
fn no_answer_and_nak_use_up_the_retries() {
    let mut rig = Rig::new();
    let id = rig.send(M1);
    for _ in 0..3 {
        assert_eq!(rig.bytes(), content(M1));
        assert_eq!(rig.events(), []);
        rig.wait(30);
    }
    assert_eq!(rig.events(), [Event::Failed(id, Failure::NoAnswer(3))]);

    let mut rig = Rig::new();
    let id = rig.send(M1);
    for _ in 0..3 {
        assert_eq!(rig.bytes(), content(M1));
        rig.feed(COMMIT_NAK);
        assert_eq!(rig.bytes(), b"", "a pause first");
        rig.wait(1);
    }
    assert_eq!(rig.events(), [Event::Failed(id, Failure::Refused(None))]);
    assert_eq!(rig.station.counters().naks_in, 3);
}

#[test]
fn a_commit_that_a_repetition_caused_is_not_taken_for_the_next_message() {
    let mut rig = Rig::new();
    let one = rig.send(M1);
    rig.wait(30);
    assert_eq!(rig.bytes(), [content(M1), content(M1)].concat());
    let two = rig.send(M2);
    rig.feed(COMMIT_ACK);
    assert_eq!(rig.events(), [Event::Delivered(one)]);
    assert_eq!(rig.bytes(), b"", "the second copy's commit may still come");
    rig.feed(COMMIT_ACK);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.bytes(), content(M2));
    rig.feed(COMMIT_ACK);
    assert_eq!(rig.events(), [Event::Delivered(two)]);

    // If it never comes, the wait ends.
    let mut rig = Rig::new();
    rig.send(M1);
    rig.wait(30);
    rig.feed(COMMIT_ACK);
    rig.send(M2);
    rig.bytes();
    rig.wait(30);
    assert_eq!(rig.bytes(), content(M2));
}

#[test]
fn the_destination_commits_what_is_stored() {
    let mut rig = Rig::new();
    rig.feed(&content(M1));
    assert_eq!(rig.events(), [message(M1)]);
    assert_eq!(rig.bytes(), b"", "nothing before it is stored");
    rig.feed(&content(M1));
    assert_eq!(rig.notes(), [NoteKind::Duplicate], "the source has lost patience");
    rig.station.accept(rig.now);
    assert_eq!(rig.bytes(), COMMIT_ACK);
    rig.feed(&content(M2));
    assert_eq!(rig.events(), [message(M2)]);
    rig.station.refuse(rig.now);
    assert_eq!(rig.bytes(), COMMIT_NAK);
    // A repetition after the commit cannot be told from a new message.
    rig.feed(&content(M2));
    assert_eq!(rig.events(), [message(M2)]);
}

#[test]
fn stray_commits_and_answers() {
    let mut rig = Rig::new();
    rig.feed(COMMIT_ACK);
    rig.station.accept(rig.now);
    assert_eq!(rig.notes(), [NoteKind::StrayCommit, NoteKind::LateAnswer]);
    assert_eq!(rig.bytes(), b"");
}

#[test]
fn more_than_can_be_stored_gets_no_commit() {
    let mut rig = Rig::new();
    for n in 0..9 {
        rig.feed(&content(format!("MSH|{n}\r").as_bytes()));
    }
    let count = |rig: &mut Rig| rig.events().len();
    assert_eq!(count(&mut rig), 8);
    for _ in 0..9 {
        rig.station.accept(rig.now);
    }
    assert_eq!(rig.bytes(), COMMIT_ACK.repeat(8));
}

#[test]
fn both_roles_at_once_and_the_end() {
    let mut rig = Rig::new();
    let (one, two) = (rig.send(M1), rig.send(M2));
    rig.feed(&[&content(M2)[..], COMMIT_ACK].concat());
    assert_eq!(rig.events(), [message(M2), Event::Delivered(one)]);
    rig.station.handle_eof(rig.now);
    assert_eq!(rig.events(), [Event::Failed(two, Failure::Disconnected), Event::Closed]);
    rig.station.accept(rig.now);
    assert_eq!(rig.bytes(), content(M1).into_iter().chain(content(M2)).collect::<Vec<_>>());
}

#[test]
fn a_message_can_be_cancelled() {
    let mut rig = Rig::new();
    let (one, two) = (rig.send(M1), rig.send(M2));
    assert!(rig.station.cancel(two, rig.now) && rig.station.cancel(one, rig.now));
    assert!(!rig.station.cancel(one, rig.now));
    let cancelled = |id| Event::Failed(id, Failure::Cancelled);
    assert_eq!(rig.events(), [cancelled(two), cancelled(one)]);
}

#[test]
fn settings_are_checked() {
    let hasty = Settings { commit_timeout: Duration::from_secs(31), ..Settings::default() };
    assert_eq!(hasty.check().unwrap_err().setting, "frame_timeout");
}

proptest! {
    /// A dialogue of two stations over a connection that delivers in pieces.
    #[test]
    fn messages_cross_in_any_pieces(messages in prop::collection::vec("MSH\\|[ -~\r]{0,200}\r", 1..5), piece in 1usize..60) {
        let mut ends = [Rig::new(), Rig::new()];
        let ids: Vec<_> = messages.iter().map(|m| ends[0].send(m.as_bytes())).collect();
        let (mut received, mut delivered) = (Vec::new(), Vec::new());
        for side in (0..2).cycle() {
            let bytes = ends[side].bytes();
            if bytes.is_empty() {
                break;
            }
            bytes.chunks(piece).for_each(|part| ends[1 - side].feed(part));
            for event in ends[1 - side].events() {
                match event {
                    Event::Message { message, .. } => received.push(message),
                    Event::Delivered(id) => delivered.push(id),
                    other => panic!("{other:?}"),
                }
            }
            if side == 0 {
                let now = ends[1].now;
                ends[1].station.accept(now);
            }
        }
        prop_assert_eq!(received, messages.into_iter().map(String::into_bytes).collect::<Vec<_>>());
        prop_assert_eq!(delivered, ids);
    }
}
