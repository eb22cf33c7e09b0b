//! A process that is killed while it appends.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use protogen_testkit::Dir;
use protogen_testkit::random::Random;

use super::*;

/// Where the child keeps its journal; the child runs this test program again.
const PLACE: &str = "PG_JOURNAL_CHILD";
const PRODUCERS: usize = 8;

/// Not a test of its own: what the child does. It prints `stored SEQUENCE NUMBER` after the result, and
/// `settling SEQUENCE` before it records a delivery.
#[test]
fn child() {
    let Some(place) = std::env::var_os(PLACE) else { return };
    let (journal, _) = Journal::open(Path::new(&place), settings()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..PRODUCERS {
            let producer = producer(&journal);
            scope.spawn(move || {
                for number in 0.. {
                    let text = format!("{thread} {number} {:0300}", 0);
                    let sequence = store(&producer, message("a", text)).unwrap();
                    say(format_args!("stored {sequence} {thread} {number}"));
                }
            });
        }
        let producer = producer(&journal);
        let mut x = journal.reader().output("x").unwrap();
        loop {
            match x.next().unwrap() {
                Some(stored) => {
                    say(format_args!("settling {}", stored.sequence));
                    let _ = producer.record(delivery("x", stored.sequence, Outcome::Delivered));
                }
                None => std::thread::yield_now(),
            }
        }
    });
}

/// One write a line: a killed process leaves whole lines.
fn say(text: std::fmt::Arguments<'_>) {
    std::io::stdout().write_all(format!("{text}\n").as_bytes()).unwrap();
}

fn start(place: &Path) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "crash::child", "--nocapture", "--test-threads=1"]).env(PLACE, place);
    child.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let dir = Dir::new();
    let place = dir.join("j");
    let mut random = Random::seeded(20261123);
    let mut acknowledged: BTreeMap<u64, String> = BTreeMap::new();
    for round in 0..if soak() { 100 } else { 10 } {
        let mut child = start(&place);
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut settling = 0;
        let mut take = |line: String| match line.split_once(' ') {
            Some(("stored", rest)) => {
                let (sequence, number) = rest.split_once(' ').unwrap();
                let older = acknowledged.insert(sequence.parse().unwrap(), number.to_owned());
                assert_eq!(older, None, "round {round}: a number is given twice");
            }
            Some(("settling", sequence)) => settling = sequence.parse().unwrap(),
            _ => {}
        };
        let some = 100 + random.below(2000);
        for _ in 0..some {
            take(lines.next().expect("a child that goes on"));
        }
        kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGKILL).unwrap();
        lines.for_each(take);
        child.wait().unwrap();

        let reader = Reader::open(&place).unwrap();
        let found = all(&reader);
        assert!(found.is_sorted_by(|a, b| a.sequence < b.sequence), "round {round}");
        let text = |stored: &Stored| {
            let text = String::from_utf8_lossy(&stored.bytes).into_owned();
            text.split(' ').take(2).collect::<Vec<_>>().join(" ")
        };
        let found: BTreeMap<u64, String> =
            found.iter().map(|stored| (stored.sequence, text(stored))).collect();
        for (sequence, number) in &acknowledged {
            assert_eq!(found.get(sequence), Some(number), "round {round}: {sequence}");
        }
        let first = waiting(&reader, "x").first().copied().unwrap_or(reader.stats().next);
        assert!(
            first <= settling + 1,
            "round {round}: {first} waits, but only {settling} was being delivered"
        );
    }
}
