//! The store against a power that fails after any operation, and against operations that fail.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use protogen_sys::files::{FileOps, RealFiles};
use protogen_testkit::Dir;
use protogen_testkit::powercut::{Cut, Recorder};
use protogen_testkit::random::Random;

use super::{Delivery, Store, from_millis, millis};
use crate::journal::Message;
use crate::reader::{Reader, Stored};
use crate::record::Outcome;
use crate::settings::{Output, Settings};
use crate::{JournalError, Refusal};

const JOURNAL: &str = "journal";
/// A group of records only.
const NONE: &[Message] = &[];

fn settings() -> Settings {
    let output = |name: &str, inputs: &[&str]| Output {
        name: name.to_owned(),
        inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
    };
    Settings {
        outputs: vec![output("x", &["a", "b"]), output("y", &["b"])],
        segment_size: 4096,
        max_message: 2048,
        keep_size: 3 * 4096,
        ..Settings::default()
    }
}

fn open<F>(files: F, directory: &Path) -> Result<Store<F>, JournalError>
where
    F: FileOps + 'static,
    F::File: 'static,
{
    Store::open(Arc::new(files), directory, settings(), false).map(|(store, _)| store)
}

fn reader<F: FileOps>(store: &Store<F>) -> Reader {
    Reader::of(&store.directory, store.shared())
}

fn all(reader: &Reader) -> Vec<Stored> {
    let mut all = Vec::new();
    let done = reader.each(0, |stored| {
        all.push(stored);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(done.unwrap(), None);
    all
}

/// A message that says which one it is, with bytes that look like records.
fn message(random: &mut Random, number: u64) -> Message {
    let connection = if random.below(2) == 0 { "a" } else { "b" };
    let mut bytes = format!("{number}|M 1 0 a 3 00000000\nS 70 60 00000000\n").into_bytes();
    bytes.extend((0..random.below(300)).map(|_| random.below(256) as u8));
    Message { connection: connection.into(), time: from_millis(number), bytes }
}

fn number_of(bytes: &[u8]) -> u64 {
    let digits = bytes.split(|byte| *byte == b'|').next().unwrap();
    std::str::from_utf8(digits).unwrap().parse().unwrap()
}

fn delivery(output: &str, sequence: u64, outcome: Outcome) -> Delivery {
    Delivery { sequence, output: output.into(), outcome, note: Vec::new() }
}

/// What a run promised to others, and what it was given.
#[derive(Default)]
struct Promises {
    stored: BTreeMap<u64, Message>,
    given: BTreeMap<u64, Message>,
    refused: usize,
    /// The largest sequence that each output may be past.
    settled: BTreeMap<String, u64>,
}

/// Groups of messages, delivered to both outputs as they come; `acknowledged` hears of each that is stored.
fn run(
    store: &mut Store<Recorder>,
    seed: u64,
    groups: u64,
    mut acknowledged: impl FnMut(u64, u64),
    mut settling: impl FnMut(&Delivery),
) -> Promises {
    let mut random = Random::seeded(seed);
    let mut promises = Promises::default();
    let reader = reader(store);
    let mut outputs = ["x", "y"].map(|name| reader.output(name).unwrap());
    for _ in 0..groups {
        let mut messages = Vec::new();
        for _ in 0..random.below(4) {
            let message = message(&mut random, promises.given.len() as u64 + 1);
            promises.given.insert(millis(message.time), message.clone());
            messages.push(message);
        }
        let mut deliveries = Vec::new();
        for (name, output) in ["x", "y"].iter().zip(&mut outputs) {
            for _ in 0..random.below(3) {
                if let Some(stored) = output.next().unwrap() {
                    let outcome = if random.below(9) == 0 { Outcome::Dropped } else { Outcome::Delivered };
                    deliveries.push(delivery(name, stored.sequence, outcome));
                }
            }
        }
        for delivery in &deliveries {
            settling(delivery);
            promises.settled.insert(delivery.output.to_string(), delivery.sequence);
        }
        let committed = store.commit(&messages, &deliveries);
        for (message, result) in messages.into_iter().zip(committed.messages) {
            match result {
                Ok(sequence) => {
                    acknowledged(sequence, millis(message.time));
                    promises.stored.insert(sequence, message);
                }
                Err(_) => promises.refused += 1,
            }
        }
        match random.below(6) {
            0 => store.tick(),
            1 => store.prune(0),
            _ => {}
        }
    }
    promises
}

/// What was found is in order, was given, and no acknowledged message that is still kept is missing.
fn check_messages(
    found: &[Stored],
    oldest: u64,
    acknowledged: &BTreeMap<u64, u64>,
    given: &BTreeMap<u64, Message>,
) -> Result<(), String> {
    let numbers: Vec<u64> = found.iter().map(|stored| number_of(&stored.bytes)).collect();
    if !found.is_sorted_by(|a, b| a.sequence < b.sequence) || !numbers.is_sorted_by(|a, b| a < b) {
        return Err(format!("out of order: {numbers:?}"));
    }
    for stored in found {
        let given = &given[&number_of(&stored.bytes)];
        if given.bytes != stored.bytes || *given.connection != *stored.connection {
            return Err(format!("message {} is not what was given", stored.sequence));
        }
    }
    let found: BTreeMap<u64, u64> =
        found.iter().map(|stored| (stored.sequence, number_of(&stored.bytes))).collect();
    for (sequence, number) in acknowledged.range(oldest..) {
        if found.get(sequence) != Some(number) {
            return Err(format!("acknowledged message {sequence} is gone: {:?}", found.keys()));
        }
    }
    Ok(())
}

/// Opens what a power cut left; checks it, goes on with it, and opens it again.
fn check_cut(cut: &Cut, place: &Path, given: &BTreeMap<u64, Message>) -> Result<(), String> {
    let mut acknowledged = BTreeMap::new();
    let mut settled: BTreeMap<&str, u64> = BTreeMap::new();
    for mark in &cut.marks {
        match mark.split(' ').collect::<Vec<_>>()[..] {
            ["stored", sequence, number] => {
                acknowledged.insert(sequence.parse().unwrap(), number.parse().unwrap());
            }
            ["settling", output, sequence] => {
                settled.insert(output, sequence.parse().unwrap());
            }
            _ => panic!("{mark}"),
        }
    }
    let directory = place.join(JOURNAL);
    let files = Recorder::new(place).map_err(|error| error.to_string())?;
    let mut store = open(files.clone(), &directory).map_err(|error| error.to_string())?;
    let view = reader(&store);
    let stats = view.stats();
    let found = all(&view);
    check_messages(&found, stats.oldest, &acknowledged, given)?;
    let waiting: BTreeMap<&str, u64> =
        stats.outputs.iter().map(|output| (output.name.as_str(), output.pending)).collect();
    for name in ["x", "y"] {
        let mut output = view.output(name).unwrap();
        let mut waits = BTreeSet::new();
        while let Some(stored) = output.next().map_err(|error| error.to_string())? {
            waits.insert(stored.sequence);
        }
        if waits.len() as u64 != waiting[name] {
            return Err(format!("{name}: {waits:?} wait, but {} were counted", waiting[name]));
        }
        let past = settled.get(name).copied().unwrap_or(0);
        let lost = found.iter().find(|stored| {
            (name == "x" || stored.connection == "b")
                && stored.sequence > past
                && !waits.contains(&stored.sequence)
        });
        if let Some(lost) = lost {
            return Err(format!("{name}: {} was never delivered and does not wait", lost.sequence));
        }
    }
    let further = Message { connection: "a".into(), time: from_millis(0), bytes: b"further".to_vec() };
    let committed = store.commit(std::slice::from_ref(&further), &[]);
    let sequence = committed.messages[0].map_err(|refusal| format!("goes not on: {refusal}"))?;
    drop(store);
    let store = open(files, &directory).map_err(|error| format!("again: {error}"))?;
    let again = all(&reader(&store));
    let (last, before) = again.split_last().ok_or("empty")?;
    if (last.sequence, &last.bytes) != (sequence, &further.bytes) || *before != found {
        return Err("what was found the first time is not found again".to_owned());
    }
    Ok(())
}

#[test]
fn nothing_acknowledged_is_lost_in_a_power_cut() {
    let seeds = if std::env::var_os("PG_SOAK").is_some() { 40 } else { 2 };
    for seed in 1..=seeds {
        let dir = Dir::new();
        let recorder = Recorder::new(dir.path()).unwrap();
        let mut store = open(recorder.clone(), &dir.join(JOURNAL)).unwrap();
        let promises = run(
            &mut store,
            seed,
            24,
            |sequence, number| recorder.mark(format!("stored {sequence} {number}")),
            |delivery| recorder.mark(format!("settling {} {}", delivery.output, delivery.sequence)),
        );
        assert!(promises.stored.len() > 20 && promises.refused == 0, "seed {seed}");
        let cuts = recorder.replay(2, |cut, place| check_cut(cut, place, &promises.given));
        println!("seed {seed}: {} cuts", cuts.unwrap_or_else(|why| panic!("seed {seed}: {why}")));
    }
}

#[test]
fn nothing_acknowledged_is_lost_when_an_operation_fails() {
    let mut refused = 0;
    let replayed = if std::env::var_os("PG_SOAK").is_some() { 1 } else { 37 };
    for kind in [ErrorKind::StorageFull, ErrorKind::Other] {
        for number in 0.. {
            let dir = Dir::new();
            let recorder = Recorder::new(dir.path()).unwrap();
            recorder.fail_at(number, kind);
            let Ok(mut store) = open(recorder.clone(), &dir.join(JOURNAL)) else { continue };
            let before = recorder.attempted();
            let promises = run(
                &mut store,
                7,
                20,
                |sequence, number| recorder.mark(format!("stored {sequence} {number}")),
                |delivery| recorder.mark(format!("settling {} {}", delivery.output, delivery.sequence)),
            );
            let why = format!("{kind}, operation {number} of {}", recorder.attempted());
            let acknowledged: BTreeMap<u64, u64> =
                promises.stored.iter().map(|(sequence, message)| (*sequence, millis(message.time))).collect();
            let view = reader(&store);
            check_messages(&all(&view), view.stats().oldest, &acknowledged, &promises.given).expect(&why);
            refused += promises.refused;
            // The power may fail around and after the failure, too.
            if number >= before && number % replayed == 0 {
                let checked = recorder.replay(1, |cut, place| check_cut(cut, place, &promises.given));
                checked.unwrap_or_else(|error| panic!("{why}: {error}"));
            }
            drop(store);
            let last = number > recorder.attempted();
            let files = Recorder::new(dir.path()).unwrap();
            let store = open(files, &dir.join(JOURNAL)).expect(&why);
            let view = reader(&store);
            check_messages(&all(&view), view.stats().oldest, &acknowledged, &promises.given).expect(&why);
            if last {
                break;
            }
        }
    }
    assert!(refused > 5, "failures are answered with a refusal: {refused}");
}

#[test]
fn a_failed_sync_is_never_tried_again_on_that_segment() {
    let dir = Dir::new();
    let recorder = Recorder::new(dir.path()).unwrap();
    let mut store = open(recorder.clone(), &dir.join(JOURNAL)).unwrap();
    let mut random = Random::seeded(1);
    let first = message(&mut random, 1);
    assert_eq!(store.commit(std::slice::from_ref(&first), &[]).messages, [Ok(1)]);
    // The write, then the sync.
    recorder.fail_at(recorder.attempted() + 1, ErrorKind::Other);
    let group = [message(&mut random, 2), message(&mut random, 3)];
    let deliveries = [delivery("x", 1, Outcome::Delivered)];
    assert_eq!(store.commit(&group, &deliveries).messages, [Err(Refusal::Failed); 2]);
    assert_eq!(store.commit(&[message(&mut random, 4)], &[]).messages, [Ok(4)]);
    assert_eq!(
        dir.list(JOURNAL),
        [".run.lock", "00000000000000000001.seg", "00000000000000000004.seg", "spare"]
    );
    let view = reader(&store);
    assert_eq!(all(&view).iter().map(|stored| stored.sequence).collect::<Vec<_>>(), [1, 4]);
    assert_eq!(view.stats().outputs[0].counts.delivered, 1, "the delivery went into the further segment");
    drop(store);
    let store = open(RealFiles, &dir.join(JOURNAL)).unwrap();
    assert_eq!(reader(&store).stats().outputs[0].counts.delivered, 1);
    assert_eq!(all(&reader(&store)).len(), 2, "what was refused does not come back");
}

#[test]
fn no_record_overtakes_one_that_was_refused() {
    let dir = Dir::new();
    let mut store = open(RealFiles, &dir.join(JOURNAL)).unwrap();
    let mut random = Random::seeded(1);
    let mut last = 0;
    for number in 1..=200 {
        let message = Message { connection: "a".into(), ..message(&mut random, number) };
        last = store.commit(&[message], &[]).messages[0].unwrap();
    }
    let mut take = |sequence, outcome| store.commit(NONE, &[delivery("x", sequence, outcome)]).deliveries[0];
    let full = (1..=last).find(|sequence| take(*sequence, Outcome::Dead).is_err()).unwrap();
    assert_eq!(take(full, Outcome::Dead), Err(Refusal::TooMany));
    // What came after it was on its way: it has to wait, or the one before would be lost to all counts.
    assert_eq!(take(full + 1, Outcome::Delivered), Err(Refusal::TooMany));
    assert_eq!(take(full + 2, Outcome::Filtered), Err(Refusal::TooMany));
    // An operator goes first, and makes room.
    assert_eq!(take(1, Outcome::Dropped), Ok(()));
    assert_eq!(take(full + 1, Outcome::Delivered), Err(Refusal::TooMany));
    assert_eq!(take(full, Outcome::Dead), Ok(()));
    assert_eq!(take(full + 1, Outcome::Delivered), Ok(()));
    assert_eq!(take(full + 2, Outcome::Dead), Err(Refusal::TooMany));
    // Given up by an operator, it is not waited for.
    assert_eq!(take(full + 2, Outcome::DroppedThrough(1)), Ok(()));
    assert_eq!(take(full + 3, Outcome::Delivered), Ok(()));
    let view = store.shared.lock();
    let output = view.state.output("x").unwrap();
    assert_eq!(output.cursor, full + 4);
    let counts = output.counts;
    assert_eq!((counts.dead, counts.dropped, counts.delivered), (full - 1, 2, 2));
    assert_eq!(output.pending(), last - (full + 3));
}
