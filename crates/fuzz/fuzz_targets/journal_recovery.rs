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

/// The input as lines with their right CRC, for no mutation finds one; a message takes the next line as its bytes.
fn with_crcs(input: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    let mut lines = input.split(|byte| *byte == b'\n');
    while let Some(line) = lines.next() {
        let mut line = line.to_vec();
        let mut bytes: &[u8] = b"";
        match line.first() {
            Some(b'M') => {
                bytes = lines.next().unwrap_or_default();
                line.extend_from_slice(format!(" {}", bytes.len()).as_bytes());
            }
            Some(b'S') => line = format!("S {} {}", segment.len(), line.len()).into_bytes(),
            Some(b'!') => {
                // As it is: damage, or zeros.
                segment.extend_from_slice(&line[1..]);
                continue;
            }
            _ => {}
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&line), bytes);
        segment.extend_from_slice(&line);
        segment.extend_from_slice(format!(" {crc:08x}\n").as_bytes());
        if line.first() == Some(&b'M') {
            segment.extend_from_slice(bytes);
            segment.push(b'\n');
        }
    }
    segment
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
            assert!(found.iter().any(|one| one.sequence == stored.sequence && one.bytes == stored.bytes));
            last = stored.sequence;
        }
        drop(reader.note(&output.name, last));
    }
}

fuzz_target!(|input: &[u8]| {
    // The first byte says what follows: bare bytes or lines, and after a 0xFF a second segment.
    let Some((kind, input)) = input.split_first() else { return };
    let mut segments = input.splitn(2, |byte| *byte == 0xFF).map(|segment| match kind % 4 {
        0 => segment.to_vec(),
        _ => with_crcs(segment),
    });
    PLACE.with_borrow(|place| {
        let place = place.path();
        for entry in place.read_dir().expect("the directory").flatten() {
            std::fs::remove_file(entry.path()).expect("removed");
        }
        std::fs::write(place.join("00000000000000000001.seg"), segments.next().unwrap_or_default())
            .expect("written");
        if let Some(second) = segments.next() {
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
