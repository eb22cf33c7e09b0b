//! Any bytes in a segment: opening gives an error or a consistent state, and what it gives is found again.
#![no_main]

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::path::Path;

use libfuzzer_sys::fuzz_target;
use protogen_journal::{Journal, JournalError, Output, Reader, Settings, Stored, repair};

thread_local! {
    // In memory where there is one: each run makes and removes some files.
    static PLACE: RefCell<tempfile::TempDir> = RefCell::new(
        tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).expect("a directory"),
    );
}

fn messages(reader: &Reader) -> Result<Vec<Stored>, JournalError> {
    let mut all = Vec::new();
    reader.each(0, |stored| {
        all.push(stored);
        ControlFlow::<()>::Continue(())
    })?;
    Ok(all)
}

fn consistent(place: &Path) {
    let Ok(reader) = Reader::open(place) else { return };
    let stats = reader.stats();
    let Ok(found) = messages(&reader) else { return };
    assert!(found.is_sorted_by(|a, b| a.sequence < b.sequence));
    for output in &stats.outputs {
        let Some(mut waiting) = reader.output(&output.name) else { panic!("{output:?}") };
        let mut last = 0;
        while let Ok(Some(stored)) = waiting.next() {
            assert!(found.contains(&stored) || stored.tries > 0 || last == 0 || stored.sequence > last);
            last = stored.sequence;
        }
        drop(reader.note(&output.name, last));
    }
}

fuzz_target!(|input: (&[u8], Option<&[u8]>)| {
    PLACE.with_borrow(|place| {
        let place = place.path();
        for entry in place.read_dir().expect("the directory").flatten() {
            std::fs::remove_file(entry.path()).expect("removed");
        }
        std::fs::write(place.join("00000000000000000001.seg"), input.0).expect("written");
        if let Some(second) = input.1 {
            std::fs::write(place.join("00000000000000000002.seg"), second).expect("written");
        }
        consistent(place);
        if repair(place).is_ok() {
            consistent(place);
        }
        let before = Reader::open(place).and_then(|reader| messages(&reader));
        let settings = Settings {
            outputs: vec![Output { name: "x".to_owned(), inputs: vec!["a".to_owned()] }],
            segment_size: 4096,
            max_message: 1024,
            durable: false,
            ..Settings::default()
        };
        if let Ok((journal, _)) = Journal::open(place, settings)
            && let (Ok(before), Ok(after)) = (before, messages(&journal.reader()))
        {
            assert_eq!(before, after);
        }
    });
});
