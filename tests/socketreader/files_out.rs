//! Directories that messages go to.

use std::os::unix::fs::PermissionsExt;
use std::time::SystemTime;

use super::files::{HL7, chmod, files, given, without_privileges};
use super::support::{Router, Setup, adt, adts, control_id, put};

/// Asserts that a name is a prefix, a time, a count and a suffix.
#[track_caller]
fn has_form(name: &str, prefix: &str, count: usize, suffix: &str) {
    let rest = name
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_suffix(suffix))
        .unwrap_or_else(|| panic!("{name}"));
    let (time, number) = rest.split_once('_').unwrap_or_else(|| panic!("{name}"));
    assert!(
        time.len() == 14 && time.starts_with("20") && time.bytes().all(|byte| byte.is_ascii_digit()),
        "{name}"
    );
    assert!(number.len() == 5 && number.parse::<usize>().is_ok_and(|found| found <= count), "{name}");
}

#[test]
fn names_of_files_out() {
    for (options, prefix, suffix) in [
        ("", "", ".dat"),
        ("suffix = .hl7", "", ".hl7"),
        ("suffix = \"\"", "", ""),
        ("prefix = \"LAB-\"\nsuffix = x", "LAB-", "x"),
        ("usehl7 = True\nhl7prefix = True", "LAB_L_ADT_A_ADT_", ".dat"),
    ] {
        let all: Vec<(String, Vec<u8>)> = adts("A", 70)
            .into_iter()
            .enumerate()
            .map(|(number, message)| (format!("{number:03}"), message))
            .collect();
        let given_files: Vec<(&str, &[u8])> =
            all.iter().map(|(name, message)| (name.as_str(), message.as_slice())).collect();
        let router = given(&given_files, "", options);
        let names = router.names("out", 70);
        names.iter().for_each(|name| has_form(name, prefix, 69, suffix));
        assert_eq!(router.files("out", 70), adts("A", 70));
    }
}

#[test]
fn a_message_that_is_no_hl7_gets_no_hl7prefix_and_a_warning() {
    let router = given(
        &[("1", b"hello"), ("2", b"MSH|^~\\&|../..|a/b|C D^2||||ORU^R01|1\r")],
        "",
        "usehl7 = True\nhl7prefix = True",
    );
    let names = router.names("out", 2);
    assert!(
        names
            .iter()
            .any(|name| name.starts_with("--..._a-b_C-D__ORU_") || name.starts_with("-.-.._a-b_C-D__ORU_")),
        "{names:?}"
    );
    let plain = names.iter().find(|name| name.starts_with("20")).unwrap();
    has_form(plain, "", 1, ".dat");
    assert_eq!(router.dir.text(format!("out/{plain}")), "hello");
    let line = router.wait_for_log("is not HL7");
    assert!(line.contains(" - out - WARNING - message 1 "), "{line}");
}

#[test]
fn modes_of_files_out() {
    let mode = |router: &Router| {
        let name = router.names("out", 1).remove(0);
        router.dir.join(format!("out/{name}")).metadata().unwrap().permissions().mode() & 0o7777
    };
    assert_eq!(mode(&given(&[("1", b"x")], "", "filemode = 0640")), 0o640);
    assert_eq!(mode(&given(&[("1", b"x")], "", "filemode = 604")), 0o604);
    for (mask, expected) in [("022", 0o644), ("077", 0o600), ("002", 0o664)] {
        let setup = Setup::new().file_in("in", "").file_out("out", "");
        setup.dir.write("in/1", "x");
        let _ = setup.command();
        let script = format!("umask {mask}; exec {} -c sr.cfg", env!("CARGO_BIN_EXE_socketreader"));
        let command = protogen_testkit::TestCommand::new("sh").args(["-c", &script]).in_dir(setup.dir.path());
        assert_eq!(mode(&setup.start_with(&command)), expected, "{mask}");
    }
}

#[test]
fn a_file_of_somebody_else_is_never_overwritten() {
    let setup = Setup::new().server_in("in", HL7).file_out("out", "");
    // Whatever name the first message of the next minutes would get is taken.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    for second in now..now + 120 {
        let output = std::process::Command::new("date")
            .args(["-d", &format!("@{second}"), "+%Y%m%d%H%M%S"])
            .output()
            .unwrap();
        let time = String::from_utf8(output.stdout).unwrap();
        setup.dir.write(format!("out/{}_00000.dat", time.trim()), "theirs");
    }
    let router = setup.start();
    let mut input = router.connect("in");
    for number in 0..5 {
        let id = format!("A{number}");
        input.exchange(&adt(&id), &format!("AA {id}"));
    }
    let files = router.files("out", 125);
    let ours: Vec<Vec<u8>> = files.into_iter().filter(|file| file != b"theirs").collect();
    assert_eq!(ours, (0..5).map(|number| adt(&format!("A{number}"))).collect::<Vec<_>>());
}

#[test]
fn a_file_has_its_name_only_when_it_is_whole() {
    // A reader that looks all the time sees no temporary file under a name it would take, and none that is cut.
    let router = files("settle = 0\ncycletime = 0.1\nmaxfiles = 1000", "suffix = .hl7");
    let message = [adt("A"), vec![b'x'; 100_000]].concat();
    for number in 0..200 {
        put(router.dir.join(format!("in/{number:03}")), &message);
    }
    let mut seen = 0;
    router.wait("200 files", || {
        let names: Vec<String> =
            router.dir.list("out").into_iter().filter(|name| !name.starts_with('.')).collect();
        for name in &names[seen..] {
            assert!(name.ends_with(".hl7"), "{name}");
            assert!(router.dir.read(format!("out/{name}")) == message, "{name}");
        }
        seen = names.len();
        seen == 200
    });
}

#[test]
fn an_output_directory_that_vanishes_and_comes_back() {
    let mut router = Setup::new().server_in("in", HL7).file_out("out", "").file_out("other", "").start();
    let mut input = router.connect("in");
    let messages = adts("A", 40);
    for message in &messages[..20] {
        input.exchange(message, &format!("AA {}", control_id(message)));
    }
    assert_eq!(router.files("out", 20), messages[..20]);
    std::fs::rename(router.dir.join("out"), router.dir.join("gone")).unwrap();
    for message in &messages[20..] {
        input.exchange(message, &format!("AA {}", control_id(message)));
    }
    let line = router.wait_for_log("the directory is missing, make it again; tried again");
    assert!(line.contains(" - out - ERROR - "), "{line}");
    assert_eq!(router.files("other", 40), messages, "the other output goes on");
    router.dir.make("out");
    assert_eq!(router.files("out", 20), messages[20..]);
    router.end();
    router.restart();
    router.end();
    assert_eq!(router.files("out", 20), messages[20..], "no message twice");
}

#[test]
fn what_was_placed_in_a_directory_that_is_lost_is_written_again() {
    let router = without_privileges(Setup::new().file_in("in", "").file_out("out", ""));
    // Files can be made in it, but it cannot be opened and synced: nothing is recorded as delivered.
    chmod(&router.dir.join("out"), 0o333);
    put(router.dir.join("in/1"), b"one");
    router.wait_for_log("tried again");
    assert_eq!(router.files("out", 1), [b"one"]);
    std::fs::remove_dir_all(router.dir.join("out")).unwrap();
    router.dir.make("out");
    assert_eq!(router.files("out", 1), [b"one"]);
    router.wait_for_log("message 1 written");
}

#[test]
fn what_was_placed_is_not_placed_twice() {
    let router = without_privileges(Setup::new().file_in("in", "").file_out("out", ""));
    put(router.dir.join("in/1"), b"one");
    assert_eq!(router.files("out", 1), [b"one"]);
    router.wait_for_log("message 1 written");
    // The next one is put in place, and not recorded.
    chmod(&router.dir.join("out"), 0o333);
    put(router.dir.join("in/2"), b"two");
    router.wait_for_log("tried again");
    router.ask(&["--resend", "out", "1"]).success();
    chmod(&router.dir.join("out"), 0o755);
    router.wait_for_log("message 2 written");
    put(router.dir.join("in/3"), b"three");
    assert_eq!(router.files("out", 4), [&b"one"[..], b"two", b"one", b"three"]);
}

#[test]
fn temporary_files_of_a_killed_run_are_removed_and_no_others() {
    let setup = Setup::new().server_in("in", "").file_out("out", "prefix = lab-");
    let age = |name: &str, seconds: u64| {
        let path = setup.dir.write(format!("out/{name}"), "left");
        let time = SystemTime::now() - std::time::Duration::from_secs(seconds);
        std::fs::File::options().write(true).open(path).unwrap().set_modified(time).unwrap();
    };
    age(".lab-20260101000000_00001.dat.tmp", 601);
    age(".lab-20260101000000_00002.dat.tmp", 30);
    age(".other-20260101000000_00001.dat.tmp", 601);
    age("lab-20260101000000_00003.dat", 601);
    let mut router = setup.start();
    router.wait("the old one to go", || router.dir.list("out").len() == 3);
    router.wait_for_log("1 temporary files of an earlier run were removed");
    router.end();
    let left = [
        ".lab-20260101000000_00002.dat.tmp",
        ".other-20260101000000_00001.dat.tmp",
        "lab-20260101000000_00003.dat",
    ];
    assert_eq!(router.dir.list("out"), left);
}
