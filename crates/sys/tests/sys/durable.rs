use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use protogen_sys::durable::{self, MAX_GROUP, Step, stage};
use protogen_sys::files::{FileOps, RealFiles, read_bounded};
use protogen_testkit::Dir;
use protogen_testkit::powercut::Recorder;
use protogen_testkit::tmpfs::Tmpfs;

const OLD: &[u8] = b"the old content, which is the longer one of the two by some bytes";
const NEW: &[u8] = b"the new content";

/// What a reader finds: the names it may open, and the content of `file`.
fn state(dir: &Path) -> (Vec<String>, Option<Vec<u8>>) {
    let names = dir.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    (names.filter(|name| !name.starts_with('.')).collect(), fs::read(dir.join("file")).ok())
}

#[test]
fn a_power_cut_at_any_operation_leaves_the_old_file_or_the_new_one() {
    let dir = Dir::new();
    dir.write("file", OLD);
    let files = Recorder::new(dir.path()).unwrap();
    durable::write(&files, &dir.join("file"), NEW).unwrap();
    files.mark("written");
    let mut seen = [0, 0];
    let cuts = files
        .replay(5, |cut, place| {
            let (names, content) = state(place);
            let found = match content.as_deref() {
                Some(OLD) if cut.marks.is_empty() => 0,
                Some(NEW) => 1,
                _ => return Err(format!("{names:?} {content:?}")),
            };
            seen[found] += 1;
            if names == ["file"] { Ok(()) } else { Err(format!("{names:?}")) }
        })
        .unwrap();
    // create, write, sync, rename, sync of the directory, mark: 7 prefixes of 7 times 7 fates.
    assert_eq!(cuts, 7 * 49);
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn a_file_that_was_not_there_is_there_whole_or_not_at_all() {
    let dir = Dir::new();
    let files = Recorder::new(dir.path()).unwrap();
    durable::write_new(&files, &dir.join("file"), NEW).unwrap();
    files.mark("written");
    files
        .replay(5, |cut, place| match state(place).1.as_deref() {
            None if cut.marks.is_empty() => Ok(()),
            Some(NEW) => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .unwrap();
}

#[test]
fn a_group_is_durable_after_one_sync_of_the_directory() {
    let dir = Dir::new();
    let files = Recorder::new(dir.path()).unwrap();
    let paths: Vec<_> = (0..5).map(|n| dir.join(format!("f{n}"))).collect();
    let group: Vec<(&Path, &[u8])> = paths.iter().map(|path| (path.as_path(), NEW)).collect();
    durable::write_group(&files, &group).unwrap();
    files.mark("written");
    files
        .replay(3, |cut, place| {
            let whole =
                (0..5).filter(|n| fs::read(place.join(format!("f{n}"))).is_ok_and(|got| got == NEW)).count();
            let visible = state(place).0.len();
            let promised = if cut.marks.is_empty() { 0 } else { 5 };
            if whole == visible && whole >= promised { Ok(()) } else { Err(format!("{whole} of {visible}")) }
        })
        .unwrap();
    assert_eq!(files.attempted(), 5 * 4 + 1);

    let elsewhere = dir.make("sub").join("x");
    let error = durable::write_group(&RealFiles, &[(&paths[0], NEW), (&elsewhere, NEW)]).unwrap_err();
    assert_eq!(error.step, Step::Name);
    let many = vec![(paths[0].as_path(), NEW); MAX_GROUP + 1];
    assert!(durable::write_group(&RealFiles, &many).is_err());
}

/// The replay must find what is wrong with these, or it proves nothing about the right ones.
#[test]
fn the_replay_finds_every_missing_sync() {
    let wrong: [fn(&Recorder, &Path); 4] = [
        // Written in place.
        |files, path| {
            let file = files.open(path).unwrap();
            files.write_at(&file, NEW, 0).unwrap();
            files.set_len(&file, NEW.len() as u64).unwrap();
            files.sync_data(&file).unwrap();
        },
        // Renamed before the bytes are synced.
        |files, path| {
            let temporary = path.with_file_name(".file.tmp");
            let file = files.create(&temporary).unwrap();
            files.write_at(&file, NEW, 0).unwrap();
            files.rename(&temporary, path).unwrap();
            files.sync_data(&file).unwrap();
            files.sync_directory(path.parent().unwrap()).unwrap();
        },
        // The directory is not synced.
        |files, path| {
            stage(files, path, NEW).unwrap().publish().unwrap();
        },
        // A failed sync is taken for a sync the second time.
        |files, path| {
            let temporary = path.with_file_name(".file.tmp");
            let file = files.create(&temporary).unwrap();
            files.write_at(&file, NEW, 0).unwrap();
            files.fail_at(files.attempted(), ErrorKind::Other);
            files.sync_data(&file).unwrap_err();
            files.sync_data(&file).unwrap();
            files.rename(&temporary, path).unwrap();
            files.sync_directory(path.parent().unwrap()).unwrap();
        },
    ];
    for (number, write) in wrong.iter().enumerate() {
        let dir = Dir::new();
        dir.write("file", OLD);
        let files = Recorder::new(dir.path()).unwrap();
        write(&files, &dir.join("file"));
        files.mark("written");
        let outcome = files.replay(5, |cut, place| match state(place).1.as_deref() {
            Some(OLD) if cut.marks.is_empty() => Ok(()),
            Some(NEW) => Ok(()),
            other => Err(format!("{other:?}")),
        });
        let why = outcome.expect_err(&format!("case {number}"));
        assert!(why.starts_with("power cut after operation "), "{why}");
    }
}

#[test]
fn a_failure_at_any_step_leaves_the_old_file_and_nothing_else() {
    let steps = [Step::Create, Step::Write, Step::Sync, Step::Rename, Step::SyncDirectory];
    for (number, step) in steps.into_iter().enumerate() {
        let dir = Dir::new();
        dir.write("file", OLD);
        let files = Recorder::new(dir.path()).unwrap();
        files.fail_at(number, ErrorKind::StorageFull);
        let error = durable::write(&files, &dir.join("file"), NEW).unwrap_err();
        assert_eq!(error.step, step);
        assert!(error.is_full());
        assert!(error.to_string().ends_with("; make room and try again"), "{error}");
        let expected = if step == Step::SyncDirectory { NEW } else { OLD };
        assert_eq!(dir.read("file"), expected, "{step:?}");
        assert_eq!(dir.list(""), ["file"], "{step:?}");
    }
}

#[test]
fn a_leftover_is_replaced_and_a_new_file_replaces_nothing() {
    use std::os::unix::fs::PermissionsExt;
    let dir = Dir::new();
    dir.write(".file.tmp", "what a crash left, and longer than the content");
    durable::write(&RealFiles, &dir.join("file"), NEW).unwrap();
    assert_eq!(dir.read("file"), NEW);
    assert_eq!(dir.join("file").metadata().unwrap().permissions().mode() & 0o777, 0o600);

    let error = durable::write_new(&RealFiles, &dir.join("file"), OLD).unwrap_err();
    assert!(error.is_taken());
    assert_eq!((dir.read("file").as_slice(), dir.list("").len()), (NEW, 1));
    assert_eq!(durable::write(&RealFiles, Path::new("/"), NEW).unwrap_err().step, Step::Name);
    assert_eq!(read_bounded(&dir.join("file"), NEW.len()).unwrap(), NEW);
    assert_eq!(read_bounded(&dir.join("file"), NEW.len() - 1).unwrap_err().kind(), ErrorKind::FileTooLarge);
}

#[test]
fn a_full_file_system_is_named_and_leaves_the_old_file() {
    let dir = Dir::new();
    let small = match Tmpfs::mount(&dir.join("small"), 64) {
        Ok(small) => small,
        Err(why) => return protogen_testkit::not_tested(why),
    };
    let path = small.path().join("file");
    durable::write(&RealFiles, &path, OLD).unwrap();
    let filler = small.fill();
    let error = durable::write(&RealFiles, &path, &[b'x'; 10_000]).unwrap_err();
    assert!(error.is_full() && matches!(error.step, Step::Write | Step::Create), "{error:?}");
    assert_eq!(dir.read("small/file"), OLD);
    assert!(dir.list("small").iter().all(|name| name != ".file.tmp"));
    fs::remove_file(filler).unwrap();
    durable::write(&RealFiles, &path, NEW).unwrap();
    let file = RealFiles.create(&small.path().join("reserved")).unwrap();
    assert_eq!(RealFiles.preallocate(&file, 1 << 20).unwrap_err().kind(), ErrorKind::StorageFull);
    RealFiles.preallocate(&file, 4096).unwrap();
    assert_eq!(RealFiles.len(&file).unwrap(), 4096);
}
