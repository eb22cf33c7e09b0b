use std::fs;
use std::time::{Duration, Instant};

use protogen_sys::directory_watch::{Change, DirectoryWatch};
use protogen_testkit::Dir;

const LIMIT: Duration = protogen_testkit::TIMEOUT;

fn changes(watch: &DirectoryWatch, count: usize) -> Vec<Change> {
    let (mut all, end) = (Vec::new(), Instant::now() + LIMIT);
    while all.len() < count {
        assert!(Instant::now() < end, "{all:?}");
        all.extend(watch.wait(LIMIT).unwrap());
    }
    all
}

#[test]
fn files_that_appear() {
    let dir = Dir::new();
    let place = dir.make("in");
    dir.write("in/before", "");
    let watch = DirectoryWatch::of(&place).unwrap();
    assert!(watch.is_of(&place) && !watch.is_of(dir.path()));
    assert_eq!(watch.wait(Duration::ZERO).unwrap(), []);
    dir.make("in/directory");
    fs::remove_file(dir.join("in/before")).unwrap();
    dir.write("in/a", "1");
    dir.write("b", "1");
    fs::hard_link(dir.join("b"), dir.join("in/linked")).unwrap();
    fs::rename(dir.join("b"), dir.join("in/b")).unwrap();
    let written = |name: &str| Change::Written(name.into());
    let expected = [written("a"), written("a"), written("linked"), Change::Renamed("b".into())];
    assert_eq!(changes(&watch, 4), expected);
}

#[test]
fn a_directory_that_goes_away() {
    let dir = Dir::new();
    for renamed in [true, false] {
        let place = dir.make("in");
        let watch = DirectoryWatch::of(&place).unwrap();
        if renamed {
            fs::rename(&place, dir.join("elsewhere")).unwrap();
        } else {
            fs::remove_dir(&place).unwrap();
        }
        assert!(changes(&watch, 1).contains(&Change::Lost));
        assert!(!watch.is_of(&place));
    }
    // One above it: nothing is told, but it can be seen.
    let place = dir.join("above/in");
    fs::create_dir_all(&place).unwrap();
    let watch = DirectoryWatch::of(&place).unwrap();
    fs::rename(dir.join("above"), dir.join("moved")).unwrap();
    fs::create_dir_all(&place).unwrap();
    assert!(!watch.is_of(&place));
    assert!(DirectoryWatch::of(&dir.join("nowhere")).is_err());
    dir.write("file", "");
    assert!(DirectoryWatch::of(&dir.join("file")).is_err());
}

#[test]
fn more_changes_than_the_system_keeps() {
    let dir = Dir::new();
    let watch = DirectoryWatch::of(dir.path()).unwrap();
    let limit = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap();
    let limit: usize = limit.trim().parse().unwrap();
    if limit > 50_000 {
        return protogen_testkit::not_tested(format_args!("the system keeps {limit} changes"));
    }
    dir.write("file", "");
    for number in 0..=limit {
        let (from, to) = if number % 2 == 0 { ("file", "other") } else { ("other", "file") };
        fs::rename(dir.join(from), dir.join(to)).unwrap();
    }
    let mut told = Vec::new();
    while !told.contains(&Change::Overflow) {
        told = watch.wait(LIMIT).unwrap();
        assert!(!told.is_empty());
    }
}
