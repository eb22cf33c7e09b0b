//! Every protocol and its main variants through the rig.

use std::time::{Duration, Instant};

use super::{Dialogue, Fault, Tally, Wrong, request};
use crate::llp::{Link, hllp, mllp, mllp2, x328};

/// Short of every timer, around the response timers, and beyond most of them.
const DELAYS: [u64; 4] = [1, 4, 7, 35];

fn wrongs(at: usize) -> Vec<Wrong> {
    let mut all = vec![Wrong::Drop, Wrong::Repeat, Wrong::Cut];
    all.extend((0..8).map(Wrong::Flip));
    all.extend(DELAYS.map(|s| Wrong::Delay(Duration::from_secs(s) + Duration::from_millis(at as u64 % 7))));
    all
}

fn add(total: &mut Tally, one: Tally) {
    total.runs += one.runs;
    total.delivered += one.delivered;
    total.sent += one.sent;
    total.failed += one.failed;
    total.twice += one.twice;
}

/// One fault at every byte, in both directions.
fn exhaust(name: &str, dialogue: &Dialogue, skip: fn(Wrong) -> bool) -> Tally {
    let counts = dialogue.run_clean();
    let mut total = Tally::default();
    for (from, count) in counts.into_iter().enumerate() {
        for at in 0..count {
            for wrong in wrongs(at).into_iter().filter(|w| !skip(*w)) {
                add(&mut total, dialogue.run(&[Fault { from, at, wrong }]).1);
            }
        }
    }
    println!("{name}: {} bytes, {total:?}", counts[0] + counts[1]);
    total
}

/// A loss at every byte together with a delay at every eleventh one.
fn exhaust_pairs(name: &str, dialogue: &Dialogue) {
    let counts = dialogue.run_clean();
    let mut total = Tally::default();
    for (from, at) in (0..2).flat_map(|from| (0..counts[from]).map(move |at| (from, at))) {
        for (late_from, late) in (0..2).flat_map(|f| (0..counts[f] + 20).step_by(11).map(move |at| (f, at))) {
            let wrong = Wrong::Delay(Duration::from_millis(6_500));
            let faults = [Fault { from, at, wrong: Wrong::Drop }, Fault { from: late_from, at: late, wrong }];
            add(&mut total, dialogue.run(&faults).1);
        }
    }
    println!("{name}, loss and delay: {total:?}");
}

fn nothing(_: Wrong) -> bool {
    false
}

fn one_way(make: fn(usize, Instant) -> Box<dyn Link>) -> Dialogue {
    let requests = [vec![request(0, 1), request(0, 2)], Vec::new()];
    Dialogue { requests, replies: true, exact: true, checked: true, make }
}

fn at_once(make: fn(usize, Instant) -> Box<dyn Link>) -> Dialogue {
    let requests = [vec![request(0, 1)], vec![request(1, 1)]];
    Dialogue { requests, replies: true, exact: true, checked: true, make }
}

// ---- X3.28 ----------------------------------------------------------------------------------------------------

fn x328_settings(side: usize) -> x328::Settings {
    x328::Settings {
        timer_e: None,
        block_size: 8,
        priority: if side == 0 { x328::Priority::High } else { x328::Priority::Low },
        seed: 77 + side as u64 * 1000,
        ..x328::Settings::default()
    }
}

fn x328_station(settings: x328::Settings, now: Instant) -> Box<dyn Link> {
    settings.check().unwrap();
    Box::new(x328::Station::new(settings, now))
}

#[test]
fn x328_loses_and_doubles_nothing() {
    let make = |side, now| x328_station(x328_settings(side), now);
    exhaust("x328", &one_way(make), nothing);
    exhaust("x328, both at once", &at_once(make), nothing);
    let beyond_repair = |w| w == Wrong::Cut || matches!(w, Wrong::Delay(d) if d > Duration::from_secs(30));
    let total = exhaust("x328, repairable", &one_way(make), beyond_repair);
    assert_eq!(total.failed, 0, "the retries repair any one fault");
}

#[test]
fn x328_with_two_faults() {
    let make = |side, now| x328_station(x328::Settings { block_size: 40, ..x328_settings(side) }, now);
    exhaust_pairs("x328", &one_way(make));
    exhaust_pairs("x328, both at once", &at_once(make));
}

#[test]
fn x328_equal_priorities_still_get_through() {
    let high = |side, now| {
        x328_station(x328::Settings { priority: x328::Priority::High, ..x328_settings(side) }, now)
    };
    let low = |side, now| {
        x328_station(x328::Settings { priority: x328::Priority::Low, ..x328_settings(side) }, now)
    };
    exhaust("x328, both high", &at_once(high), nothing);
    exhaust("x328, both low", &at_once(low), nothing);
}

#[test]
fn x328_resend_instead_of_enq() {
    let make = |side, now| {
        let timeout_action = x328::TimeoutAction::Resend;
        x328_station(x328::Settings { timeout_action, ..x328_settings(side) }, now)
    };
    exhaust("x328, resend", &one_way(make), nothing);
    exhaust("x328, resend, both at once", &at_once(make), nothing);
}

#[test]
fn x328_hasty_timers_and_a_slow_converter() {
    let make = |side, now| {
        let milliseconds = Duration::from_millis;
        let settings = x328::Settings {
            timer_a: milliseconds(500),
            timer_b: milliseconds(200),
            timer_d: milliseconds(3_000),
            turnaround: milliseconds(100),
            pause: milliseconds(500),
            reply_delay: milliseconds(50),
            ..x328_settings(side)
        };
        x328_station(settings, now)
    };
    exhaust("x328, hasty", &one_way(make), nothing);
    exhaust("x328, hasty, both at once", &at_once(make), nothing);
}

#[test]
fn x328_variants_that_can_tell() {
    fn alternating(side: usize, now: Instant) -> Box<dyn Link> {
        x328_station(x328::Settings { ack: x328::Ack::Alternating, ..x328_settings(side) }, now)
    }
    fn lrc(side: usize, now: Instant) -> Box<dyn Link> {
        let settings = x328::Settings { bcc: x328::Bcc::RawLrc, seven_bit: true, ..x328_settings(side) };
        x328_station(settings, now)
    }
    fn transparent(side: usize, now: Instant) -> Box<dyn Link> {
        let settings =
            x328::Settings { dle_transparency: true, term: x328::Term::CrLf, ..x328_settings(side) };
        x328_station(settings, now)
    }
    fn unterminated(side: usize, now: Instant) -> Box<dyn Link> {
        x328_station(x328::Settings { term: x328::Term::None, rint: false, ..x328_settings(side) }, now)
    }
    for (name, make) in [
        ("alternating", alternating as fn(usize, Instant) -> Box<dyn Link>),
        ("raw lrc", lrc),
        ("transparent", transparent),
        ("no term", unterminated),
    ] {
        exhaust(&format!("x328, {name}"), &one_way(make), nothing);
        exhaust(&format!("x328, {name}, both at once"), &at_once(make), nothing);
    }
}

/// What the module's page says these cannot tell is left out: late replies, and doubled ones.
#[test]
fn x328_variants_that_cannot_tell_all() {
    fn plain(side: usize, now: Instant) -> Box<dyn Link> {
        x328_station(x328::Settings { ack: x328::Ack::Plain, ..x328_settings(side) }, now)
    }
    fn unnumbered(side: usize, now: Instant) -> Box<dyn Link> {
        x328_station(x328::Settings { numbering: x328::Numbering::None, ..x328_settings(side) }, now)
    }
    fn unchecked(side: usize, now: Instant) -> Box<dyn Link> {
        x328_station(x328::Settings { bcc: x328::Bcc::None, ..x328_settings(side) }, now)
    }
    let late = |w| matches!(w, Wrong::Delay(d) if d > Duration::from_secs(5));
    let late_or_twice =
        |w| matches!(w, Wrong::Repeat) || matches!(w, Wrong::Delay(d) if d > Duration::from_secs(5));
    exhaust("x328, plain", &one_way(plain), late);
    exhaust("x328, unnumbered", &one_way(unnumbered), late_or_twice);
    exhaust("x328, unchecked", &Dialogue { checked: false, ..one_way(unchecked) }, nothing);
}

// ---- HLLP -----------------------------------------------------------------------------------------------------

fn hllp_station(settings: hllp::Settings) -> Box<dyn Link> {
    settings.check().unwrap();
    Box::new(hllp::Station::new(settings))
}

#[test]
fn hllp_loses_nothing_silently() {
    let make = |_, _| hllp_station(hllp::Settings::default());
    exhaust("hllp", &one_way(make), nothing);
    exhaust("hllp, both at once", &at_once(make), nothing);
}

#[test]
fn hllp_variants() {
    for (name, make) in [
        (
            "count in the check",
            (|_, _| {
                hllp_station(hllp::Settings { bcc: hllp::Bcc::XorDataAndCount, ..hllp::Settings::default() })
            }) as fn(usize, Instant) -> Box<dyn Link>,
        ),
        ("sum", |_, _| hllp_station(hllp::Settings { bcc: hllp::Bcc::SumData, ..hllp::Settings::default() })),
        ("either", |_, _| hllp_station(hllp::Settings { either: true, ..hllp::Settings::default() })),
        ("bad reply fails", |_, _| {
            hllp_station(hllp::Settings { on_bad_reply: hllp::OnBadReply::Fail, ..hllp::Settings::default() })
        }),
    ] {
        // Where several rules are taken, damage by one may be right by another.
        let checked = name != "either";
        exhaust(&format!("hllp, {name}"), &Dialogue { checked, ..one_way(make) }, nothing);
    }
}

/// Here the initiator repeats requests which may have arrived, and the protocol cannot tell.
#[test]
fn hllp_resending_may_double() {
    let make = |_, _| {
        let settings = hllp::Settings {
            on_timeout: hllp::OnTimeout::Resend,
            on_bad_reply: hllp::OnBadReply::Resend,
            ..hllp::Settings::default()
        };
        hllp_station(settings)
    };
    let total = exhaust("hllp, resending", &Dialogue { exact: false, ..one_way(make) }, nothing);
    assert!(total.twice > 0);
}

// ---- MLLP -----------------------------------------------------------------------------------------------------

#[test]
fn mllp2_delivers_at_least_once() {
    let make = |_, _| -> Box<dyn Link> { Box::new(mllp2::Station::new(mllp2::Settings::default())) };
    let loose = |dialogue| Dialogue { exact: false, checked: false, ..dialogue };
    let total = exhaust("mllp2", &loose(one_way(make)), nothing);
    assert!(total.twice > 0, "a lost commit doubles, as the protocol has it");
    exhaust("mllp2, both at once", &loose(at_once(make)), nothing);
    // What can happen on a connection, without a commit lost: nothing comes twice.
    let damage = |w| !matches!(w, Wrong::Cut) && !matches!(w, Wrong::Delay(d) if d < Duration::from_secs(30));
    exhaust("mllp2, late and cut", &one_way(make), damage);
    exhaust("mllp2, late and cut, both at once", &at_once(make), damage);
}

#[test]
fn mllp_never_doubles_and_says_no_more_than_sent() {
    let make = |_, _| -> Box<dyn Link> { Box::new(mllp::Station::new(mllp::Settings::default())) };
    let total = exhaust("mllp", &Dialogue { checked: false, ..one_way(make) }, nothing);
    assert_eq!(total.delivered + total.failed, 0);
}
