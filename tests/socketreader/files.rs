//! Directories that messages come from.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::time::SystemTime;

use super::support::{Router, Setup, adt, adts, put};

pub const HL7: &str = "usehl7 = True";

/// A router from the directory `in` to the directory `out`.
pub fn files(input: &str, output: &str) -> Router {
    Setup::new().file_in("in", input).file_out("out", output).start()
}

/// Waits until the directory `in` holds these names only.
#[track_caller]
fn left(router: &Router, expected: &[&str]) {
    router.wait(&format!("only {expected:?}"), || router.dir.list("in") == expected);
}

/// Runs while all files are there from the start.
pub fn given(given: &[(&str, &[u8])], input: &str, output: &str) -> Router {
    let setup = Setup::new().file_in("in", input).file_out("out", output);
    for (name, bytes) in given {
        setup.dir.write(format!("in/{name}"), bytes);
    }
    setup.start()
}

#[test]
fn in_the_order_of_their_names_byte_by_byte() {
    let names = ["f_2.dat", "f_10.dat", "f_1.dat", "F_3.dat", "\u{e4}.dat", "f-1.dat"];
    let all: Vec<(&str, &[u8])> = names.iter().map(|name| (*name, name.as_bytes())).collect();
    for more in ["", "maxfiles = 1", "maxfiles = 4"] {
        let router = given(&all, more, "");
        let found: Vec<String> =
            router.files("out", 6).into_iter().map(|file| String::from_utf8(file).unwrap()).collect();
        assert_eq!(found, ["F_3.dat", "f-1.dat", "f_1.dat", "f_10.dat", "f_2.dat", "\u{e4}.dat"], "{more}");
        left(&router, &[]);
    }
}

#[test]
fn more_files_than_one_look_takes_are_taken_without_a_pause() {
    let messages = adts("A", 200);
    let setup = Setup::new().file_in("in", "maxfiles = 7\ncycletime = 3600\nsettle = 0").file_out("out", "");
    for (number, message) in messages.iter().enumerate() {
        setup.dir.write(format!("in/{number:03}"), message);
    }
    let router = setup.start();
    assert_eq!(router.files("out", 200), messages);
}

#[test]
fn a_look_is_repeated_after_cycletime() {
    let router = files("cycletime = 0.2\nsettle = 0", "");
    put(router.dir.join("in/1"), &adt("A1"));
    router.files("out", 1);
    put(router.dir.join("in/2"), &adt("A2"));
    assert_eq!(router.files("out", 2), [adt("A1"), adt("A2")]);
}

/// Looks after an hour only: what is taken before that was told by the system.
const HOURLY: &str = "cycletime = 3600\nsettle = 0.2";

#[test]
fn a_file_that_is_renamed_linked_or_closed_is_taken_at_once() {
    let router = files(HOURLY, "");
    router.wait_for_log("/in: watched");
    std::fs::write(router.dir.join("in/1"), adt("A1")).unwrap();
    router.files("out", 1);
    put(router.dir.join("in/2"), &adt("A2"));
    router.files("out", 2);
    router.dir.write("elsewhere", adt("A3"));
    std::fs::hard_link(router.dir.join("elsewhere"), router.dir.join("in/3")).unwrap();
    assert_eq!(router.files("out", 3), [adt("A1"), adt("A2"), adt("A3")]);
    left(&router, &[]);
}

#[test]
fn a_renamed_file_is_complete_whatever_settle_says() {
    let router = files("cycletime = 3600\nsettle = 3600\nfilemask = *.hl7", "");
    router.wait_for_log("/in: watched");
    put(router.dir.join("in/1.hl7"), &adt("A1"));
    assert_eq!(router.files("out", 1), [adt("A1")]);
    // Not so what is written in place, nor what does not match.
    put(router.dir.join("in/2.other"), &adt("A2"));
    std::fs::write(router.dir.join("in/9.hl7"), adt("A9")).unwrap();
    put(router.dir.join("in/3.hl7"), &adt("A3"));
    assert_eq!(router.files("out", 2), [adt("A1"), adt("A3")]);
    left(&router, &["2.other", "9.hl7"]);
}

#[test]
fn many_files_that_come_are_all_taken_in_order() {
    let router = files("cycletime = 3600\nsettle = 3600\nmaxfiles = 10", "");
    let messages = adts("A", 500);
    router.wait_for_log("/in: watched");
    for (number, message) in messages.iter().enumerate() {
        put(router.dir.join(format!("in/{number:03}")), message);
    }
    let mut taken = router.files("out", 500);
    taken.sort();
    assert_eq!(taken, messages);
    left(&router, &[]);
}

#[test]
fn a_directory_that_goes_and_comes_back_is_watched_again() {
    let router = files(HOURLY, "");
    let watched = |times: usize| {
        router.wait(&format!("watched, {times}"), || router.log().matches("/in: watched").count() == times);
    };
    watched(1);
    std::fs::remove_dir(router.dir.join("in")).unwrap();
    router.wait_for_log("No such file or directory");
    router.dir.make("in");
    watched(2);
    put(router.dir.join("in/1"), &adt("A1"));
    router.files("out", 1);
    // Another one in its place, with a file in it.
    let new = router.dir.make("new");
    put(new.join("2"), &adt("A2"));
    std::fs::rename(router.dir.join("in"), router.dir.join("old")).unwrap();
    std::fs::rename(new, router.dir.join("in")).unwrap();
    router.files("out", 2);
    put(router.dir.join("in/3"), &adt("A3"));
    assert_eq!(router.files("out", 3), [adt("A1"), adt("A2"), adt("A3")]);
}

#[test]
fn where_nothing_can_be_watched_it_is_looked_as_before() {
    // A user namespace has a limit of its own.
    let limit = "echo 0 > /proc/sys/user/max_inotify_instances";
    let tried = std::process::Command::new("unshare").args(["-U", "-r", "sh", "-c", limit]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        return protogen_testkit::not_tested("no user namespace");
    }
    let setup = Setup::new().file_in("in", "cycletime = 0.2\nsettle = 0").file_out("out", "");
    let plain = setup.command().command();
    let script = format!("{limit}; exec \"$0\" \"$@\"");
    let arguments = ["-U", "-r", "sh", "-c", &script].map(std::ffi::OsStr::new);
    let arguments = arguments.into_iter().chain([plain.get_program()]).chain(plain.get_args());
    let command = protogen_testkit::TestCommand::new("unshare").args(arguments).in_dir(setup.dir.path());
    let router = setup.start_with(&command);
    let line = router.wait_for_log("cannot be watched");
    assert!(
        line.ends_with("raise fs.inotify.max_user_instances (sysctl); it is looked into every 0.2 s"),
        "{line}"
    );
    put(router.dir.join("in/1"), &adt("A1"));
    router.files("out", 1);
    put(router.dir.join("in/2"), &adt("A2"));
    router.files("out", 2);
    assert_eq!(router.log().matches("cannot be watched").count(), 1);
}

#[test]
fn a_file_is_taken_when_it_is_complete() {
    let router = files("settle = 0.6", "");
    // Written bit by bit, with pauses shorter than that.
    let message = adt("SLOW");
    let path = router.dir.join("in/1");
    for end in (10..message.len()).step_by(10).chain([message.len()]) {
        std::fs::write(&path, &message[..end]).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(60));
    }
    assert_eq!(router.files("out", 1), [message]);
    // With a time in the future too.
    let file = std::fs::File::create(router.dir.join("in/2")).unwrap();
    std::fs::write(router.dir.join("in/2"), adt("FUTURE")).unwrap();
    file.set_modified(SystemTime::now() + std::time::Duration::from_secs(100_000)).unwrap();
    assert_eq!(router.files("out", 2)[1], adt("FUTURE"));
}

#[test]
fn a_renamed_file_is_taken_at_once_and_a_hidden_one_never() {
    let setup = Setup::new().file_in("in", "settle = 3600\ncycletime = 0.1").file_out("out", "");
    let old = SystemTime::now() - std::time::Duration::from_secs(4000);
    let router = setup.start();
    for name in [".1.tmp", ".hidden"] {
        let path = router.dir.write(format!("in/{name}"), adt("A1"));
        std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
    }
    std::fs::rename(router.dir.join("in/.1.tmp"), router.dir.join("in/1")).unwrap();
    assert_eq!(router.files("out", 1), [adt("A1")]);
    left(&router, &[".hidden"]);
}

#[test]
fn a_file_that_is_still_written_holds_back_those_behind_it() {
    let setup = Setup::new().file_in("in", "settle = 3600\ncycletime = 0.1").file_out("out", "");
    let old = SystemTime::now() - std::time::Duration::from_secs(4000);
    for name in ["1", "2", "3"] {
        let path = setup.dir.write(format!("in/{name}"), adt(name));
        if name != "2" {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(old).unwrap();
        }
    }
    let router = setup.start();
    assert_eq!(router.files("out", 1), [adt("1")]);
    left(&router, &["2", "3"]);
}

#[test]
fn only_files_that_match_and_nothing_but_files() {
    let setup = Setup::new().file_in("in", "filemask = tokis_*_[a-c]?.hl7").file_out("out", "");
    for name in ["tokis_1_a1.hl7", "TOKIS_1_a1.hl7", "tokis_1_d1.hl7", "tokis_1_a1.hl7.tmp", "other"] {
        setup.dir.write(format!("in/{name}"), name);
    }
    setup.dir.make("in/tokis_2_a1.hl7");
    setup.dir.write("outside", "not to be read");
    symlink(setup.dir.join("outside"), setup.dir.join("in/tokis_3_a1.hl7")).unwrap();
    let fifo =
        std::process::Command::new("mkfifo").arg(setup.dir.join("in/tokis_4_a1.hl7")).status().unwrap();
    assert!(fifo.success());
    setup.dir.write("in/tokis_5_b2.hl7", "last");
    let router = setup.start();
    assert_eq!(router.files("out", 2), [b"tokis_1_a1.hl7".as_slice(), b"last"]);
    left(
        &router,
        &[
            "TOKIS_1_a1.hl7",
            "other",
            "tokis_1_a1.hl7.tmp",
            "tokis_1_d1.hl7",
            "tokis_2_a1.hl7",
            "tokis_3_a1.hl7",
            "tokis_4_a1.hl7",
        ],
    );
}

#[test]
fn files_that_hold_no_message_are_moved_away_and_named() {
    let long = vec![b'x'; 2000];
    let given_files: [(&str, &[u8]); 4] = [("1", b""), ("2", b"good"), ("3", &long), ("4", b"\n")];
    let router = given(&given_files, "maxsize = 1K\nnewline = True", "");
    assert_eq!(router.files("out", 1), [b"good"]);
    left(&router, &["error"]);
    assert_eq!(router.dir.list("in/error"), ["1", "3", "4"]);
    assert_eq!(router.dir.read("in/error/3"), long);
    for (name, why) in
        [("1", "the file is empty"), ("3", "longer than 1024 bytes"), ("4", "the file is empty")]
    {
        let line = router.wait_for_log(&format!("in/{name}: {why}; moved to "));
        assert!(line.contains(" - in - ERROR - ") && line.ends_with(&format!("in/error/{name}")), "{line}");
    }
    // A second one of the name does not take the first one's place.
    router.dir.write("in/3", vec![b'y'; 3000]);
    router.wait("the second one", || router.dir.list("in/error").len() == 4);
    assert_eq!(router.dir.list("in/error"), ["1", "3", "3.1", "4"]);
    assert_eq!(router.dir.read("in/error/3"), long);
}

#[test]
fn files_that_are_set_aside_do_not_hold_up_those_behind_them() {
    let setup = Setup::new().file_in("in", "maxfiles = 3\ncycletime = 3600\nsettle = 0\nmaxsize = 1K");
    for number in 0..7 {
        setup.dir.write(format!("in/{number}"), vec![b'x'; 2000]);
    }
    setup.dir.write("in/8", adt("A8"));
    setup.dir.write("in/9", adt("A9"));
    let router = setup.file_out("out", "").start();
    assert_eq!(router.files("out", 2), [adt("A8"), adt("A9")]);
    left(&router, &["error"]);
    assert_eq!(router.dir.list("in/error").len(), 7);
}

#[test]
fn errordir_may_be_another_directory() {
    let setup = Setup::new().file_in("in", "errordir = bad").file_out("out", "");
    setup.dir.make("bad");
    setup.dir.write("in/1", "");
    let router = setup.start();
    router.wait("the file", || router.dir.list("bad") == ["1"]);
    left(&router, &[]);
}

#[test]
fn one_line_feed_is_taken_off_and_put_on() {
    let all: [(&str, &[u8]); 5] =
        [("1", b"a\r\n"), ("2", b"b\n\n"), ("3", b"c\r"), ("4", b"d"), ("5", b"\ne\n")];
    let contents = |input: &str, output: &str| given(&all, input, output).files("out", 5);
    let unchanged: Vec<Vec<u8>> = all.iter().map(|(_, bytes)| bytes.to_vec()).collect();
    assert_eq!(contents("", ""), unchanged);
    assert_eq!(contents("newline = True", ""), [b"a\r".as_slice(), b"b\n", b"c\r", b"d", b"\ne"]);
    assert_eq!(
        contents("", "newline = True"),
        [b"a\r\n\n".as_slice(), b"b\n\n\n", b"c\r\n", b"d\n", b"\ne\n\n"]
    );
    assert_eq!(
        contents("newline = True", "newline = True"),
        [b"a\r\n".as_slice(), b"b\n\n", b"c\r\n", b"d\n", b"\ne\n"]
    );
}

/// A router without a capability, so that modes of files count for it.
pub fn without_privileges(setup: Setup) -> Router {
    let command = setup.command();
    let program = env!("CARGO_BIN_EXE_socketreader");
    let plain = protogen_testkit::TestCommand::new("setpriv")
        .args(["--bounding-set=-all", "--inh-caps=-all", program, "-c", "sr.cfg"])
        .in_dir(setup.dir.path());
    drop(command);
    setup.start_with(&plain)
}

pub fn chmod(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_file_that_may_not_be_read_is_moved_away() {
    let setup = Setup::new().file_in("in", "").file_out("out", "");
    chmod(&setup.dir.write("in/1", "secret"), 0);
    setup.dir.write("in/2", "good");
    let router = without_privileges(setup);
    assert_eq!(router.files("out", 1), [b"good"]);
    left(&router, &["error"]);
    assert_eq!(router.dir.list("in/error"), ["1"]);
}

#[test]
fn a_file_that_cannot_be_deleted_is_taken_once_and_its_successor_too() {
    let router = without_privileges(Setup::new().file_in("in", "").file_out("out", ""));
    let directory = router.dir.join("in");
    std::fs::write(directory.join("1"), "one").unwrap();
    chmod(&directory, 0o555);
    assert_eq!(router.files("out", 1), [b"one"]);
    let line = router.wait_for_log("stored, but cannot be deleted");
    assert!(line.contains("in - ERROR - ") && line.ends_with("; delete it"), "{line}");
    chmod(&directory, 0o755);
    // Another one goes by: it was looked at again by then, and not taken twice.
    std::fs::write(directory.join("0"), "two").unwrap();
    assert_eq!(router.files("out", 2)[1], b"two");
    assert_eq!(router.dir.list("in"), ["1"]);
    // The site deletes it, and its sender uses the name again.
    std::fs::remove_file(directory.join("1")).unwrap();
    put(directory.join("1"), b"three");
    assert_eq!(router.files("out", 3)[2], b"three");
    left(&router, &[]);
}

#[test]
fn a_message_may_be_as_long_as_maxsize_says() {
    // Longer than segments allow as a rule: what the connection takes, the journal takes.
    let router = files("maxsize = 20M", "");
    let message = vec![b'x'; 17 << 20];
    put(router.dir.join("in/1"), &message);
    assert!(router.files("out", 1)[0] == message);
    left(&router, &[]);
}

#[test]
fn an_input_directory_that_vanishes_and_comes_back() {
    let router = files("", "");
    std::fs::remove_dir(router.dir.join("in")).unwrap();
    let line = router.wait_for_log("No such file or directory");
    assert!(line.contains("in - ERROR - ") && line.contains("tried again in 1 s"), "{line}");
    router.dir.make("in");
    put(router.dir.join("in/1"), &adt("A"));
    assert_eq!(router.files("out", 1), [adt("A")]);
}

#[test]
fn a_file_that_can_be_read_at_last_is_taken() {
    let setup = Setup::new().file_in("in", "errordir = bad").file_out("out", "");
    let bad = setup.dir.make("bad");
    let router = without_privileges(setup);
    chmod(&bad, 0o555);
    chmod(&router.dir.write("in/.1", "one"), 0);
    std::fs::rename(router.dir.join("in/.1"), router.dir.join("in/1")).unwrap();
    let line = router.wait_for_log("cannot be moved away");
    assert!(line.contains("in - ERROR - ") && line.ends_with("it is left"), "{line}");
    chmod(&router.dir.join("in/1"), 0o644);
    assert_eq!(router.files("out", 1), [b"one"]);
    left(&router, &[]);
    chmod(&bad, 0o755);
}
