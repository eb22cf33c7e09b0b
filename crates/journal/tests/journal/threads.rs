//! Producers, the writer, readers: results, bounds, order.

use std::sync::mpsc::channel;

use protogen_journal::{JournalError, Reader};
use protogen_testkit::Dir;

use super::*;

#[test]
fn a_stored_message_is_read_by_its_outputs_in_order() {
    let dir = Dir::new();
    let settings = Settings { outputs: vec![output("x", &["a", "b"]), output("y", &["b"])], ..settings() };
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    let producer = producer(&journal);
    let sequences = store_each(&producer, [message("a", "1"), message("b", "2"), message("a", "3")]);
    assert_eq!(sequences, [Ok(1), Ok(2), Ok(3)]);
    let reader = journal.reader();
    let mut x = reader.output("x").unwrap();
    assert_eq!(x.next().unwrap().unwrap().bytes, b"1");
    assert_eq!(waiting(&reader, "x"), [1, 2, 3]);
    assert_eq!(waiting(&reader, "y"), [2]);
    assert!(reader.output("z").is_none());
    record(&producer, [delivery("x", 1, Outcome::Delivered), delivery("x", 2, Outcome::Tries(2))]);
    assert_eq!(waiting(&reader, "x"), [2, 3]);
    let second = x.next().unwrap().unwrap();
    assert_eq!((second.sequence, second.tries, &*second.connection), (2, 2, "b"));
    // A message that comes later is seen by a reader that was at the end.
    assert_eq!(x.next().unwrap().unwrap().sequence, 3);
    assert_eq!(x.next().unwrap(), None);
    assert_eq!(store(&producer, message("a", "5")), Ok(5));
    assert_eq!(x.next().unwrap().unwrap().bytes, b"5");
    x.rewind();
    assert_eq!(x.next().unwrap().unwrap().sequence, 2);
}

#[test]
fn a_dead_letter_keeps_its_answer_and_is_sent_again_on_demand() {
    let dir = Dir::new();
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    let producer = producer(&journal);
    store_each(&producer, [message("a", "1"), message("a", "2")]);
    let note = b"MSA|AE|1\r".to_vec();
    record(&producer, [Delivery { note: note.clone(), ..delivery("x", 1, Outcome::Dead) }]);
    let reader = journal.reader();
    assert_eq!(reader.note("x", 1).unwrap(), Some((Outcome::Dead, note)));
    let mut x = reader.output("x").unwrap();
    assert_eq!(x.next().unwrap().unwrap().sequence, 2);
    record(&producer, [delivery("x", 1, Outcome::Resend)]);
    assert_eq!(x.next().unwrap().unwrap().sequence, 1);
    assert_eq!(x.next().unwrap(), None);
    record(&producer, [delivery("x", 1, Outcome::Delivered), delivery("x", 2, Outcome::Delivered)]);
    let stats = reader.stats();
    assert_eq!((stats.outputs[0].pending, stats.outputs[0].counts.delivered), (0, 2));
}

#[test]
fn a_refused_record_comes_back() {
    let dir = Dir::new();
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    let producer = producer(&journal);
    let unknown = delivery("x", 9, Outcome::Delivered);
    producer.record(unknown.clone()).unwrap();
    let mut results = Vec::new();
    producer.wait(&mut results, PATIENCE);
    assert_eq!(results, [Completion::Unrecorded { delivery: unknown, refusal: Refusal::NotPending }]);
    let long = message("a", vec![b'x'; settings().max_message + 1]);
    assert_eq!(store(&producer, long), Err(Refusal::TooLong));
    let longest = message("a", vec![b'x'; settings().max_message]);
    assert_eq!(store_each(&producer, vec![longest; 4]), [Ok(1), Ok(2), Ok(3), Ok(4)]);
}

#[test]
fn a_full_queue_gives_the_message_back_until_results_are_collected() {
    let dir = Dir::new();
    let settings = Settings { queue_messages: 3, queue_bytes: 10, ..settings() };
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    let (told, tells) = channel();
    let producer = journal.producer(move || told.send(()).unwrap());
    for tag in 0..3 {
        producer.append(tag, message("a", "abc")).unwrap();
        tells.recv().unwrap();
    }
    let fourth = message("a", "abc");
    assert_eq!(producer.append(3, fourth.clone()), Err(fourth.clone()));
    let mut results = Vec::new();
    producer.completions(&mut results);
    assert_eq!(results.len(), 3);
    producer.append(3, fourth).unwrap();
    tells.recv().unwrap();
    drop(producer);
    // What a producer left uncollected takes no room.
    let other = super::producer(&journal);
    for _ in 0..3 {
        store(&other, message("a", "abc")).unwrap();
    }
    journal.close();
    assert!(other.append(9, message("a", "late")).is_err());
}

#[test]
fn a_batch_that_does_not_fit_stays_from_the_first_that_does_not() {
    let dir = Dir::new();
    let settings = Settings { queue_messages: 3, ..settings() };
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    let producer = producer(&journal);
    let mut batch = (1..=5).map(|tag| (tag, message("a", tag.to_string()))).collect();
    producer.append_all(&mut batch);
    assert_eq!(batch.iter().map(|(tag, _)| *tag).collect::<Vec<_>>(), [4, 5]);
    let mut results = Vec::new();
    while results.len() < 3 {
        producer.wait(&mut results, PATIENCE);
    }
    let stored = |number| Completion::Stored { tag: number, sequence: number };
    assert_eq!(results, (1..=3).map(stored).collect::<Vec<_>>());
}

#[test]
fn many_producers_share_groups_and_keep_their_order() {
    let dir = Dir::new();
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let producer = producer(&journal);
            scope.spawn(move || {
                for number in 0..100 {
                    store(&producer, message("a", format!("{thread} {number}"))).unwrap();
                }
            });
        }
    });
    let reader = journal.reader();
    let found = all(&reader);
    assert_eq!(found.len(), 800);
    for thread in 0..8 {
        let own: Vec<String> = found
            .iter()
            .map(|stored| String::from_utf8_lossy(&stored.bytes).into_owned())
            .filter(|text| text.starts_with(&format!("{thread} ")))
            .collect();
        assert_eq!(own, (0..100).map(|number| format!("{thread} {number}")).collect::<Vec<_>>());
    }
    assert_eq!(waiting(&reader, "x").len(), 800);
}

#[test]
fn readers_of_another_process_need_no_lock_but_writers_do() {
    let dir = Dir::new();
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    let producer = producer(&journal);
    store_each(&producer, (0..50).map(|number| message("a", vec![b'0' + number; 500])));
    record(&producer, [delivery("x", 1, Outcome::Delivered)]);
    let reader = Reader::open(&dir.join("j")).unwrap();
    assert_eq!(waiting(&reader, "x"), (2..=50).collect::<Vec<_>>());
    assert_eq!(reader.read(7).unwrap().unwrap().bytes, [b'0' + 6; 500]);
    assert_eq!(reader.read(77).unwrap(), None);
    let Err(JournalError::Locked(_)) = Journal::open(&dir.join("j"), settings()) else {
        panic!("two writers")
    };
    let text = Journal::open(&dir.join("j"), settings()).unwrap_err().to_string();
    assert!(text.contains("held by process") && text.contains("stop that process"), "{text}");
}

#[test]
fn each_segment_has_a_routing_of_its_own() {
    let dir = Dir::new();
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    store_each(&producer(&journal), [message("a", "1"), message("b", "2")]);
    journal.close();
    let changed = Settings { outputs: vec![output("x", &["b"]), output("y", &["a"])], ..settings() };
    let (journal, recovery) = Journal::open(&dir.join("j"), changed).unwrap();
    assert!(recovery.orphans.is_empty());
    store_each(&producer(&journal), [message("a", "3"), message("b", "4")]);
    assert_eq!(waiting(&journal.reader(), "x"), [1, 4]);
    assert_eq!(waiting(&journal.reader(), "y"), [3]);
    journal.close();
    let (journal, recovery) =
        Journal::open(&dir.join("j"), Settings { outputs: vec![], ..settings() }).unwrap();
    assert_eq!(recovery.orphans, ["x", "y"]);
    assert_eq!(waiting(&journal.reader(), "x"), [1, 4], "nothing is lost with its name");
}

#[test]
fn settings_out_of_range_are_refused() {
    let dir = Dir::new();
    let refused = |settings| Journal::open(&dir.join("j"), settings).unwrap_err().to_string();
    let text = refused(Settings { segment_size: 100, ..settings() });
    assert!(text.starts_with("a segment of 100 bytes: it must have 4096 to"), "{text}");
    let text = refused(Settings { max_message: 9 << 10, ..settings() });
    assert_eq!(text, "messages of 9216 bytes: at most half a segment, 8192 bytes");
    let text = refused(Settings { outputs: vec![output("x", &[]), output("x", &[])], ..settings() });
    assert_eq!(text, "two outputs are named x");
    let many: Vec<String> =
        (0..100).map(|number| format!("a connection with a long name, {number}")).collect();
    let text =
        refused(Settings { outputs: vec![Output { name: "x".to_owned(), inputs: many }], ..settings() });
    assert!(text.contains("more than an eighth of a segment; make segment_size larger"), "{text}");
}

#[test]
fn a_reader_beside_a_busy_writer_sees_no_damage() {
    let dir = Dir::new();
    let settings = Settings { keep: Duration::ZERO, ..settings() };
    let (journal, _) = Journal::open(&dir.join("j"), settings).unwrap();
    let (done, is_done) = channel::<()>();
    let writer = std::thread::spawn(move || {
        let producer = producer(&journal);
        let mut sequence = 0;
        while is_done.try_recv().is_err() {
            let stored = store_each(&producer, (0..20).map(|_| message("a", vec![b'x'; 700])));
            sequence = stored.last().unwrap().unwrap();
            // Many wait, and there is always something that may go.
            let delivered = sequence.saturating_sub(60).max(1)..sequence.saturating_sub(40);
            record(&producer, delivered.map(|sequence| delivery("x", sequence, Outcome::Delivered)));
            journal.prune(std::time::SystemTime::now());
        }
        sequence
    });
    // Until it has gone through many segments, looked at from the outside.
    let (mut looks, mut last) = (0, 0);
    while looks < 300 || last < 2000 {
        let reader = match Reader::open(&dir.join("j")) {
            Ok(reader) => reader,
            Err(JournalError::Missing { .. }) if last == 0 => continue,
            Err(error) => panic!("{error}"),
        };
        let next = reader.stats().next;
        assert!(next >= last, "{next} after {last}");
        let sequences: Vec<u64> = all(&reader).iter().map(|stored| stored.sequence).collect();
        assert!(sequences.is_sorted() && sequences.iter().all(|sequence| *sequence < next));
        assert!(waiting(&reader, "x").is_sorted());
        (looks, last) = (looks + 1, next);
    }
    done.send(()).unwrap();
    assert!(writer.join().unwrap() >= 2000);
}
