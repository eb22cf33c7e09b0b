//! Each program killed with -9 in turn, in mid-traffic: every message that was accepted at the entrance is accounted for
//! at the end, and none takes effect twice in the census.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use protogen_testkit::TIMEOUT;
use protogen_testkit::random::Random;

use super::support::{Chain, DAEMONS, Entrance, RESULTS, StopsCron, message, send};
use crate::support::wait_until;

/// Each sender has two beds of its own, and one patient after the other.
const BEDS: [[&str; 2]; 2] = [["601^1", "601^2"], ["601^3", "601^4"]];

/// What is accepted, in the order in which each sender sends it.
#[derive(Default)]
struct Accepted {
    ids: Vec<String>,
    /// Each message as often as the router may have it.
    tries: usize,
}

/// One stay; without the discharge for the last patient, who is there at the end.
fn stay(to: &Entrance, record: &str, [bed, other]: [&str; 2], is_last: bool, accepted: &mut Accepted) {
    let step = |n: usize, kind: &str, bed: &str, prior: &str, more: &str| {
        message(kind, &format!("{record}-{n}"), record, bed, prior, more)
    };
    let mut messages = vec![
        step(1, "ADT^A01", bed, "", ""),
        step(2, "ORU^R01", bed, "", RESULTS),
        step(3, "ADT^A02", other, bed, ""),
        step(4, "ADT^A08", other, "", ""),
        step(5, "ADT^A03", other, "", ""),
    ];
    if is_last {
        messages.pop();
    }
    to.wait_for_files();
    for (n, message) in messages.iter().enumerate() {
        accepted.tries += send(to, message);
        accepted.ids.push(format!("{record}-{}", n + 1));
    }
}

#[test]
fn kill_9_of_each_program_loses_nothing_and_does_nothing_twice() {
    let rounds = if std::env::var_os("PG_SOAK").is_some() { 30 } else { 2 };
    let seed = 20_261_128;
    println!("seed {seed}, {rounds} rounds");
    let mut random = Random::seeded(seed);
    let (mut chain, cron) = Chain::start();
    let entrance = chain.entrance();
    let (stop, stays) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut kills: BTreeMap<&str, usize> = BTreeMap::new();
    let accepted: Vec<Accepted> = std::thread::scope(|scope| {
        let _stops = StopsCron(&cron);
        scope.spawn(|| cron.run());
        let senders: Vec<_> = BEDS
            .into_iter()
            .enumerate()
            .map(|(number, beds)| {
                let (stop, stays, entrance) = (&stop, &stays, &entrance);
                scope.spawn(move || {
                    let mut accepted = Accepted::default();
                    let next = || format!("{}{:04}", number + 1, stays.fetch_add(1, Ordering::Relaxed));
                    while !stop.load(Ordering::Relaxed) {
                        stay(entrance, &next(), beds, false, &mut accepted);
                    }
                    stay(entrance, &format!("{}9999", number + 1), beds, true, &mut accepted);
                    accepted
                })
            })
            .collect();
        let _ends = Ends(&stop);
        for round in 0..rounds {
            // Each in turn, beginning with another one each time.
            for turn in 0..=DAEMONS.len() {
                let victim = (round + turn) % (DAEMONS.len() + 1);
                // Some messages further on, and somewhere in the work on one.
                let due = chain.forwarded() + 1 + random.below(4) as usize;
                wait_until(|| chain.forwarded() >= due);
                for _ in 0..random.below(2_000_000) {
                    std::hint::spin_loop();
                }
                match DAEMONS.get(victim) {
                    Some(name) => {
                        if *name == "socketreader" {
                            // While somebody sends.
                            let (seen, limit) = (entrance.attempts(), Instant::now() + TIMEOUT);
                            while entrance.attempts() == seen && Instant::now() < limit {
                                std::thread::yield_now();
                            }
                            for _ in 0..random.below(20_000) {
                                std::hint::spin_loop();
                            }
                        }
                        chain.kill_9(name);
                        *kills.entry(name).or_default() += 1;
                    }
                    None => {
                        wait_until(|| cron.kill_9());
                        *kills.entry("hl7tocv").or_default() += 1;
                    }
                }
            }
        }
        stop.store(true, Ordering::Relaxed);
        let accepted: Vec<Accepted> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
        wait_until(|| chain.is_drained());
        accepted
    });
    let ids: Vec<&String> = accepted.iter().flat_map(|one| &one.ids).collect();
    let tries: usize = accepted.iter().map(|one| one.tries).sum();
    println!("killed: {kills:?}; {} messages accepted, sent {tries} times", ids.len());
    assert_eq!(kills.len(), DAEMONS.len() + 1);

    // Each is accounted for: CareVue has it, or it waits for an operator, who is told why.
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    for id in &ids {
        let (is_accounted, now) = chain.trace(id);
        assert!(is_accounted, "{now}");
        let end = if now.contains("sent (AA") {
            "taken"
        } else {
            // A discharge that took effect and had no answer finds nobody when it is sent again.
            assert!(now.contains("refused (AE not discharged: the patient is unknown)"), "{now}");
            "a discharge that was done before"
        };
        *ends.entry(end.to_owned()).or_default() += 1;
    }
    println!("{ends:?}");

    // The census is what the last messages made of it.
    let census: Vec<String> = chain
        .carevue("census")
        .lines()
        .map(|line| line.split('\t').take(2).collect::<Vec<_>>().join("="))
        .collect();
    let mut sorted = census.clone();
    sorted.sort();
    assert_eq!(sorted, ["19999=601-2", "29999=601-4"]);
    // Nothing took effect twice there. A log line may be missing, of a CareVue that was killed before it wrote it.
    let judged = chain.judged();
    let results = chain.carevue("results");
    for id in &ids {
        let lines: Vec<&str> = judged.lines().filter(|line| line.contains(&format!("\"{id}\""))).collect();
        let of = |event: &str, end: &str| {
            let count = lines.iter().filter(|line| line.contains(event) && line.contains(end)).count();
            i64::try_from(count).unwrap()
        };
        for event in ["ADT^A01", "ADT^A02", "ADT^A03"] {
            let effects = of(event, ": AA") - of(event, ": AA, though");
            assert!(effects <= 1, "{id}: {event} took effect {effects} times: {lines:#?}");
        }
        if let Some(record) = id.strip_suffix("-2") {
            assert!(results.contains(&format!("{record}\t6298-4\t3.9\tmmol/l\t")), "{id}: no result");
        }
    }
}

/// The senders end also where the test has failed.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
