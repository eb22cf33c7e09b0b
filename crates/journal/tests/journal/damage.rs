//! Damage in the middle: refused with file and offset, repaired with the damaged bytes kept aside.

use protogen_journal::{JournalError, repair};
use protogen_testkit::Dir;

use super::*;

/// A journal of 40 messages in several segments, closed.
fn journal(dir: &Dir) -> Vec<String> {
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    let producer = producer(&journal);
    store_each(&producer, (1..=40).map(|number| message("a", format!("message {number} {:01000}", 0))));
    record(&producer, [delivery("x", 1, Outcome::Delivered), delivery("x", 2, Outcome::Dead)]);
    drop(producer);
    journal.close();
    dir.list("j").into_iter().filter(|name| name.ends_with(".seg")).collect()
}

fn place_of(bytes: &[u8], text: &str) -> usize {
    bytes.windows(text.len()).position(|window| window == text.as_bytes()).unwrap()
}

/// Changes one byte of the text in the file; gives the offset of the record's line.
fn damage(dir: &Dir, file: &str, text: &str) -> u64 {
    let mut bytes = dir.read(format!("j/{file}"));
    let at = place_of(&bytes, text);
    bytes[at + 1] ^= 1;
    dir.write(format!("j/{file}"), &bytes);
    let line = bytes[..at.saturating_sub(1)].iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    line as u64
}

fn refused(dir: &Dir) -> (String, u64) {
    match Journal::open(&dir.join("j"), settings()) {
        Err(JournalError::Damaged { path, offset, what }) => {
            let text = JournalError::Damaged { path: path.clone(), offset, what }.to_string();
            assert!(text.contains(&format!("damaged at byte {offset}")), "{text}");
            (path.file_name().unwrap().to_string_lossy().into_owned(), offset)
        }
        other => panic!("damage is not seen: {other:?}"),
    }
}

fn repaired(dir: &Dir) -> Vec<protogen_journal::Repaired> {
    let repaired = repair(&dir.join("j")).unwrap();
    assert_eq!(repair(&dir.join("j")).unwrap(), [], "once is enough");
    repaired
}

#[test]
fn damage_in_the_last_segment_stops_the_start_and_is_repaired() {
    let dir = Dir::new();
    let files = journal(&dir);
    let last = files.last().unwrap();
    let offset = damage(&dir, last, "message 39 ");
    let before = dir.read(format!("j/{last}"));
    assert_eq!(refused(&dir), (last.clone(), offset));
    assert!(Reader::open(&dir.join("j")).is_err());
    let repaired = repaired(&dir);
    assert_eq!(repaired.len(), 1);
    assert_eq!((repaired[0].from, repaired[0].lost), (offset, (39, 40)));
    let (from, to) = (repaired[0].from as usize, repaired[0].to as usize);
    assert_eq!(std::fs::read(&repaired[0].aside).unwrap(), before[from..to]);
    assert_eq!(dir.read(format!("j/{last}")), before, "the segment itself is not touched");
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    let expected: Vec<u64> = (3..=38).chain([40]).collect();
    assert_eq!(waiting(&journal.reader(), "x"), expected);
    assert_eq!(store(&producer(&journal), message("a", "on we go")), Ok(42));
    journal.close();
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    assert_eq!(waiting(&journal.reader(), "x").len(), expected.len() + 1);
}

#[test]
fn damage_in_an_older_segment_is_named_when_it_is_read() {
    let dir = Dir::new();
    let files = journal(&dir);
    let offset = damage(&dir, &files[0], "message 5 ");
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    let mut x = journal.reader().output("x").unwrap();
    assert_eq!(x.next().unwrap().unwrap().sequence, 3);
    assert_eq!(x.next().unwrap().unwrap().sequence, 4);
    let Err(JournalError::Damaged { path, offset: named, .. }) = x.next() else { panic!("not seen") };
    assert_eq!((path, named), (dir.join("j").join(&files[0]), offset));
    journal.close();
    assert_eq!(repaired(&dir)[0].lost, (5, 6));
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    assert_eq!(waiting(&journal.reader(), "x"), [3, 4].into_iter().chain(6..=40).collect::<Vec<_>>());
}

#[test]
fn a_damaged_opening_is_rebuilt_from_the_segment_before() {
    let dir = Dir::new();
    let files = journal(&dir);
    let last = files.last().unwrap();
    damage(&dir, last, "J 1");
    assert_eq!(refused(&dir), (last.clone(), 0));
    assert_eq!(repaired(&dir).len(), 1);
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    assert_eq!(waiting(&journal.reader(), "x"), (3..=40).collect::<Vec<_>>());
}

#[test]
fn a_segment_that_is_gone_is_named() {
    let dir = Dir::new();
    let files = journal(&dir);
    std::fs::remove_file(dir.join("j").join(&files[1])).unwrap();
    let text = Journal::open(&dir.join("j"), settings()).unwrap_err().to_string();
    assert!(text.contains(&format!("{}: missing", files[1])), "{text}");
    let dir = Dir::new();
    let files = journal(&dir);
    std::fs::remove_file(dir.join("j").join(&files[0])).unwrap();
    let text = Journal::open(&dir.join("j"), settings()).unwrap_err().to_string();
    assert!(text.contains(".seg: missing"), "{text}");
}

#[test]
fn a_segment_that_was_cut_short_is_repaired_up_to_its_end() {
    let dir = Dir::new();
    let files = journal(&dir);
    let bytes = dir.read(format!("j/{}", files[0]));
    dir.write(format!("j/{}", files[0]), &bytes[..place_of(&bytes, "message 9 ")]);
    let repaired = repaired(&dir);
    assert_eq!((repaired.len(), repaired[0].lost.0), (1, 9));
    let (journal, _) = Journal::open(&dir.join("j"), settings()).unwrap();
    let found = waiting(&journal.reader(), "x");
    assert!(found.starts_with(&[3, 4, 5, 6, 7, 8, 16]) && found.ends_with(&[39, 40]), "{found:?}");
}

/// Any byte of the last segment's records changed: an error that names the place, or the same messages, or less at
/// the end where no mark vouches; never others.
#[test]
fn one_wrong_byte_anywhere_is_seen() {
    let dir = Dir::new();
    let files = journal(&dir);
    let last = files.last().unwrap().clone();
    let whole = dir.read(format!("j/{last}"));
    let messages = all(&Reader::open(&dir.join("j")).unwrap());
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap();
    let step = if soak() { 1 } else { 7 };
    for at in (0..=end).step_by(step) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x11;
        dir.write(format!("j/{last}"), &bytes);
        match Reader::open(&dir.join("j")) {
            Ok(reader) => {
                // Only the closing mark has nothing behind it.
                assert!(at + 64 > end, "byte {at} of {end}");
                assert!(all(&reader) == messages, "byte {at}");
            }
            Err(JournalError::Damaged { offset, .. }) => assert!(offset <= at as u64, "byte {at}: {offset}"),
            Err(JournalError::Missing { .. }) => {}
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[test]
fn a_torn_end_is_wiped_before_anything_follows_it() {
    let dir = Dir::new();
    let last = journal(&dir).pop().unwrap();
    let bytes = dir.read(format!("j/{last}"));
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    // What a power cut may leave behind the last sync: the end of a record without its beginning, then a whole one.
    let at = place_of(&bytes, "message 39 ");
    let next = place_of(&bytes, "message 40 ");
    let torn = &bytes[at..next + 200];
    let mut left = bytes.clone();
    left[end..end + torn.len()].copy_from_slice(torn);
    dir.write(format!("j/{last}"), &left);

    let (journal, recovery) = Journal::open(&dir.join("j"), settings()).unwrap();
    assert!(recovery.torn > 0, "{recovery:?}");
    assert_eq!(recovery.end, end as u64);
    let wiped = dir.read(format!("j/{last}"));
    assert!(wiped[end..].iter().all(|byte| *byte == 0), "bytes of the torn end are left");
    assert_eq!(wiped[..end], bytes[..end]);
    let expected: Vec<u64> = (3..=40).collect();
    assert_eq!(waiting(&journal.reader(), "x"), expected);
    assert_eq!(store(&producer(&journal), message("a", "on we go")), Ok(42));
    journal.close();
    let (journal, recovery) = Journal::open(&dir.join("j"), settings()).unwrap();
    assert_eq!(recovery.torn, 0);
    assert_eq!(waiting(&journal.reader(), "x").len(), expected.len() + 1);
}
