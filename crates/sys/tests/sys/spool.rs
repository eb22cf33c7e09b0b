use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use protogen_sys::files::RealFiles;
use protogen_sys::spool::{Namer, Producer, Queue, SpoolError};
use protogen_testkit::Dir;
use protogen_testkit::powercut::Recorder;
use protogen_testkit::tmpfs::Tmpfs;

fn queue(dir: &Dir) -> Queue {
    Queue::open(&dir.make("spool"), &dir.make("log")).unwrap()
}

fn producer(dir: &Dir) -> Producer {
    Producer::open(&dir.make("spool"), Namer::new("")).unwrap()
}

fn waiting(queue: &Queue, batch: usize) -> Vec<String> {
    queue.waiting_by(batch).map(|name| name.unwrap().into_string().unwrap()).collect()
}

#[test]
fn messages_are_read_in_the_order_they_were_written() {
    let dir = Dir::new();
    let (queue, mut producer) = (queue(&dir), producer(&dir));
    let written: Vec<OsString> =
        (0..50).map(|n| producer.put(format!("message {n}").as_bytes()).unwrap()).collect();
    let texts: Vec<&str> = written.iter().map(|name| name.to_str().unwrap()).collect();
    for batch in [1, 7, 50, 4096] {
        assert_eq!(waiting(&queue, batch), texts, "batch {batch}");
    }
    let (first, name) = (queue.spool().join(&written[0]), written[0].clone());
    assert_eq!(fs::read(&first).unwrap(), b"message 0");
    assert_eq!(first.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let taken = producer.put_as(&name, b"another").unwrap_err();
    assert!(matches!(taken, SpoolError::Write(error) if error.is_taken()));
    assert_eq!(fs::read(&first).unwrap(), b"message 0", "an existing file is never replaced");
}

#[test]
fn two_producers_with_one_clock_do_not_collide() {
    let dir = Dir::new();
    let queue = queue(&dir);
    // Every producer begins at the same name, far in the future, so that all of them want the same ones.
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let mut namer = Namer::new("");
            namer.resume_after(OsStr::new("21000101T000000.000000-0000"));
            let mut producer = Producer::open(queue.spool(), namer).unwrap();
            let write = move |n| drop(producer.put(format!("{thread} {n}").as_bytes()).unwrap());
            std::thread::spawn(move || (0..50).for_each(write))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    let read = |name: String| dir.text(format!("spool/{name}"));
    let found: BTreeSet<String> = waiting(&queue, 4096).into_iter().map(read).collect();
    let written = (0..4).flat_map(|thread| (0..50).map(move |n| format!("{thread} {n}"))).collect();
    assert_eq!(found, written, "each message is there, and whole");
}

#[test]
fn what_another_producer_is_writing_is_left_alone_until_it_is_old() {
    let dir = Dir::new();
    let (queue, mut producer) = (queue(&dir), producer(&dir));
    dir.write("spool/.m.tmp", "half");
    let taken = producer.put_as(OsStr::new("m"), b"message").unwrap_err();
    assert!(matches!(taken, SpoolError::Write(error) if error.is_taken()));
    assert_eq!(queue.remove_leftovers(Duration::from_secs(3600)).unwrap(), 0);
    assert_eq!(dir.text("spool/.m.tmp"), "half");
    queue.mark_error("blocked", SystemTime::now()).unwrap();
    assert_eq!(queue.remove_leftovers(Duration::ZERO).unwrap(), 1);
    producer.put_as(OsStr::new("m"), b"message").unwrap();
    assert_eq!(dir.list("spool"), [".error", "m"]);
}

#[test]
fn hidden_locked_and_other_files_are_passed_over() {
    let dir = Dir::new();
    let (queue, producer) = (queue(&dir), producer(&dir));
    for name in ["b", "a", "c", ".hidden", ".a.tmp", "d", "d.lock", "A", "a.b", "\u{e4}"] {
        dir.write(format!("spool/{name}"), "x");
    }
    dir.make("spool/directory");
    std::os::unix::fs::symlink("a", dir.join("spool/link")).unwrap();
    assert_eq!(waiting(&queue, 2), ["A", "a", "a.b", "b", "c", "\u{e4}"], "bytewise order");

    let hold = producer.hold(OsStr::new("b")).unwrap();
    assert!(producer.hold(OsStr::new("b")).is_err(), "one producer a message");
    assert_eq!(waiting(&queue, 2), ["A", "a", "a.b", "c", "\u{e4}"]);
    let census = queue.census().unwrap();
    assert_eq!((census.waiting, census.locked, census.first), (5, 2, Some("A".into())));
    assert!(census.oldest.unwrap() <= SystemTime::now());
    // A lock that comes while the reader is on its way is seen.
    let mut reading = queue.waiting();
    assert_eq!(reading.next().unwrap().unwrap(), "A");
    let _late = producer.hold(OsStr::new("a.b")).unwrap();
    drop(hold);
    let rest: Vec<OsString> = reading.map(Result::unwrap).collect();
    assert_eq!(rest, ["a", "b", "c", "\u{e4}"]);

    let mut producer = producer;
    for bad in [".x", "x.lock", "a/b", "", "../x"] {
        assert!(matches!(producer.put_as(OsStr::new(bad), b""), Err(SpoolError::BadName { .. })), "{bad}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn any_batch_size_gives_the_sorted_names(names in prop::collection::btree_set("[a-c]{1,4}", 0..40), batch in 1usize..12) {
        let dir = Dir::new();
        let queue = queue(&dir);
        for name in &names {
            dir.write(format!("spool/{name}"), "");
        }
        prop_assert_eq!(waiting(&queue, batch), names.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn a_delivered_message_moves_to_the_log_with_its_acknowledgment() {
    let dir = Dir::new();
    let (queue, mut producer) = (queue(&dir), producer(&dir));
    let name = producer.put(b"message").unwrap();
    assert_eq!(queue.delivered(&name, b"MSA|AA").unwrap(), name);
    let name = name.to_str().unwrap();
    assert_eq!(dir.list("spool"), [""; 0]);
    assert_eq!(dir.list("log"), [name.to_owned(), format!("{name}.ack")]);
    assert_eq!(dir.text(format!("log/{name}.ack")), "MSA|AA");

    // A producer of a site's own may use a name twice.
    producer.put_as(OsStr::new(name), b"another").unwrap();
    let second = queue.delivered(OsStr::new(name), b"MSA|AE").unwrap();
    assert_eq!(second.to_str().unwrap(), format!("{name}.2"));
    assert_eq!(dir.text(format!("log/{name}")), "message");
    assert_eq!(dir.text(format!("log/{name}.2")), "another");
    assert_eq!(dir.text(format!("log/{name}.2.ack")), "MSA|AE");
    assert_eq!(dir.text(format!("log/{name}.ack")), "MSA|AA");
    let gone = queue.delivered(OsStr::new("gone"), b"").unwrap_err().to_string();
    assert!(gone.contains("spool/gone: cannot move the message to the log"), "{gone}");
}

#[test]
fn a_power_cut_during_delivery_loses_neither_the_message_nor_its_acknowledgment() {
    let dir = Dir::new();
    dir.write("spool/m", "message");
    dir.make("log");
    let files = Recorder::new(dir.path()).unwrap();
    let queue = Queue::with_files(files.clone(), &dir.join("spool"), &dir.join("log")).unwrap();
    queue.delivered(OsStr::new("m"), b"AA").unwrap();
    files.mark("delivered");
    files
        .replay(5, |cut, place| {
            let read = |name| fs::read_to_string(place.join(name)).unwrap_or_default();
            let (waits, logged) = (read("spool/m") == "message", read("log/m") == "message");
            let acknowledged = read("log/m.ack") == "AA";
            let promised = !cut.marks.is_empty();
            if (waits || logged) && (!logged || acknowledged) && !(promised && waits) {
                // What the crash left is finished by the next run.
                if waits {
                    let queue =
                        Queue::open(&place.join("spool"), &place.join("log")).map_err(|e| e.to_string())?;
                    queue.delivered(OsStr::new("m"), b"AA").map_err(|error| error.to_string())?;
                }
                let names = |name| fs::read_dir(place.join(name)).map(Iterator::count).unwrap_or_default();
                return if names("spool") == 0 { Ok(()) } else { Err("still in the spool".into()) };
            }
            Err(format!("waits {waits}, logged {logged}, acknowledged {acknowledged}"))
        })
        .unwrap();
}

#[test]
fn a_message_moves_to_a_log_on_another_file_system() {
    let dir = Dir::new();
    let other = match Tmpfs::mount(&dir.join("log"), 512) {
        Ok(other) => other,
        Err(why) => return protogen_testkit::not_tested(why),
    };
    let (queue, mut producer) = (queue(&dir), producer(&dir));
    let message = vec![b'm'; 200_000];
    producer.put_as(OsStr::new("m"), &message).unwrap();
    let filler = other.fill();
    let full = queue.delivered(OsStr::new("m"), b"AA").unwrap_err();
    assert!(full.is_full(), "{full}");
    assert_eq!(dir.list("spool"), ["m"], "the message stays while the log is full");
    fs::remove_file(filler).unwrap();
    queue.delivered(OsStr::new("m"), b"AA").unwrap();
    assert_eq!(dir.list("spool"), [""; 0]);
    assert_eq!(dir.list("log"), ["m", "m.ack"]);
    assert!(dir.read("log/m") == message);
    // A crash after the copy and before the removal: the same message again.
    producer.put_as(OsStr::new("m"), &message).unwrap();
    assert_eq!(queue.delivered(OsStr::new("m"), b"AA").unwrap(), "m");
    assert_eq!(dir.list("log"), ["m", "m.ack"]);
}

#[test]
fn the_error_mark_says_why_and_since_when() {
    let dir = Dir::new();
    let queue = queue(&dir);
    assert_eq!(queue.error_mark().unwrap(), None);
    queue.clear_error().unwrap();
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_459_200);
    queue.mark_error("the gateway\ndoes not answer", then).unwrap();
    queue.mark_error("later", then + Duration::from_secs(60)).unwrap();
    assert_eq!(dir.text("spool/.error"), "2026-11-23T18:40:00Z\nthe gateway\ndoes not answer\n");
    let mark = queue.error_mark().unwrap().unwrap();
    assert_eq!((mark.since, mark.reason.as_str()), (Some(then), "the gateway\ndoes not answer"));
    assert_eq!(waiting(&queue, 9), [""; 0]);
    queue.clear_error().unwrap();
    assert_eq!(queue.error_mark().unwrap(), None);
    dir.write("spool/.error", "written by hand\n");
    let mark = queue.error_mark().unwrap().unwrap();
    assert_eq!((mark.since, mark.reason.as_str()), (None, "written by hand"));
}

#[test]
fn missing_directories_are_named() {
    let dir = Dir::new();
    let error = Queue::open(&dir.make("spool"), &dir.join("nothing")).unwrap_err().to_string();
    assert!(error.ends_with("/nothing: no such directory; make it with mode 0700"), "{error}");
    let queue = queue(&dir);
    fs::remove_dir(dir.join("spool")).unwrap();
    let mut reading = queue.waiting();
    let error = reading.next().unwrap().unwrap_err().to_string();
    assert!(error.contains("spool: cannot read the directory: No such file"), "{error}");
    assert!(reading.next().is_none(), "an error ends it");
    assert!(Producer::with_files(RealFiles, &dir.join("spool"), Namer::new("")).is_err());
}

/// 1,000 files as a rule; `PG_SOAK=1` makes it 100,000.
#[test]
fn a_long_queue_is_read_in_order() {
    let dir = Dir::new();
    let queue = queue(&dir);
    let files: usize = if std::env::var_os("PG_SOAK").is_some() { 100_000 } else { 1_000 };
    // Written plainly, for this is about reading; in an order that is not theirs.
    for n in 0..files {
        dir.write(format!("spool/{:06}", n * 7919 % files), "");
    }
    let mut expected = 0;
    for name in queue.waiting_by(files / 25) {
        assert_eq!(name.unwrap().to_str().unwrap(), format!("{expected:06}"));
        expected += 1;
    }
    assert_eq!(expected, files);
}
