//! The vectors, to the byte; damaged blocks and their reasons; who resends what.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::block::encode;
use super::*;
use crate::llp::{Event, Failure, Kind, Link, NoteKind, SendError, SendId};

const REPLY: &[u8] = b"MSH|^~\\&|LAB|767543|ADT|767543|19900314130405||ACK^|XX3657|P|2.1\rMSA|AA|ZZ9380\r";
const ASK: &[u8] = b"MSH|^~\\&|ADT|767543|LAB|767543|19900314130400||ADT^A01|ZZ9380|P|2.1\r";

fn block(kind: u8, data: &[u8], settings: &Settings) -> Vec<u8> {
    let mut out = Vec::new();
    encode(kind, data, settings, &mut out);
    out
}

fn d(data: &[u8]) -> Vec<u8> {
    block(DATA, data, &Settings::default())
}

fn n(reason: u8) -> Vec<u8> {
    block(NAK, &[reason], &Settings::default())
}

struct Rig {
    station: Station,
    now: Instant,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        settings.check().unwrap();
        Self { station: Station::new(settings), now: Instant::now() }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.station.handle_input(bytes, self.now);
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
        self.station.handle_timeout(self.now);
    }

    fn ask(&mut self) -> SendId {
        self.station.send(ASK, Kind::Request, self.now).unwrap()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.station.poll_transmit(&mut out);
        out
    }

    /// The events, without notes.
    fn events(&mut self) -> Vec<Event> {
        let all = std::iter::from_fn(|| self.station.poll_event());
        all.filter(|e| !matches!(e, Event::Note(_))).collect()
    }

    fn notes(&mut self) -> Vec<NoteKind> {
        let all = std::iter::from_fn(|| self.station.poll_event());
        all.filter_map(|e| if let Event::Note(n) = e { Some(n.kind) } else { None }).collect()
    }
}

fn message(data: &[u8], answers: Option<SendId>) -> Event {
    Event::Message { message: data.to_vec(), answers }
}

#[test]
fn vectors() {
    assert_eq!(d(REPLY), [b"\x0bD21\r", REPLY, b"00084027\x1c\r"].concat());
    for (reason, digits) in [(b'X', "00006019"), (b'C', "00006008"), (b'B', "00006009"), (b'G', "00006012")] {
        let expected = [b"\x0bN21\r", &[reason][..], digits.as_bytes(), b"\x1c\r"].concat();
        assert_eq!(n(reason), expected);
    }
    for (version, expected) in [(*b"22", b"\x0bN22\rX00006016\x1c\r"), (*b"23", b"\x0bN23\rX00006017\x1c\r")]
    {
        assert_eq!(block(NAK, b"X", &Settings { version, ..Settings::default() }), expected);
    }
    assert_eq!(d(b""), b"\x0bD21\r00005065\x1c\r");
    let sun = Settings { bcc: Bcc::XorDataAndCount, ..Settings::default() };
    assert_eq!(block(NAK, b"X", &sun), b"\x0bN21\rX00006037\x1c\r");
}

/// Messages received, whole, byte by byte and split at every offset.
fn received(settings: &Settings, stream: &[u8]) -> Vec<Vec<u8>> {
    let run = |pieces: &[&[u8]]| {
        let mut rig = Rig::new(settings.clone());
        pieces.iter().for_each(|p| rig.feed(p));
        let messages = rig.events().into_iter();
        let messages = messages
            .filter_map(|e| if let Event::Message { message, .. } = e { Some(message) } else { None });
        messages.collect::<Vec<_>>()
    };
    let whole = run(&[stream]);
    assert_eq!(run(&stream.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    for cut in 0..=stream.len() {
        assert_eq!(run(&[&stream[..cut], &stream[cut..]]), whole, "split at {cut}");
    }
    whole
}

#[test]
fn one_two_and_three_blocks() {
    let settings = Settings::default();
    assert_eq!(received(&settings, &d(ASK)), [ASK]);
    assert_eq!(received(&settings, &[d(ASK), d(ASK)].concat()), [ASK, ASK]);
    assert_eq!(
        received(&settings, &[b"\r\nxx".to_vec(), d(ASK), d(b"x\r"), d(ASK)].concat()),
        [ASK, b"x\r", ASK]
    );
}

#[test]
fn every_check_is_understood() {
    for bcc in [Bcc::XorData, Bcc::XorDataAndCount, Bcc::SumData, Bcc::None] {
        let settings = Settings { bcc, ..Settings::default() };
        let stream = block(DATA, ASK, &settings);
        assert_eq!(received(&settings, &stream), [ASK]);
        assert_eq!(received(&Settings { either: true, ..Settings::default() }, &stream), [ASK]);
        let by_default = received(&Settings::default(), &stream);
        assert_eq!(by_default.len(), usize::from(matches!(bcc, Bcc::XorData | Bcc::None)), "{bcc:?}");
    }
}

#[test]
fn damage_is_answered_with_its_reason_and_the_count_comes_first() {
    let good = d(ASK);
    let sum_at = good.len() - 5;
    let count_at = good.len() - 10;
    let mut wrong_sum = good.clone();
    wrong_sum[sum_at..sum_at + 3].copy_from_slice(b"998");
    let mut both = wrong_sum.clone();
    both[count_at..count_at + 5].copy_from_slice(b"00001");
    let mut high = good.clone();
    high[count_at..count_at + 5].copy_from_slice(b"09999");
    for (damaged, wait, reason) in
        [(&wrong_sum, 0, WRONG_SUM), (&both, 0, WRONG_COUNT), (&high, 1, WRONG_COUNT)]
    {
        let mut rig = Rig::new(Settings::default());
        rig.feed(damaged);
        rig.wait(wait);
        assert_eq!(rig.bytes(), n(reason));
        rig.feed(&good);
        assert_eq!(rig.events(), [message(ASK, None)]);
    }
}

#[test]
fn too_long_and_stalled_blocks() {
    let settings = Settings { max_message: ASK.len() - 1, ..Settings::default() };
    let mut rig = Rig::new(settings);
    for piece in [&b"\x0bD21\r"[..], ASK, ASK, ASK, b"00084027\x1c", b"\r"] {
        assert_eq!(rig.bytes(), b"");
        rig.feed(piece);
    }
    assert_eq!(rig.bytes(), n(TOO_LONG));
    let mut rig = Rig::new(Settings::default());
    rig.feed(b"\x0bD21\rMSH|");
    rig.wait(9);
    assert_eq!(rig.bytes(), b"");
    rig.wait(1);
    assert_eq!(rig.bytes(), n(OTHER));
    rig.feed(&d(ASK));
    assert_eq!(rig.events(), [message(ASK, None)]);
}

#[test]
fn a_header_that_is_none_sends_the_receiver_back_to_idle() {
    let mut rig = Rig::new(Settings::default());
    rig.feed(b"\x0bE21\rxx00084027\x1c\r\x0bD2\r\x0b");
    rig.feed(&d(ASK));
    assert_eq!(rig.bytes(), b"");
    assert_eq!(rig.events(), [message(ASK, None)]);
}

#[test]
fn eb_inside_data_is_judged_by_the_count() {
    for data in [&b"MSH|a\x1cb\r"[..], b"MSH|a\x1c\rb\r", b"MSH|\x1c\r\x1c\r\x1c\r", b"MSH|00084027\x1c\rx"] {
        assert_eq!(received(&Settings::default(), &d(data)), [data]);
    }
}

#[test]
fn a_missing_last_cr_is_forgiven() {
    let stream = d(ASK);
    let mut rig = Rig::new(Settings::default());
    rig.feed(&stream[..stream.len() - 1]);
    rig.wait(1);
    assert_eq!(rig.events(), [message(ASK, None)]);
    assert_eq!(received(&Settings::default(), &[&stream[..stream.len() - 1], &stream].concat()), [ASK, ASK]);
}

#[test]
fn a_lost_end_is_recovered_with_the_next_block() {
    let stream = [&d(ASK)[..40], &d(b"MSH|2\r")].concat();
    assert_eq!(received(&Settings::default(), &stream), [b"MSH|2\r"]);
}

#[test]
fn request_and_reply() {
    let mut rig = Rig::new(Settings::default());
    let id = rig.ask();
    assert_eq!(rig.bytes(), d(ASK));
    // The peer's own request comes in between: it is no reply.
    let other = b"MSH|^~\\&|LAB|||||||Q1|P|2.1\r";
    rig.feed(&d(other));
    rig.feed(&d(REPLY));
    rig.feed(&d(REPLY));
    assert_eq!(rig.events(), [message(other, None), Event::Delivered(id), message(REPLY, Some(id))]);
    // A reply to something else is handed over as such.
    rig.feed(&d(b"MSH|^~\\&|\rMSA|AA|OTHER\r"));
    assert_eq!(rig.events(), [message(b"MSH|^~\\&|\rMSA|AA|OTHER\r", None)]);
}

#[test]
fn a_nak_makes_the_request_go_out_again_five_times() {
    let mut rig = Rig::new(Settings::default());
    let id = rig.ask();
    for _ in 0..5 {
        assert_eq!(rig.bytes(), d(ASK));
        rig.feed(&n(WRONG_SUM));
    }
    assert_eq!(rig.bytes(), d(ASK));
    assert_eq!(rig.events(), []);
    rig.feed(&n(WRONG_COUNT));
    assert_eq!(rig.bytes(), b"");
    assert_eq!(rig.events(), [Event::Failed(id, Failure::Refused(Some(WRONG_COUNT)))]);
}

#[test]
fn a_nak_is_never_answered_and_a_damaged_one_counts_as_one() {
    let mut rig = Rig::new(Settings::default());
    rig.feed(&n(WRONG_SUM));
    rig.feed(b"\x0bN21\rX00006018\x1c\r");
    assert_eq!(rig.bytes(), b"");
    rig.ask();
    rig.bytes();
    rig.feed(b"\x0bN21\rX00006018\x1c\r");
    assert_eq!(rig.bytes(), d(ASK), "the request again, and no NAK");
}

#[test]
fn no_reply() {
    let mut rig = Rig::new(Settings::default());
    let id = rig.ask();
    rig.wait(29);
    assert_eq!(rig.events(), []);
    rig.wait(1);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::NoAnswer(1))]);

    let mut rig =
        Rig::new(Settings { on_timeout: OnTimeout::Resend, send_retries: 2, ..Settings::default() });
    let id = rig.ask();
    for _ in 0..3 {
        assert_eq!(rig.bytes(), d(ASK));
        rig.wait(30);
    }
    assert_eq!(rig.events(), [Event::Failed(id, Failure::NoAnswer(3))]);
}

#[test]
fn a_damaged_reply() {
    let mut damaged = d(REPLY);
    damaged[20] ^= 1;
    for policy in [OnBadReply::Nak, OnBadReply::Resend, OnBadReply::Fail] {
        let mut rig = Rig::new(Settings { on_bad_reply: policy, ..Settings::default() });
        let id = rig.ask();
        rig.bytes();
        rig.feed(&damaged);
        match policy {
            OnBadReply::Nak => assert_eq!(rig.bytes(), n(WRONG_SUM)),
            OnBadReply::Resend => assert_eq!(rig.bytes(), d(ASK)),
            OnBadReply::Fail => assert_eq!(rig.events(), [Event::Failed(id, Failure::BadReply)]),
        }
    }
}

#[test]
fn the_responder_repeats_its_reply_and_holds_its_own_requests_back() {
    let mut rig = Rig::new(Settings::default());
    rig.feed(&d(ASK));
    rig.station.send(b"MSH|^~\\&|mine\r", Kind::Request, rig.now).unwrap();
    assert_eq!(rig.bytes(), b"", "the peer would take it for the reply");
    rig.station.send(REPLY, Kind::Reply, rig.now).unwrap();
    assert_eq!(rig.bytes(), [d(REPLY), d(b"MSH|^~\\&|mine\r")].concat());

    let mut rig = Rig::new(Settings::default());
    rig.feed(&d(ASK));
    rig.station.send(REPLY, Kind::Reply, rig.now).unwrap();
    rig.bytes();
    rig.feed(&n(WRONG_SUM));
    assert_eq!(rig.bytes(), d(REPLY));
}

#[test]
fn a_request_keeps_clear_of_a_nak_that_means_the_reply() {
    let second = Duration::from_secs(1);
    let mut rig = Rig::new(Settings { turnaround: second * 2, ..Settings::default() });
    rig.feed(&d(ASK));
    rig.station.send(REPLY, Kind::Reply, rig.now).unwrap();
    rig.ask();
    assert_eq!(rig.bytes(), d(REPLY));
    rig.wait(1);
    rig.feed(&n(b'X'));
    assert_eq!(rig.bytes(), d(REPLY), "not the request");
    rig.wait(1);
    assert_eq!((rig.bytes(), rig.station.poll_timeout()), (vec![], Some(rig.now + second)), "quiet anew");
    rig.wait(1);
    assert_eq!(rig.bytes(), d(ASK));
}

#[test]
fn what_cannot_be_sent() {
    let mut rig = Rig::new(Settings { queue: 1, max_message: 10, ..Settings::default() });
    let mut send = |m: &[u8]| rig.station.send(m, Kind::Request, rig.now);
    assert_eq!(send(b"MSH|\x1c"), Err(SendError::Forbidden { offset: 4, byte: 0x1c }));
    assert_eq!(send(b"MSH|567890"), Err(SendError::TooLong(10)));
    assert_eq!(send(b""), Err(SendError::Empty));
    assert!(send(b"MSH|1").is_ok() && send(b"MSH|2").is_ok());
    assert_eq!(send(b"MSH|3"), Err(SendError::Full));
}

#[test]
fn the_end_of_the_line_fails_what_waits() {
    let mut rig = Rig::new(Settings::default());
    let (one, two) = (rig.ask(), rig.ask());
    rig.feed(b"\x0bD21\rMSH");
    rig.station.handle_eof(rig.now);
    let failed = |id| Event::Failed(id, Failure::Disconnected);
    assert_eq!(rig.events(), [failed(one), failed(two), Event::Closed]);
    assert_eq!(rig.notes(), []);
    assert_eq!(rig.station.poll_timeout(), None);
}

proptest! {
    #[test]
    fn blocks_come_back_in_any_pieces(
        messages in prop::collection::vec("MSH\\|[ -~\r\u{1c}\u{0b}]{0,200}\r", 1..4),
        piece in 1usize..100,
        bcc in prop::sample::select(vec![Bcc::XorData, Bcc::XorDataAndCount, Bcc::SumData, Bcc::None]),
    ) {
        let settings = Settings { bcc, ..Settings::default() };
        let mut rig = Rig::new(settings.clone());
        for text in &messages {
            for part in block(DATA, text.as_bytes(), &settings).chunks(piece) {
                rig.feed(part);
            }
        }
        let expected: Vec<_> = messages.iter().map(|m| message(m.as_bytes(), None)).collect();
        prop_assert_eq!(rig.events(), expected);
    }
}
