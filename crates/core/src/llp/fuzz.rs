//! The machines driven by arbitrary bytes, for the fuzzer and for a short run among the tests.
//!
//! The bytes are a list of operations: feed these, advance the clock, send, accept, refuse, cancel, close. What is
//! checked is what every machine promises: it does not panic, its timers come to rest, and each message that was
//! taken is reported on once, and in the end.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::{Event, Kind, Link, SendId, hllp, illp, mllp, mllp2, x328};

/// How often a timer may ask to be called again at the same moment.
const MOST_CALLS: usize = 100;

/// Fragments that are unlikely to be found by chance.
const FRAGMENTS: [&[u8]; 16] = [
    b"\x0bMSH|^~\\&|A\r\x1c\r",
    b"\x0b\x06\x1c\r",
    b"\x0b\x15\x1c\r",
    b"\x1c\r",
    b"\x1c\x0b",
    b"\x0bD21\r",
    b"\x0bN21\rX00006019\x1c\r",
    b"\x0bD21\rMSH|a\r00011122\x1c\r",
    b"\x05\r",
    b"\x04\r",
    b"\x15\r",
    b"\x100\r\x101\r",
    b"\x10<\r",
    b"\x02100012PID|||12345\r\x031C\r",
    b"\x02200012PID|||12345\r\x031F\r",
    b"lab\x02MSH|\r",
];

/// Drives MLLP release 1; the first byte chooses the settings, as in all of these.
pub fn mllp(data: &[u8]) {
    let (choice, rest) = split(data);
    drive(&mut mllp::Station::new(framing(choice)), rest);
}

/// Drives MLLP release 2.
pub fn mllp2(data: &[u8]) {
    let (choice, rest) = split(data);
    let settings = mllp2::Settings { framing: framing(choice), ..mllp2::Settings::default() };
    drive(&mut mllp2::Station::new(settings), rest);
}

/// Drives HLLP.
pub fn hllp(data: &[u8]) {
    let (choice, rest) = split(data);
    let bccs = [hllp::Bcc::XorData, hllp::Bcc::XorDataAndCount, hllp::Bcc::SumData, hllp::Bcc::None];
    let settings = hllp::Settings {
        bcc: bccs[usize::from(choice % 4)],
        either: choice & 4 != 0,
        len_any: choice & 8 != 0,
        on_timeout: if choice & 16 != 0 { hllp::OnTimeout::Resend } else { hllp::OnTimeout::Fail },
        on_bad_reply: if choice & 32 != 0 { hllp::OnBadReply::Resend } else { hllp::OnBadReply::Nak },
        max_message: if choice & 64 != 0 { 20 } else { hllp::MAX_DATA },
        ..hllp::Settings::default()
    };
    drive(&mut hllp::Station::new(settings), rest);
}

/// Drives X3.28.
pub fn x328(data: &[u8]) {
    let (choice, rest) = split(data);
    let (more, rest) = split(rest);
    let milliseconds = Duration::from_millis;
    let settings = x328::Settings {
        numbering: [x328::Numbering::BlockAndLength, x328::Numbering::None][usize::from(choice & 1)],
        ack: [x328::Ack::Numbered, x328::Ack::Alternating, x328::Ack::Plain][usize::from(choice / 2 % 3)],
        bcc: [x328::Bcc::HexXor, x328::Bcc::RawLrc, x328::Bcc::None][usize::from(choice / 8 % 3)],
        term: [x328::Term::Cr, x328::Term::CrLf, x328::Term::None][usize::from(choice / 32 % 3)],
        rint: choice & 128 == 0,
        priority: if more & 1 != 0 { x328::Priority::High } else { x328::Priority::Low },
        dle_transparency: more & 2 != 0,
        seven_bit: more & 4 != 0,
        segment_per_block: more & 8 != 0,
        reply_delay: milliseconds(u64::from(more & 16)),
        timer_c: if more & 32 != 0 { Some(milliseconds(20_000)) } else { None },
        block_size: if more & 64 != 0 { 3 } else { 240 },
        max_message: if more & 128 != 0 { 20 } else { 99_999 },
        session_messages: 2,
        ..x328::Settings::default()
    };
    drive(&mut x328::Station::new(settings, Instant::now()), rest);
}

/// Drives both sides of ILLP.
pub fn illp(data: &[u8]) {
    let (choice, rest) = split(data);
    let settings = illp::Settings { max_message: 300, ..illp::Settings::default() };
    if choice & 1 == 0 {
        drive(&mut illp::Server::new(settings, Instant::now()), rest);
    } else {
        drive(&mut illp::Client::new(settings), rest);
    }
}

fn framing(choice: u8) -> mllp::Settings {
    let mut settings = mllp::Settings { strict: choice & 1 != 0, ..mllp::Settings::default() };
    if choice & 2 != 0 {
        settings.max_message = 20;
    }
    if choice & 4 != 0 {
        (settings.sob, settings.eod, settings.eob) =
            (b"\x0b\x0bM".to_vec(), b"\x1c\x1c\r".to_vec(), b"\r\x0b".to_vec());
    }
    settings
}

fn split(data: &[u8]) -> (u8, &[u8]) {
    data.split_first().map_or((0, data), |(first, rest)| (*first, rest))
}

/// What was taken by `send`, and whether it was reported on.
type Ledger = HashMap<SendId, bool>;

fn drive(link: &mut dyn Link, data: &[u8]) {
    let mut now = Instant::now();
    let mut rest = data;
    let mut ledger = Ledger::new();
    while !rest.is_empty() {
        let (operation, after) = split(rest);
        let (argument, after) = split(after);
        rest = after;
        let length = usize::from(argument);
        match operation % 16 {
            0..=2 => {
                let (fed, after) = rest.split_at(length.min(rest.len()));
                rest = after;
                link.handle_input(fed, now);
            }
            3..=7 => link.handle_input(FRAGMENTS[length % FRAGMENTS.len()], now),
            8 => now += Duration::from_millis(1 << (argument % 18)),
            9 | 10 => {
                let message = [&b"MSH|"[..], &rest[..length.min(rest.len())]].concat();
                let kind = [Kind::Request, Kind::Urgent, Kind::Reply][length % 3];
                if let Ok(id) = link.send(&message, kind, now) {
                    assert_eq!(ledger.insert(id, false), None, "ids are unique");
                }
            }
            11 | 12 => link.accept(now),
            13 => link.refuse(now),
            14 => {
                if let Some(id) = ledger.keys().min().copied() {
                    link.cancel(id, now);
                }
            }
            _ if argument < 4 => link.handle_eof(now),
            _ => link.set_ready(argument & 1 == 0),
        }
        run_timers(link, now);
        take_all(link, &mut ledger);
    }
    link.handle_eof(now);
    take_all(link, &mut ledger);
    assert!(ledger.values().all(|reported| *reported), "each message is reported on in the end");
}

fn run_timers(link: &mut dyn Link, now: Instant) {
    for _ in 0..MOST_CALLS {
        if link.poll_timeout().is_none_or(|due| due > now) {
            return;
        }
        link.handle_timeout(now);
    }
    assert!(link.poll_timeout().is_none_or(|due| due > now), "the timers come to rest");
}

fn take_all(link: &mut dyn Link, ledger: &mut Ledger) {
    let mut out = Vec::new();
    link.poll_transmit(&mut out);
    while let Some(event) = link.poll_event() {
        if let Event::Delivered(id) | Event::Sent(id) | Event::Failed(id, _) = event {
            assert_eq!(ledger.insert(id, true), Some(false), "each message is reported on once");
        }
    }
}

#[cfg(test)]
mod tests {
    /// Xorshift; the seed is printed, so that a failure can be run again.
    struct Random(u64);

    impl Random {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn bytes(&mut self) -> Vec<u8> {
            let length = self.next() % 200;
            (0..length).map(|_| (self.next() >> 24) as u8).collect()
        }
    }

    fn smoke(target: fn(&[u8])) {
        let seed =
            std::env::var("LLP_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(0x9e37_79b9_7f4a_7c15);
        let runs = std::env::var("LLP_RUNS").ok().and_then(|s| s.parse().ok()).unwrap_or(5_000);
        println!("LLP_SEED={seed} LLP_RUNS={runs}");
        let mut random = Random(seed);
        for _ in 0..runs {
            let data = random.bytes();
            target(&data);
        }
    }

    #[test]
    fn mllp() {
        smoke(super::mllp);
    }

    #[test]
    fn mllp2() {
        smoke(super::mllp2);
    }

    #[test]
    fn hllp() {
        smoke(super::hllp);
    }

    #[test]
    fn x328() {
        smoke(super::x328);
    }

    #[test]
    fn illp() {
        smoke(super::illp);
    }
}
