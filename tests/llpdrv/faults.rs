//! Two drivers, one at each end of a serial line that makes mistakes: nothing is lost unsaid, nothing comes twice.
//!
//! This is a sample with the real programs; every dialogue with every fault is the matter of core's rig.

use super::support::{Destination, Driver, id_of, illp, illp_begin, message, verdict};
use protogen_testkit::line::{Direction, Fault, Line, Plan};
use std::collections::BTreeMap;
use std::io::Read;
use std::time::Duration;

const TIMERS: &str = "--x328-timer-a 0.2 --x328-timer-b 0.1 --x328-timer-d 2 --x328-turnaround 0.01 --x328-pause 0.02 \
    --x328-contention-spread 0.05 --hllp-turnaround 0.03 --x328-block-size 40 --hllp-receive-timeout 0.6 --hllp-byte-timeout 0.1 \
    --hllp-eb-grace 0.05 --mllp-commit-timeout 0.6 --mllp-frame-timeout 1.2 --mllp-retry-pause 0.05 --reply-timeout 2";

/// So many lines; each with faults of its own.
fn lines() -> u64 {
    if std::env::var_os("PG_SOAK").is_some() { 400 } else { 8 }
}

fn talk(protocol: &str, plans: [Plan; 2], told: &str) {
    let [to_right, to_left] = plans.map(|plan| Direction::perfect().with(plan));
    let line = Line::new(to_right, to_left).unwrap();
    let destinations = [Destination::new(), Destination::new()];
    let drivers = [(line.left(), "high", 0), (line.right(), "low", 1)].map(|(path, priority, n)| {
        let (place, to) = (path.display(), destinations[n].to());
        Driver::start(&format!("{protocol} {TIMERS} --priority {priority} -t {place} {to} -I -i 0"))
    });
    let mut verdicts = [BTreeMap::new(), BTreeMap::new()];
    for round in 0..3 {
        let requests = [0, 1].map(|end| {
            let id = format!("{}{round}", ["L", "R"][end]);
            (illp_begin(drivers[end].distal(), &message(&id)), id)
        });
        for (end, (mut stream, id)) in requests.into_iter().enumerate() {
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).unwrap();
            verdicts[end].insert(id, verdict(&answer));
        }
    }
    let heard = || format!("{told}\n{verdicts:?}\n{}\n{}", drivers[0].daemon, drivers[1].daemon);
    for end in [0, 1] {
        let mut arrived: BTreeMap<String, usize> = BTreeMap::new();
        for got in destinations[1 - end].rest() {
            assert_eq!(got, message(&id_of(&got)), "byte for byte; {}", heard());
            *arrived.entry(id_of(&got)).or_default() += 1;
        }
        for (id, verdict) in &verdicts[end] {
            let times = arrived.remove(id).unwrap_or(0);
            assert!(times <= 1, "{id} came {times} times; {}", heard());
            if *verdict == format!("AA|{id}") {
                assert_eq!(times, 1, "{id} was confirmed and is not there; {}", heard());
            } else {
                assert!(verdict.starts_with(&format!("AR|{id}|")), "{id} has no answer; {}", heard());
            }
        }
        assert!(arrived.is_empty(), "{arrived:?} was never sent; {}", heard());
    }
    // The line works on.
    for end in [0, 1] {
        assert_eq!(verdict(&illp(drivers[end].distal(), &message("E"))), "AA|E", "{}", heard());
    }
}

/// One fault each way: two may cancel each other out in an exclusive or.
fn seeded(protocol: &str, first: u64) {
    for seed in first..first + lines() {
        let plans = [Plan::seeded(seed, 150, 1), Plan::seeded(seed + 1_000_000, 150, 1)];
        talk(protocol, plans, &format!("{protocol}, seed {seed}"));
    }
}

#[test]
fn x328() {
    seeded("-a", 1);
}

#[test]
fn hllp() {
    seeded("-h", 1);
}

/// MLLP has no check characters: what it can bear is bytes that come late.
#[test]
fn mllp() {
    for (seed, protocol) in (1..=lines()).zip(["-m", "-m --mllp-release 2"].into_iter().cycle()) {
        let late = |offset: u64| {
            Plan::at((0..20).map(|n| (n * 37 + seed * offset, Fault::Delay(Duration::from_millis(n)))))
        };
        talk(protocol, [late(3), late(5)], &format!("{protocol}, seed {seed}"));
    }
}
