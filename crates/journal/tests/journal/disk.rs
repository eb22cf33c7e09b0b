//! Room: a disk that is full, and what retention gives back.

use std::process::Command;
use std::time::SystemTime;

use protogen_testkit::Dir;
use protogen_testkit::tmpfs::Tmpfs;

use super::*;

#[test]
fn a_full_disk_refuses_messages_takes_records_and_recovers_by_itself() {
    let dir = Dir::new();
    let small = match Tmpfs::mount(&dir.join("small"), 512) {
        Ok(small) => small,
        Err(why) => return protogen_testkit::not_tested(why),
    };
    let directory = small.path().join("j");
    let settings = Settings { segment_size: 64 << 10, ..settings() };
    let (journal, _) = Journal::open(&directory, settings.clone()).unwrap();
    let producer = producer(&journal);
    assert_eq!(store(&producer, message("a", vec![b'0'; 1000])), Ok(1));
    let fill = small.fill();
    // The segment that is written has room, and perhaps the spare that was being made.
    let mut stored = 1;
    let refusal = loop {
        match store(&producer, message("a", vec![b'1'; 1000])) {
            Ok(_) => stored += 1,
            Err(refusal) => break refusal,
        }
        assert!(stored < 200, "it is never full");
    };
    assert_eq!(refusal, Refusal::Full);
    for sequence in 1..=50 {
        producer.record(delivery("x", sequence, Outcome::Delivered)).unwrap();
    }
    assert_eq!(store(&producer, message("a", vec![b'1'; 1000])), Err(Refusal::Full));
    assert_eq!(waiting(&journal.reader(), "x").len(), stored - 50, "delivery records still fit");
    journal.close();
    let (journal, _) = Journal::open(&directory, settings).unwrap();
    let producer = super::producer(&journal);
    assert_eq!(waiting(&journal.reader(), "x").len(), stored - 50, "and were kept");
    assert_eq!(store(&producer, message("a", vec![b'1'; 1000])), Err(Refusal::Full));
    std::fs::remove_file(fill).unwrap();
    assert!(store(&producer, message("a", vec![b'2'; 1000])).is_ok());
    assert_eq!(waiting(&journal.reader(), "x").len(), stored - 50 + 1);
}

fn segments(dir: &Dir) -> usize {
    dir.list("j").iter().filter(|name| name.ends_with(".seg")).count()
}

/// Prunes, and waits until it was done: before the second message that comes after it at the latest.
fn prune(journal: &Journal, producer: &Producer, now: SystemTime) {
    journal.prune(now);
    record(producer, []);
    record(producer, []);
}

fn at(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn retention_gives_space_back_when_every_output_is_past() {
    let dir = Dir::new();
    let settings = Settings {
        outputs: vec![output("x", &["a"]), output("y", &["a"])],
        keep: Duration::from_secs(100),
        ..settings()
    };
    let (journal, _) = Journal::open(&dir.join("j"), settings.clone()).unwrap();
    let producer = producer(&journal);
    store_each(&producer, (0..100).map(|_| message("a", vec![b'x'; 1000])));
    let many = segments(&dir);
    assert!(many >= 6, "{many}");
    record(&producer, (1..=100).map(|sequence| delivery("x", sequence, Outcome::Delivered)));
    prune(&journal, &producer, at(1000));
    record(&producer, (1..=99).map(|sequence| delivery("y", sequence, Outcome::Delivered)));
    assert_eq!(journal.reader().stats().oldest, 1, "y still needed them when it was asked");
    prune(&journal, &producer, at(50));
    assert_eq!(journal.reader().stats().oldest, 1, "they are to be kept for a while");
    prune(&journal, &producer, at(1000));
    let oldest = journal.reader().stats().oldest;
    assert!((80..=100).contains(&oldest), "{oldest}");
    assert_eq!(waiting(&journal.reader(), "y"), [100]);
    journal.close();
    assert!(segments(&dir) <= 3, "{:?}", dir.list("j"));
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    assert_eq!(waiting(&journal.reader(), "y"), [100]);
}

#[test]
fn beyond_its_size_the_oldest_goes_but_never_what_waits_or_is_dead() {
    let dir = Dir::new();
    let settings = Settings { keep_size: 3 * (16 << 10), ..settings() };
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    let producer = producer(&journal);
    store_each(&producer, (0..100).map(|_| message("a", vec![b'x'; 1000])));
    let delivered = |from, to| (from..=to).map(|sequence| delivery("x", sequence, Outcome::Delivered));
    record(&producer, delivered(1, 39).chain([delivery("x", 40, Outcome::Dead)]).chain(delivered(41, 100)));
    prune(&journal, &producer, at(1));
    assert!((25..=40).contains(&journal.reader().stats().oldest));
    assert_eq!(journal.reader().read(40).unwrap().unwrap().bytes.len(), 1000);
    record(&producer, [delivery("x", 40, Outcome::Dropped)]);
    prune(&journal, &producer, at(1));
    let stats = journal.reader().stats();
    assert!(stats.oldest > 50 && stats.bytes <= 3 * (16 << 10), "{stats:?}");
}

#[test]
fn a_start_does_not_make_messages_older_than_they_are() {
    let dir = Dir::new();
    let settings = Settings { keep: Duration::from_secs(100), ..settings() };
    let (journal, _) = Journal::open(&dir.join("j"), settings.clone()).unwrap();
    let producer = producer(&journal);
    store_each(&producer, [Message { time: at(1000), ..message("a", "to be kept") }]);
    record(&producer, [delivery("x", 1, Outcome::Delivered)]);
    journal.close();
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    let producer = super::producer(&journal);
    prune(&journal, &producer, at(1050));
    assert_eq!(journal.reader().stats().oldest, 1);
    assert!(journal.reader().read(1).unwrap().is_some());
    prune(&journal, &producer, at(1101));
    assert!(journal.reader().stats().oldest > 1);
}

#[test]
fn to_keep_nothing_means_nothing() {
    let dir = Dir::new();
    let settings = Settings { keep: Duration::ZERO, ..settings() };
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    let producer = producer(&journal);
    store_each(&producer, [message("a", "a secret")]);
    record(&producer, [delivery("x", 1, Outcome::Delivered)]);
    prune(&journal, &producer, at(2));
    journal.close();
    for name in dir.list("j").iter().filter(|name| name.ends_with(".seg")) {
        let text = dir.text(format!("j/{name}"));
        assert!(!text.contains("a secret"), "{name}");
    }
}

/// The test runs in a process of its own: the memory of other tests is not its.
#[test]
fn a_backlog_of_a_million_costs_disk_and_not_memory() {
    if !soak() {
        return println!("with PG_SOAK only");
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "disk::backlog", "--nocapture", "--test-threads=1"]).env(ALONE, "1");
    let output = child.output().unwrap();
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

const ALONE: &str = "PG_JOURNAL_BACKLOG";

/// Not a test of its own: what the child does.
#[test]
fn backlog() {
    if std::env::var_os(ALONE).is_none() {
        return;
    }
    const COUNT: u64 = 1_000_000;
    let dir = Dir::new();
    let settings =
        Settings { outputs: vec![output("x", &["a"]), output("y", &["a"])], ..Settings::default() };
    let (journal, _) = Journal::open(&dir.join("j"), settings.clone()).unwrap();
    let producer = producer(&journal);
    let (mut sent, mut stored) = (0, 0);
    let mut results = Vec::new();
    let from = name("a");
    while stored < COUNT {
        while sent < COUNT {
            let bytes = format!("{sent:01600}").into_bytes();
            let next = Message { connection: from.clone(), time: at(1), bytes };
            if producer.append(sent, next).is_err() {
                break;
            }
            sent += 1;
        }
        results.clear();
        producer.wait(&mut results, PATIENCE);
        stored += results.len() as u64;
    }
    println!("resident with a million queued: {} KiB", resident());
    assert!(resident() < 40 << 10, "{} KiB", resident());
    drop(producer);
    journal.close();
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    let producer = super::producer(&journal);
    let reader = journal.reader();
    let mut x = reader.output("x").unwrap();
    for sequence in 1..=COUNT {
        let stored = x.next().unwrap().unwrap();
        assert_eq!(
            (stored.sequence, stored.bytes),
            (sequence, format!("{:01600}", sequence - 1).into_bytes())
        );
        let mut delivery = delivery("x", sequence, Outcome::Delivered);
        while let Err(back) = producer.record(delivery) {
            delivery = back;
            std::thread::yield_now();
        }
    }
    record(&producer, []);
    println!("resident after a million deliveries: {} KiB", resident());
    assert!(resident() < 40 << 10, "{} KiB", resident());
    assert_eq!(reader.stats().outputs[0].pending, 0);
    assert_eq!(reader.stats().outputs[1].pending, COUNT);
}

/// Resident memory of this process in KiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_history_since_a_time_misses_nothing_that_is_younger() {
    let dir = Dir::new();
    let place = dir.join("j");
    let mut from = 0;
    // Each opening has other outputs, so that a segment begins in the middle.
    for opening in 0..3 {
        let settings = Settings { outputs: vec![output(&format!("x{opening}"), &["a"])], ..settings() };
        let (journal, _) = Journal::open(&place, settings).unwrap();
        let producer = producer(&journal);
        let messages =
            (from..from + 50).map(|second| Message { time: at(second), ..message("a", vec![b'x'; 500]) });
        assert!(store_each(&producer, messages).iter().all(Result::is_ok));
        from += 50;
    }
    let reader = Reader::open(&place).unwrap();
    assert!(reader.stats().segments > 4);
    for second in 0..150 {
        let mut seen = Vec::new();
        let visited = reader.history_since(at(second), |entry| {
            if let Entry::Stored(stored) = entry {
                seen.push(stored.time);
            }
            ControlFlow::<()>::Continue(())
        });
        assert_eq!(visited.unwrap(), None);
        assert!(seen.is_sorted() && seen.last() == Some(&at(149)), "{second}");
        assert!(seen.contains(&at(second)), "{second}: begins with {:?}", seen.first());
        assert!(second < 140 || seen.len() < 80, "{second}: {} are read", seen.len());
    }
}
