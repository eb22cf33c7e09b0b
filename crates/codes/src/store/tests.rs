//! The store as managers and readers use it, with the power cut at every operation.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::*;
use protogen_testkit::powercut::Recorder;
use protogen_testkit::{Dir, random::Random};

const NO_WAIT: Duration = Duration::ZERO;
type Rows = Vec<(String, String)>;

/// A row's value is `term;term text`.
fn terms(value: &[u8], each: &mut dyn FnMut(u8, &[u8])) {
    let terms = value.split(|byte| *byte == b' ').next().unwrap();
    terms.split(|byte| *byte == b';').for_each(|term| each(3, term));
}

fn put<F: FileOps>(writer: &mut Writer<'_, F>, rows: &[(&str, &str)]) {
    for (line, (key, value)) in (1..).zip(rows) {
        writer.put(key.as_bytes(), value.as_bytes(), Place { file: 0, line }).unwrap();
    }
}

fn all(reader: &Reader) -> Rows {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut rows = Vec::new();
    reader
        .each(|key, value| {
            rows.push((text(key), text(value)));
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

fn keys(found: &[Vec<u8>]) -> Vec<String> {
    found.iter().map(|key| String::from_utf8_lossy(key).into_owned()).collect()
}

#[test]
fn rows_and_terms_are_found_and_changes_leave_the_rest() {
    let dir = Dir::new();
    let store = Store::new(dir.join("codes/T.db"));
    assert!(matches!(store.read(), Err(StoreError::Missing { .. })));
    assert!(matches!(store.change(NO_WAIT).err(), Some(StoreError::Missing { .. })));

    let mut writer = store.create(NO_WAIT).unwrap();
    put(&mut writer, &[("b", "red;rot x"), ("a", "red y"), ("c", "redder z")]);
    let before = writer.put(b"a", b"blue y", Place { file: 1, line: 9 }).unwrap().unwrap();
    assert_eq!(before, Previous { value: b"red y".to_vec(), place: Some(Place { file: 0, line: 2 }) });
    assert_eq!(writer.commit(terms).unwrap(), 3);

    let old = store.read().unwrap();
    assert_eq!(old.rows(), 3);
    assert_eq!(old.get(b"a").unwrap().unwrap(), b"blue y");
    assert_eq!(old.get(b"").unwrap(), None);
    assert_eq!(old.get(b"aa").unwrap(), None);
    assert_eq!(keys(&old.with_term(3, b"red").unwrap()), ["b"]);
    assert_eq!(keys(&old.with_term_start(3, b"re").unwrap()), ["b", "c"]);
    assert_eq!(keys(&old.with_term_start(2, b"").unwrap()), [""; 0]);

    let mut writer = store.change(NO_WAIT).unwrap();
    assert!(writer.remove(b"b").unwrap() && !writer.remove(b"b").unwrap());
    let before = writer.put(b"a", b"red y", Place { file: 0, line: 1 }).unwrap().unwrap();
    assert_eq!(before.place, None, "it was not read in this load");
    assert_eq!(writer.commit(terms).unwrap(), 2);
    assert_eq!(old.get(b"b").unwrap().unwrap(), b"red;rot x", "an open reader keeps its table");
    let new = store.read().unwrap();
    assert_eq!(keys(&new.with_term(3, b"red").unwrap()), ["a"]);
    assert_eq!(keys(&new.with_term(3, b"blue").unwrap()), [""; 0]);
    assert_eq!(dir.list("codes/T.db"), ["2", "current"]);

    drop(store.change(NO_WAIT).unwrap());
    assert_eq!(dir.list("codes/T.db"), ["2", "current"], "a change that is dropped leaves nothing");
}

#[test]
fn many_rows_in_many_blocks() {
    let dir = Dir::new();
    let store = Store::new(dir.join("T.db"));
    let mut random = Random::seeded(7);
    let mut expected: Vec<(String, String)> = (0..5000)
        .map(|number| (format!("{:05}", number * 3), format!("t{} {}", random.below(50), "x".repeat(99))))
        .collect();
    let mut writer = store.create(NO_WAIT).unwrap();
    for (key, value) in expected.iter().rev() {
        writer.put(key.as_bytes(), value.as_bytes(), Place { file: 0, line: 0 }).unwrap();
    }
    writer.commit(terms).unwrap();
    let reader = store.read().unwrap();
    assert_eq!(all(&reader), expected);
    for (key, value) in &expected {
        assert_eq!(reader.get(key.as_bytes()).unwrap().unwrap(), value.as_bytes(), "{key}");
        assert_eq!(reader.get(format!("{key}!").as_bytes()).unwrap(), None);
    }
    for term in 0..50 {
        let term = format!("t{term}");
        let with: Vec<&String> =
            expected.iter().filter(|row| row.1.split(' ').next() == Some(&term)).map(|row| &row.0).collect();
        assert_eq!(
            keys(&reader.with_term(3, term.as_bytes()).unwrap()),
            with.iter().map(ToString::to_string).collect::<Vec<_>>()
        );
    }
    store.reorganize(NO_WAIT).unwrap().commit(terms).unwrap();
    assert_eq!(all(&store.read().unwrap()), expected);
    expected.clear();
    let writer = store.create(NO_WAIT).unwrap();
    writer.commit(terms).unwrap();
    assert_eq!(all(&store.read().unwrap()), expected, "a table may be empty");
}

#[test]
fn a_second_manager_waits_or_is_refused() {
    let dir = Dir::new();
    let store = Store::new(dir.join("T.db"));
    let first = store.create(NO_WAIT).unwrap();
    let refused = store.create(NO_WAIT).err().unwrap();
    assert!(matches!(refused, StoreError::Busy(_)), "{refused}");
    let told = refused.to_string();
    assert!(told.contains("another manager changes the table, process "), "{told}");
    std::thread::scope(|scope| {
        let second = scope.spawn(|| store.create(Duration::from_secs(60)).map(|writer| writer.commit(terms)));
        first.commit(terms).unwrap();
        second.join().unwrap().unwrap().unwrap();
    });
    assert_eq!(dir.list("T.db"), ["2", "current"]);
}

#[test]
fn readers_see_whole_tables_while_a_manager_works() {
    let dir = Dir::new();
    let store = Store::new(dir.join("T.db"));
    let write = |round: usize| {
        let mut writer = store.create(NO_WAIT).unwrap();
        for key in 0..200 + round {
            let value = format!("t {round}");
            writer.put(format!("{key:04}").as_bytes(), value.as_bytes(), Place { file: 0, line: 0 }).unwrap();
        }
        writer.commit(terms).unwrap();
    };
    write(0);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let readers: Vec<_> = (0..10)
            .map(|_| {
                scope.spawn(|| {
                    let mut seen = 0;
                    while !done.load(Ordering::Relaxed) {
                        let reader = store.read().unwrap();
                        let rows = all(&reader);
                        let round: usize = rows[0].1[2..].parse().unwrap();
                        assert_eq!(rows.len(), 200 + round);
                        assert!(rows.iter().all(|row| row.1 == rows[0].1));
                        assert_eq!(reader.with_term(3, b"t").unwrap().len(), rows.len());
                        assert!(round >= seen, "no reader goes back");
                        seen = round;
                    }
                })
            })
            .collect();
        (1..12).for_each(write);
        done.store(true, Ordering::Relaxed);
        readers.into_iter().for_each(|reader| reader.join().unwrap());
    });
}

const OLD: &[(&str, &str)] = &[("a", "red 1"), ("b", "blue;red 2"), ("c", "green 3")];
const NEW: &[(&str, &str)] = &[("a", "red 1"), ("b", "black 4"), ("d", "blue 5")];

fn rows_of(rows: &[(&str, &str)]) -> Rows {
    rows.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What a power cut may leave: the old or the new table, whole, in both of its forms.
fn whole(place: &Path) -> Result<Rows, String> {
    let store = Store::new(place.join("T.db"));
    let reader = store.read().map_err(|error| error.to_string())?;
    let rows = all(&reader);
    let blue = reader.with_term(3, b"blue").map_err(|error| error.to_string())?;
    let expected = if rows == rows_of(OLD) { ["b"] } else { ["d"] };
    if keys(&blue) != expected {
        return Err(format!("the index finds {:?}", keys(&blue)));
    }
    let writer = store.change(NO_WAIT).map_err(|error| error.to_string())?;
    for (key, value) in &rows {
        let found = writer.get(key.as_bytes()).map_err(|error| error.to_string())?;
        if found.map(|found| found.value) != Some(value.clone().into_bytes()) {
            return Err(format!("the database lacks {key}"));
        }
    }
    match rows == rows_of(OLD) || rows == rows_of(NEW) {
        true => Ok(rows),
        false => Err(format!("neither the old nor the new table: {rows:?}")),
    }
}

fn change(writer: &mut Writer<'_, Recorder>) {
    put(writer, &[("b", "black 4"), ("d", "blue 5")]);
    writer.remove(b"c").unwrap();
}

/// The kinds of change: from nothing, and from what is there.
type Begin = fn(&Store<Recorder>) -> Result<Writer<'_, Recorder>, StoreError>;
const BEGIN: [Begin; 2] = [
    |store| {
        let mut writer = store.create(NO_WAIT)?;
        put(&mut writer, OLD);
        Ok(writer)
    },
    |store| store.change(NO_WAIT),
];

#[test]
fn a_power_cut_leaves_the_old_or_the_new_table() {
    for begin in BEGIN {
        let dir = Dir::new();
        make_old(&Store::new(dir.join("T.db")));
        let recorder = Recorder::new(dir.path()).unwrap();
        let store = Store::with_files(dir.join("T.db"), recorder.clone());
        let mut writer = begin(&store).unwrap();
        change(&mut writer);
        writer.commit(terms).unwrap();
        recorder.mark("done");
        let mut seen = [0, 0];
        let cuts = recorder.replay(if soak() { 4 } else { 1 }, |cut, place| {
            let rows = whole(place)?;
            let new = rows == rows_of(NEW);
            seen[usize::from(new)] += 1;
            match new || cut.marks.is_empty() {
                true => Ok(()),
                false => Err("the change was reported as done, and the old table is back".into()),
            }
        });
        let cuts = cuts.unwrap_or_else(|why| panic!("{why}"));
        assert!(cuts > 50 && seen[0] > 0 && seen[1] > 0, "{cuts} cuts, {seen:?}");
    }
}

fn make_old(store: &Store) {
    let mut writer = store.create(NO_WAIT).unwrap();
    put(&mut writer, OLD);
    writer.commit(terms).unwrap();
}

fn soak() -> bool {
    std::env::var_os("PG_SOAK").is_some()
}

#[test]
fn a_first_table_cut_short_is_no_table_or_the_whole_one() {
    let dir = Dir::new();
    let recorder = Recorder::new(dir.path()).unwrap();
    let store = Store::with_files(dir.join("T.db"), recorder.clone());
    let mut writer = store.create(NO_WAIT).unwrap();
    put(&mut writer, OLD);
    writer.commit(terms).unwrap();
    recorder.mark("done");
    let check = |cut: &protogen_testkit::powercut::Cut, place: &Path| match whole(place) {
        Ok(_) => Ok(()),
        Err(_)
            if cut.marks.is_empty()
                && matches!(Store::new(place.join("T.db")).read(), Err(StoreError::Missing { .. })) =>
        {
            Ok(())
        }
        Err(why) => Err(why),
    };
    recorder.replay(1, check).unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn a_failure_at_any_operation_leaves_the_old_or_the_new_table() {
    let mut number = 0;
    loop {
        let dir = Dir::new();
        make_old(&Store::new(dir.join("T.db")));
        let recorder = Recorder::new(dir.path()).unwrap();
        recorder.fail_at(number, io::ErrorKind::StorageFull);
        let store = Store::with_files(dir.join("T.db"), recorder.clone());
        let mut writer = store.change(NO_WAIT).unwrap();
        change(&mut writer);
        let outcome = writer.commit(terms);
        let rows = whole(dir.path()).unwrap_or_else(|why| panic!("operation {number}: {why}"));
        assert!(outcome.is_err() || rows == rows_of(NEW), "operation {number}");
        if recorder.attempted() <= number {
            assert!(outcome.is_ok() && number > 10, "{number} operations");
            break;
        }
        number += 1;
    }
}

#[test]
fn damage_is_told_and_reorganizing_repairs_either_form() {
    for name in ["current", "1/table", "1/db", "1/conf"] {
        let dir = Dir::new();
        let store = Store::new(dir.join("T.db"));
        make_old(&store);
        let path = format!("T.db/{name}");
        let sound = dir.read(&path);
        let step = (sound.len() / if soak() { 5000 } else { 60 }).max(1);
        for at in (0..sound.len()).step_by(step) {
            let mut bytes = sound.clone();
            bytes[at] ^= 1;
            dir.write(&path, &bytes);
            let read = store.read().and_then(|reader| {
                reader.each(|_, _| ControlFlow::Continue(()))?;
                Ok(all(&reader))
            });
            let change = store.change(NO_WAIT).map(drop);
            let reads = read.as_ref().is_ok_and(|rows| *rows == rows_of(OLD));
            // The magic at the beginning is for file(1) only.
            assert!(
                reads == (name == "1/db" || name == "1/conf" || (name == "1/table" && at < 8)),
                "{name} byte {at}: {read:?}"
            );
            assert_eq!(change.is_ok(), name == "1/table", "{name} byte {at}");
            for error in [read.err(), change.err()].into_iter().flatten() {
                assert!(matches!(error, StoreError::Damaged { .. }), "{name} byte {at}: {error}");
            }
        }
        if name != "current" {
            store.reorganize(NO_WAIT).unwrap().commit(terms).unwrap();
            assert_eq!(whole(dir.path()).unwrap(), rows_of(OLD), "{name}");
        }
    }
}

#[test]
fn a_sound_table_that_is_not_the_stamps_is_refused() {
    let dir = Dir::new();
    let (store, other) = (Store::new(dir.join("T.db")), Store::new(dir.join("U.db")));
    make_old(&store);
    let mut writer = other.create(NO_WAIT).unwrap();
    put(&mut writer, NEW);
    writer.commit(terms).unwrap();
    dir.write("T.db/1/table", dir.read("U.db/1/table"));
    let error = store.read().unwrap_err();
    assert!(error.to_string().contains("it is not the table that the stamp is of"), "{error}");
    // From the managers' database, which is whole.
    store.reorganize(NO_WAIT).unwrap().commit(terms).unwrap();
    assert_eq!(whole(dir.path()).unwrap(), rows_of(OLD));
}
