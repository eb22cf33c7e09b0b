//! The vectors, to the byte; the dialogue of each role; every variant's block; the timers.

use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::reader::Reader;
use super::token::{Block, Token, encode, encode_block};
use super::*;
use crate::llp::{Event, Failure, Kind, Link, NoteKind, SendError, SendId};

const MSH: &[u8] = b"MSH|^~\\&|ADT|A|LAB|B|199003141304||ADT^A01|XX3657|P|2.1\r";
const PID: &[u8] = b"PID|||12345\r";

fn segments() -> Settings {
    Settings { segment_per_block: true, ..Settings::default() }
}

fn both() -> Vec<u8> {
    [MSH, PID].concat()
}

fn block(number: u8, text: &[u8], last: bool) -> Vec<u8> {
    block_as(number, text, last, &Settings::default())
}

fn block_as(number: u8, text: &[u8], last: bool, settings: &Settings) -> Vec<u8> {
    let mut out = Vec::new();
    encode_block(number, text, last, settings, &mut out);
    out
}

struct Rig {
    station: Station,
    now: Instant,
}

impl Rig {
    fn new(settings: Settings) -> Self {
        settings.check().unwrap();
        let now = Instant::now();
        Self { station: Station::new(settings, now), now }
    }

    /// Feeds these bytes and returns the answer.
    fn hear(&mut self, bytes: &[u8]) -> Vec<u8> {
        self.station.handle_input(bytes, self.now);
        self.bytes()
    }

    fn wait(&mut self, milliseconds: u64) -> Vec<u8> {
        self.now += Duration::from_millis(milliseconds);
        self.station.handle_timeout(self.now);
        self.bytes()
    }

    fn send(&mut self, message: &[u8]) -> SendId {
        self.station.send(message, Kind::Request, self.now).unwrap()
    }

    fn bytes(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        self.station.poll_transmit(&mut out);
        out
    }

    fn accept(&mut self) -> Vec<u8> {
        self.station.accept(self.now);
        self.bytes()
    }

    fn all_events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.station.poll_event()).collect()
    }

    /// The events, without notes.
    fn events(&mut self) -> Vec<Event> {
        self.all_events().into_iter().filter(|e| !matches!(e, Event::Note(_))).collect()
    }

    fn notes(&mut self) -> Vec<NoteKind> {
        self.all_events()
            .iter()
            .filter_map(|e| if let Event::Note(n) = e { Some(n.kind) } else { None })
            .collect()
    }
}

fn message(bytes: &[u8]) -> Event {
    Event::Message { message: bytes.to_vec(), answers: None }
}

const ENQ_CR: &[u8] = b"\x05\r";
const EOT_CR: &[u8] = b"\x04\r";
const NAK_CR: &[u8] = b"\x15\r";
const RINT_CR: &[u8] = b"\x10<\r";

fn ack(number: u8) -> Vec<u8> {
    vec![DLE, b'0' + number, CR]
}

// ---- tokens and blocks ----------------------------------------------------------------------------------------

#[test]
fn vectors() {
    assert_eq!(block(1, MSH, false), [b"\x02100056", MSH, b"\x1741\r"].concat());
    assert_eq!(block(2, PID, true), [b"\x02200012", PID, b"\x031F\r"].concat());
    assert_eq!(block(1, &both(), true), [b"\x02100068", &both()[..], b"\x0345\r"].concat());
    let settings = Settings::default();
    for (token, bytes) in [
        (Token::Enq, ENQ_CR),
        (Token::Eot, EOT_CR),
        (Token::Nak, NAK_CR),
        (Token::Rint, RINT_CR),
        (Token::Ack(Some(0)), b"\x100\r"),
        (Token::Ack(Some(7)), b"\x107\r"),
    ] {
        assert_eq!(encode(&token, &settings), bytes);
    }
}

fn variants() -> Vec<Settings> {
    let mut all = Vec::new();
    for numbering in [Numbering::BlockAndLength, Numbering::None] {
        for ack in [Ack::Numbered, Ack::Alternating, Ack::Plain] {
            for bcc in [Bcc::HexXor, Bcc::RawLrc, Bcc::None] {
                for term in [Term::Cr, Term::CrLf, Term::None] {
                    for dle_transparency in [false, true] {
                        all.push(Settings {
                            numbering,
                            ack,
                            bcc,
                            term,
                            dle_transparency,
                            ..Settings::default()
                        });
                    }
                }
            }
        }
    }
    all
}

/// Tokens read whole, byte by byte, and split at every offset.
fn read(settings: &Settings, stream: &[u8]) -> Vec<Token> {
    let run = |pieces: &[&[u8]]| {
        let now = Instant::now();
        let mut reader = Reader::new(settings.clone());
        let mut tokens = Vec::new();
        for piece in pieces {
            let mut input = *piece;
            while let Some(token) = reader.decode(&mut input, now) {
                tokens.push(token);
            }
        }
        tokens.extend(reader.handle_timeout(now + settings.timer_b));
        tokens
    };
    let whole = run(&[stream]);
    assert_eq!(run(&stream.chunks(1).collect::<Vec<_>>()), whole, "byte by byte");
    for cut in 0..=stream.len() {
        assert_eq!(run(&[&stream[..cut], &stream[cut..]]), whole, "split at {cut}");
    }
    whole
}

#[test]
fn every_variant_reads_what_it_writes() {
    for settings in variants() {
        let text: &[u8] = if settings.dle_transparency { b"A\x10B\x03\x10\x10\x02C\x05\r" } else { PID };
        let numbered = settings.numbering == Numbering::BlockAndLength;
        let token = |number: u8, last| {
            Token::Block(Block { number: numbered.then_some(number), text: text.to_vec(), last })
        };
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for number in 1..4 {
            stream.extend(block_as(number, text, number == 3, &settings));
            stream.extend(encode(&Token::Enq, &settings));
            expected.extend([token(number, number == 3), Token::Enq]);
            assert_eq!(read(&settings, &stream), expected, "{settings:?}");
        }
    }
}

fn read_default(stream: &[u8]) -> Vec<Token> {
    read(&Settings::default(), stream)
}

#[test]
fn prefixes_headings_and_lost_terminators() {
    assert_eq!(read_default(b"xyz\x05\r"), [Token::Enq]);
    assert_eq!(read_default(b"xyz\x04\r\x04\r"), [Token::Eot], "EOT is never prefixed");
    assert_eq!(read_default(b"\x05\x101\x15"), [Token::Enq, Token::Ack(Some(1)), Token::Nak]);
    assert_eq!(read_default(b"\x05\r\n\x04\r\n"), [Token::Enq, Token::Eot]);
    // The check begins after SOH and covers the heading and STX.
    let plain = block(1, PID, true);
    let sum = plain[1..plain.len() - 3].iter().fold(b'H' ^ STX, |s, b| s ^ b);
    let stream = [b"\x01H", &plain[..plain.len() - 3], format!("{sum:02X}\r").as_bytes()].concat();
    assert_eq!(
        read_default(&stream),
        [Token::Block(Block { number: Some(1), text: PID.to_vec(), last: true })]
    );
}

#[test]
fn damaged_blocks() {
    let good = block(1, PID, true);
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        read_default(&bad)
    };
    assert_eq!(with(8, b'x'), [Token::Damaged(NoteKind::BadCheck)]);
    let end = good.len();
    assert_eq!(with(end - 2, b'g'), [Token::Damaged(NoteKind::BadCheck)]);
    // A length that is wrong under a check that is right.
    let lie = |header: &str| {
        let body = [header.as_bytes(), PID, &[ETX]].concat();
        let sum = body.iter().fold(0, |s, b| s ^ b);
        read_default(&[&[STX], &body[..], format!("{sum:02x}\r").as_bytes()].concat())
    };
    assert_eq!(lie("100013"), [Token::Damaged(NoteKind::BadCount)]);
    assert_eq!(lie("1xxxxx"), [Token::Damaged(NoteKind::BadCount)]);
    assert_eq!(lie("800012"), [Token::Damaged(NoteKind::BadBlock)]);
    assert!(matches!(lie("100012")[..], [Token::Block(_)]), "lower case digits are read");
    assert_eq!(read_default(b"\x021000\x0333\r"), [Token::Damaged(NoteKind::BadCheck)]);
    assert_eq!(read_default(&good[..9]), [Token::Stale]);
    assert_eq!(read_default(&[&good[..9], ENQ_CR].concat()), [Token::Aborted]);
    assert_eq!(read_default(&[&good[..9], EOT_CR].concat()), [Token::Eot]);
    let again = [&good[..9], &good[..]].concat();
    assert!(matches!(read_default(&again)[..], [Token::Block(_)]));
    let settings = Settings { max_message: 5, ..Settings::default() };
    assert_eq!(read(&settings, &good), [Token::Damaged(NoteKind::TooLong)]);
}

#[test]
fn seven_bits() {
    let settings = Settings { seven_bit: true, ..Settings::default() };
    let parity: Vec<u8> = block(1, PID, true).iter().map(|b| b | 0x80).collect();
    assert!(matches!(read(&settings, &parity)[..], [Token::Block(_)]));
}

// ---- master ---------------------------------------------------------------------------------------------------

/// A master that has sent its first block.
fn master(settings: Settings) -> (Rig, SendId) {
    let mut rig = Rig::new(settings);
    let id = rig.send(&both());
    assert_eq!(rig.bytes(), ENQ_CR);
    assert_eq!(rig.hear(&ack(0)), block(1, MSH, false));
    (rig, id)
}

#[test]
fn a_message_in_two_blocks() {
    let (mut rig, id) = master(segments());
    assert_eq!(rig.hear(&ack(1)), block(2, PID, true));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.hear(&ack(2)), EOT_CR);
    assert_eq!(rig.events(), [Event::Delivered(id)]);
    // Quiet for the turnaround, then the next bid.
    rig.send(PID);
    assert_eq!(rig.wait(999), b"");
    assert_eq!(rig.wait(1), ENQ_CR);
}

#[test]
fn block_size_and_numbers_modulo_eight() {
    let settings = Settings { block_size: 5, ..Settings::default() };
    let mut rig = Rig::new(settings);
    rig.send(&both());
    rig.bytes();
    let mut sent = Vec::new();
    let mut answer = rig.hear(&ack(0));
    for number in (1..8).chain(0..8) {
        if answer == EOT_CR {
            break;
        }
        assert_eq!(answer[1], b'0' + number);
        sent.extend_from_slice(&answer[7..answer.len() - 4]);
        answer = rig.hear(&ack(number));
    }
    assert_eq!(sent, both());
}

#[test]
fn nak_sends_the_block_again_five_times() {
    let (mut rig, id) = master(segments());
    for _ in 0..5 {
        assert_eq!(rig.hear(NAK_CR), block(1, MSH, false));
    }
    assert_eq!(rig.hear(NAK_CR), EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::Refused(None))]);
    assert_eq!(rig.station.counters().naks_in, 6);
}

#[test]
fn a_lost_reply_is_asked_for_three_times() {
    let (mut rig, id) = master(segments());
    assert_eq!(rig.wait(5_999), b"");
    assert_eq!(rig.wait(1), ENQ_CR);
    assert_eq!(rig.hear(&ack(1)), block(2, PID, true), "the block had arrived");
    for _ in 0..3 {
        assert_eq!(rig.wait(6_000), ENQ_CR);
    }
    assert_eq!(rig.wait(6_000), EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::NoAnswer(1))]);
}

#[test]
fn the_reply_before_as_an_answer_to_enq_means_the_block_is_missing() {
    for reply in [ack(0), NAK_CR.to_vec()] {
        let (mut rig, _) = master(segments());
        assert_eq!(rig.hear(&ack(0)), b"", "unasked, it is a late one");
        rig.wait(6_000);
        assert_eq!(rig.hear(&reply), block(1, MSH, false));
    }
}

#[test]
fn ack_0_as_an_answer_to_enq_is_not_believed_for_block_8() {
    let mut rig = Rig::new(Settings { block_size: 5, ..Settings::default() });
    rig.send(&both());
    rig.bytes();
    for number in 0..8 {
        rig.hear(&ack(number));
    }
    rig.wait(6_000);
    let again = rig.hear(&ack(0));
    assert_eq!(&again[..2], b"\x020");
    assert_eq!(&rig.hear(&ack(0))[..2], b"\x021", "as an answer to the block itself it is");
}

#[test]
fn timeout_action_resend() {
    let (mut rig, _) = master(Settings { timeout_action: TimeoutAction::Resend, ..segments() });
    assert_eq!(rig.wait(6_000), block(1, MSH, false));
    assert_eq!(rig.hear(&ack(1)), block(2, PID, true));
}

#[test]
fn a_bid_is_made_five_times() {
    for (reply, why) in [(&b""[..], Failure::NoAnswer(5)), (NAK_CR, Failure::Refused(None))] {
        let mut rig = Rig::new(Settings::default());
        let id = rig.send(PID);
        for _ in 0..5 {
            assert_eq!(rig.bytes(), ENQ_CR);
            assert_eq!(rig.hear(reply), b"", "a refusal too waits for timer A");
            rig.now += Duration::from_secs(6);
            rig.station.handle_timeout(rig.now);
        }
        assert_eq!(rig.bytes(), EOT_CR);
        assert_eq!(rig.events(), [Event::Failed(id, why)]);
        rig.send(PID);
        assert_eq!(rig.wait(9_999), b"");
        assert_eq!(rig.wait(1), ENQ_CR, "after a pause");
    }
}

#[test]
fn termination_interrupt_tries_the_whole_message_later() {
    let (mut rig, id) = master(segments());
    rig.hear(&ack(1));
    for _ in 0..2 {
        assert_eq!(rig.hear(EOT_CR), b"");
        assert_eq!(rig.wait(10_000), ENQ_CR);
        assert_eq!(rig.hear(&ack(0)), block(1, MSH, false));
        assert_eq!(rig.events(), []);
    }
    rig.hear(EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::Interrupted)]);
}

#[test]
fn reverse_interrupt_counts_as_an_acknowledgment() {
    let (mut rig, id) = master(segments());
    assert_eq!(rig.hear(RINT_CR), block(2, PID, true));
    // A second one, asked for, is the first one repeated: the block is missing.
    rig.wait(6_000);
    assert_eq!(rig.hear(RINT_CR), block(2, PID, true));
    assert_eq!(rig.hear(&ack(2)), EOT_CR);
    assert_eq!(rig.events(), [Event::Delivered(id)]);
    rig.send(PID);
    assert_eq!(rig.wait(5_999), b"", "the slave wants to bid");

    let (mut rig, _) = master(segments());
    rig.wait(6_000);
    assert_eq!(rig.hear(RINT_CR), block(2, PID, true), "asked for after ACK 0, it is for this block");
    let (mut rig, _) = master(Settings { rint: false, ..segments() });
    assert_eq!(rig.hear(RINT_CR), b"");
}

#[test]
fn a_session_may_carry_several_messages() {
    let mut rig = Rig::new(Settings { session_messages: 2, ..Settings::default() });
    for _ in 0..3 {
        rig.send(PID);
    }
    rig.bytes();
    assert_eq!(rig.hear(&ack(0)), block(1, PID, true));
    assert_eq!(rig.hear(&ack(1)), block(2, PID, true), "numbers run on");
    assert_eq!(rig.hear(&ack(2)), EOT_CR);
}

#[test]
fn cancelling_a_running_message_aborts_the_session() {
    let (mut rig, id) = master(segments());
    assert!(rig.station.cancel(id, rig.now));
    assert_eq!(rig.bytes(), EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::Cancelled)]);
    assert!(!rig.station.cancel(id, rig.now));
}

#[test]
fn a_session_left_over_from_before_is_ended() {
    let mut rig = Rig::new(Settings::default());
    rig.send(PID);
    rig.bytes();
    assert_eq!(rig.hear(&ack(3)), EOT_CR);
    assert_eq!(rig.wait(6_000), ENQ_CR);
    assert_eq!(rig.hear(&ack(0)), block(1, PID, true));
}

// ---- slave ----------------------------------------------------------------------------------------------------

fn slave(settings: Settings) -> Rig {
    let mut rig = Rig::new(settings);
    assert_eq!(rig.hear(ENQ_CR), ack(0));
    rig
}

#[test]
fn a_message_is_acknowledged_when_it_is_stored() {
    let mut rig = slave(Settings::default());
    assert_eq!(rig.hear(&block(1, MSH, false)), ack(1));
    assert_eq!(rig.events(), []);
    assert_eq!(rig.hear(&block(2, PID, true)), b"");
    assert_eq!(rig.events(), [message(&both())]);
    // The master's impatience gets no answer of its own.
    assert_eq!(rig.hear(ENQ_CR), b"");
    assert_eq!(rig.hear(&block(2, PID, true)), b"");
    assert_eq!(rig.accept(), ack(2));
    assert_eq!(rig.hear(ENQ_CR), ack(2));
    assert_eq!(rig.hear(EOT_CR), b"");
    assert!(rig.station.is_idle());
    assert_eq!(rig.events(), []);
}

#[test]
fn a_refusal_breaks_the_session_off() {
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, PID, true));
    rig.station.refuse(rig.now);
    assert_eq!(rig.bytes(), EOT_CR);
    assert!(rig.station.is_idle());
    // Nobody answers: the same after timer D, and the answer is too late.
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, PID, true));
    assert_eq!(rig.wait(30_000), EOT_CR);
    rig.all_events();
    assert_eq!(rig.accept(), b"");
    assert_eq!(rig.notes(), [NoteKind::LateAnswer]);
}

#[test]
fn duplicates_are_discarded_and_acknowledged_again() {
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, MSH, false));
    assert_eq!(rig.hear(&block(1, MSH, false)), ack(1));
    assert_eq!(rig.hear(&block(3, PID, true)), NAK_CR, "out of sequence");
    assert_eq!(rig.hear(ENQ_CR), NAK_CR, "the last reply");
    assert_eq!(rig.hear(&block(1, MSH, false)), ack(1));
    rig.hear(&block(2, PID, true));
    rig.accept();
    assert_eq!(rig.hear(&block(2, PID, true)), ack(2));
    assert_eq!(rig.events(), [message(&both())]);
}

#[test]
fn damage_is_refused_and_silence_is_kept() {
    let mut rig = slave(Settings::default());
    let mut bad = block(1, PID, true);
    bad[9] ^= 1;
    assert_eq!(rig.hear(&bad), NAK_CR);
    assert_eq!(rig.hear(&[&bad[..9], ENQ_CR].concat()), NAK_CR, "block abort");
    assert_eq!(rig.hear(&bad[..9]), b"");
    assert_eq!(rig.wait(3_000), b"", "timer B drops it silently");
    assert_eq!(rig.hear(&block(1, PID, true)), b"");
    assert_eq!(rig.accept(), ack(1));
    let counters = rig.station.counters();
    assert_eq!((counters.checksum_errors, counters.naks_out, counters.receive_timeouts), (1, 2, 1));
}

#[test]
fn an_unfinished_message_is_dropped_with_its_session() {
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, MSH, false));
    rig.hear(EOT_CR);
    assert_eq!(rig.notes(), [NoteKind::MessageAborted]);
    let mut rig = slave(Settings::default());
    rig.hear(&block(1, MSH, false));
    assert_eq!(rig.wait(29_999), b"");
    assert!(!rig.station.is_idle());
    rig.wait(1);
    assert!(rig.station.is_idle(), "timer D");
    assert_eq!(rig.hear(ENQ_CR), ack(0));
    rig.hear(&block(1, PID, true));
    assert_eq!(rig.events(), [message(PID)]);
}

#[test]
fn not_ready() {
    let mut rig = Rig::new(Settings::default());
    rig.station.set_ready(false);
    assert_eq!(rig.hear(ENQ_CR), NAK_CR);
    rig.station.set_ready(true);
    assert_eq!(rig.hear(ENQ_CR), ack(0));
    // Too many unanswered messages are the same.
    let mut rig = Rig::new(Settings { queue: 1, ..Settings::default() });
    rig.hear(ENQ_CR);
    rig.hear(&block(1, PID, true));
    rig.hear(EOT_CR);
    assert_eq!(rig.hear(ENQ_CR), NAK_CR);
    rig.accept();
    assert_eq!(rig.hear(ENQ_CR), ack(0));
}

#[test]
fn too_long_a_message_breaks_off() {
    let mut rig = slave(Settings { max_message: 60, ..Settings::default() });
    assert_eq!(rig.hear(&block(1, MSH, false)), ack(1));
    assert_eq!(rig.hear(&block(2, PID, true)), EOT_CR);
    assert_eq!(rig.events(), []);
}

#[test]
fn reverse_interrupt_when_something_urgent_waits_and_never_twice() {
    let mut rig = slave(Settings::default());
    rig.station.send(PID, Kind::Urgent, rig.now).unwrap();
    assert_eq!(rig.hear(&block(1, MSH, false)), RINT_CR);
    assert_eq!(rig.hear(&block(1, MSH, false)), RINT_CR, "the reply to a repeated block is repeated");
    assert_eq!(rig.hear(&block(2, MSH, false)), ack(2));
    assert_eq!(rig.hear(EOT_CR), ENQ_CR, "and then the bid");
}

#[test]
fn a_lost_eot_does_not_glue_two_messages() {
    // Seven blocks, then the eighth with number 0: the last reply is ACK 0.
    let mut rig = slave(Settings::default());
    for number in (1..8).chain([0]) {
        rig.hear(&block(number, MSH, false));
    }
    // The master gave up, its EOT was lost, and it bids anew.
    assert_eq!(rig.hear(ENQ_CR), ack(0));
    rig.hear(&block(1, &both(), true));
    assert_eq!(rig.events(), [message(&both())]);
}

// ---- both -----------------------------------------------------------------------------------------------------

#[test]
fn contention() {
    let mut high = Rig::new(Settings { priority: Priority::High, ..Settings::default() });
    high.send(PID);
    high.bytes();
    assert_eq!(high.hear(ENQ_CR), b"");
    assert_eq!(high.hear(&ack(0)), block(1, PID, true));
    let mut low = Rig::new(Settings::default());
    let id = low.send(PID);
    low.bytes();
    assert_eq!(low.hear(ENQ_CR), ack(0));
    low.hear(&block(1, MSH, true));
    low.accept();
    assert_eq!(low.hear(EOT_CR), ENQ_CR, "its own bid comes after the peer's session");
    low.hear(&ack(0));
    low.hear(&ack(1));
    assert_eq!(low.events(), [message(MSH), Event::Delivered(id)]);
}

#[test]
fn two_low_ones_start_again() {
    let mut low = Rig::new(Settings::default());
    low.send(PID);
    low.hear(ENQ_CR);
    low.hear(&ack(0));
    assert_eq!(low.wait(2_000), ENQ_CR);
}

#[test]
fn the_line_check() {
    let mut rig = Rig::new(Settings::default());
    assert_eq!(rig.wait(179_999), b"");
    assert_eq!(rig.wait(1), ENQ_CR);
    assert_eq!(rig.hear(&ack(0)), EOT_CR);
    assert_eq!(rig.notes(), []);
    rig.wait(180_000);
    for _ in 0..4 {
        assert_eq!(rig.wait(6_000), ENQ_CR);
    }
    assert_eq!(rig.wait(6_000), EOT_CR);
    assert!(rig.notes().contains(&NoteKind::LineDown));
    let mut off = Rig::new(Settings { timer_e: None, ..Settings::default() });
    assert_eq!(off.wait(10_000_000), b"");
    assert_eq!(off.station.poll_timeout(), None, "no wake-ups at rest");
}

#[test]
fn the_gross_timer() {
    let settings = Settings { timer_c: Some(Duration::from_secs(20)), ..segments() };
    let (mut rig, id) = master(settings.clone());
    for _ in 0..3 {
        rig.wait(5_000);
        rig.hear(NAK_CR);
    }
    assert_eq!(rig.wait(5_000), EOT_CR);
    assert_eq!(rig.events(), [Event::Failed(id, Failure::SessionTooLong)]);
    let mut rig = slave(settings);
    assert_eq!(rig.wait(20_000), EOT_CR);
    assert!(rig.station.is_idle());
}

#[test]
fn reply_delay_and_byte_time() {
    let settings = Settings {
        reply_delay: Duration::from_millis(50),
        byte_time: Duration::from_millis(1),
        ..Settings::default()
    };
    let mut rig = Rig::new(settings.clone());
    assert_eq!(rig.hear(ENQ_CR), b"");
    assert_eq!(rig.wait(49), b"");
    assert_eq!(rig.wait(1), ack(0));
    let mut rig = Rig::new(settings);
    rig.send(PID);
    rig.bytes();
    let sent = u64::try_from(rig.hear(&ack(0)).len()).unwrap();
    assert_eq!(rig.wait(5_999 + sent), b"");
    assert_eq!(rig.wait(1), ENQ_CR);
}

#[test]
fn what_cannot_be_sent() {
    let now = Instant::now();
    let send =
        |message: &[u8], settings: Settings| Station::new(settings, now).send(message, Kind::Request, now);
    let forbidden = |offset, byte| Err(SendError::Forbidden { offset, byte });
    assert_eq!(send(b"MSH|\t", Settings::default()), forbidden(4, 9));
    assert!(send(b"MSH|\xe4\r", Settings::default()).is_ok());
    assert_eq!(send(b"MSH|\xe4", Settings { seven_bit: true, ..Settings::default() }), forbidden(4, 0xe4));
    assert!(send(b"MSH|\x03", Settings { dle_transparency: true, ..Settings::default() }).is_ok());
    assert_eq!(send(b"", Settings::default()), Err(SendError::Empty));
    let small = Settings { max_message: 4, ..Settings::default() };
    assert_eq!(send(b"MSH|", small), Err(SendError::TooLong(4)));
}

#[test]
fn the_end_of_the_line() {
    let (mut rig, id) = master(segments());
    let two = rig.send(PID);
    rig.station.handle_eof(rig.now);
    let failed = |id| Event::Failed(id, Failure::Disconnected);
    assert_eq!(rig.events(), [failed(id), failed(two), Event::Closed]);
    assert_eq!(rig.station.poll_timeout(), None);
    assert_eq!(rig.station.send(PID, Kind::Request, rig.now), Err(SendError::Closed));
}

#[test]
fn settings_are_checked() {
    for settings in variants() {
        settings.check().unwrap();
    }
    let bad = Settings { block_size: 0, ..Settings::default() };
    assert_eq!(bad.check().unwrap_err().setting, "block_size");
    let bad = Settings { timer_d: Duration::from_secs(6), ..Settings::default() };
    assert_eq!(bad.check().unwrap_err().to_string(), "timer_d must be longer than timer_a");
}

proptest! {
    #[test]
    fn blocks_come_back_in_any_pieces(
        texts in prop::collection::vec("[ -~\r]{1,300}", 1..5),
        piece in 1usize..40,
        variant in 0usize..108,
    ) {
        let settings = variants().swap_remove(variant);
        let mut reader = Reader::new(settings.clone());
        let mut stream = Vec::new();
        let mut expected = Vec::new();
        for (number, text) in (1u8..).zip(&texts) {
            stream.extend(block_as(number, text.as_bytes(), false, &settings));
            let number = (settings.numbering == Numbering::BlockAndLength).then_some(number % 8);
            expected.push(Token::Block(Block { number, text: text.clone().into_bytes(), last: false }));
        }
        let mut tokens = Vec::new();
        let now = Instant::now();
        for mut input in stream.chunks(piece) {
            while let Some(token) = reader.decode(&mut input, now) {
                tokens.push(token);
            }
        }
        tokens.extend(reader.handle_timeout(now + settings.timer_b));
        prop_assert_eq!(tokens, expected);
    }
}
