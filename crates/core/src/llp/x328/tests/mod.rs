//! The vectors, to the byte; the dialogue of each role; every variant's block; the timers.

mod master;
mod slave;

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

fn slave(settings: Settings) -> Rig {
    let mut rig = Rig::new(settings);
    assert_eq!(rig.hear(ENQ_CR), ack(0));
    rig
}
