use std::os::unix::net::UnixDatagram;

use protogen_sys::log::{Facility, Log, Setup, printable};
use protogen_testkit::{Dir, TestCommand};

use super::served;

fn log_to(dir: &Dir) -> TestCommand {
    TestCommand::new(served()).args(["log", "devlog"]).in_dir(dir.path())
}

/// Every record that waits in the socket.
fn records(socket: &UnixDatagram) -> Vec<String> {
    socket.set_nonblocking(true).unwrap();
    let mut record = [0; 16384];
    std::iter::from_fn(|| {
        socket.recv(&mut record).ok().map(|count| String::from_utf8_lossy(&record[..count]).into())
    })
    .map(|record: String| record.replace(|c: char| c.is_ascii_digit(), "9"))
    .collect()
}

#[test]
fn without_a_terminal_records_go_to_syslog() {
    let dir = Dir::new();
    let socket = UnixDatagram::bind(dir.join("devlog")).unwrap();
    log_to(&dir).run().success().stderr_is("");
    socket.set_nonblocking(true).unwrap();
    let mut record = [0; 1024];
    let count = socket.recv(&mut record).unwrap();
    let first = String::from_utf8_lossy(&record[..count]);
    assert!(first.starts_with("<131>served["), "local0 and error: {first}");
    assert!(first.ends_with("]: an error of\\nthree \\u{1b}[2J lines"), "one line: {first}");
    let pid_free = |record: &str| record.split_once("]: ").unwrap().1.to_owned();
    let rest: Vec<String> = records(&socket).iter().map(|record| pid_free(record)).collect();
    assert_eq!(rest, ["warning: a warning", "a note"]);
}

#[test]
fn rust_log_and_the_facility_are_settable() {
    let dir = Dir::new();
    let socket = UnixDatagram::bind(dir.join("devlog")).unwrap();
    log_to(&dir).env("RUST_LOG", "debug").env("FACILITY", "daemon").run().success();
    socket.set_nonblocking(true).unwrap();
    let mut record = [0; 1024];
    let heads: Vec<String> = std::iter::from_fn(|| {
        socket.recv(&mut record).ok().map(|_| String::from_utf8_lossy(&record[..4]).into_owned())
    })
    .collect();
    assert_eq!(heads, ["<27>", "<28>", "<30>", "<31>"]);
    log_to(&dir).env("RUST_LOG", "error").run().success();
    assert_eq!(records(&socket).len(), 1);
    log_to(&dir)
        .env("FACILITY", "kernel")
        .run()
        .code(2)
        .stderr_contains("choose user, daemon or local0 to local7");
}

#[test]
fn without_a_log_daemon_records_go_to_standard_error() {
    let dir = Dir::new();
    let output = log_to(&dir).run();
    output.success();
    let lines: Vec<String> = output.stderr().lines().map(|line| line.replace(char::is_numeric, "")).collect();
    assert_eq!(
        lines,
        [r"served[]: an error of\nthree \u{b}[J lines", "served[]: warning: a warning", "served[]: a note"]
    );
}

#[test]
fn a_log_file_that_cannot_be_opened_again_leaves_the_old_one_in_use() {
    let dir = Dir::new();
    dir.make("logs");
    let path = dir.join("logs/run");
    let log: Log = Setup::new("test").filter(None).file(Some(&path)).install().unwrap();
    log::warn!("one\rtwo");
    std::fs::rename(dir.join("logs"), dir.join("elsewhere")).unwrap();
    let error = log.reopen().unwrap_err();
    assert!(error.to_string().contains("logs/run: cannot open the log: No such file"), "{error}");
    log::warn!("three");
    let text = dir.text("elsewhere/run");
    let lines: Vec<&str> = text.lines().map(|line| line.split_once("]: ").unwrap().1).collect();
    assert_eq!(lines, [r"warn: one\rtwo", "warn: three"]);
    assert!(
        Setup::new("test").file(Some(&dir.join("elsewhere/run"))).install().is_err(),
        "one logger a process"
    );
}

#[test]
fn a_programs_own_format_and_what_is_printable() {
    // The setup is only built here: a process has one logger, and another test installs it.
    let _ = Setup::new("test").format(Box::new(|out, record| writeln!(out, "{}", record.args())));
    assert_eq!(printable(&format_args!("ü\t{}", "\u{9b}31m")), "ü\\t\\u{9b}31m");
    assert_eq!("local7".parse::<Facility>().map(|f| f == Facility::default()), Ok(false));
}
