//! Starting, ending, and what may go wrong with both.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use protogen_testkit::daemon::Signal;

use super::support::{Peer, Router, Setup, acknowledgment, adt, adts, control_id, frame, verdict};
use crate::support::socketreader;

const HL7: &str = "usehl7 = True";

#[test]
fn sigterm_finishes_what_is_in_flight_and_stores_the_rest() {
    let receiver = Peer::listen();
    let mut router = Setup::new()
        .server_in("in", HL7)
        .client_out("out", receiver.port(), HL7)
        .file_out("files", "")
        .start();
    let (mut input, mut output) = (router.connect("in"), receiver.accept());
    let messages = adts("A", 50);
    for message in &messages {
        input.exchange(message, &format!("AA {}", control_id(message)));
    }
    assert_eq!(output.frame(), messages[0]);
    router.daemon.signal(Signal::SIGTERM);
    router.wait_for_log("general - INFO - ending");
    // It still waits for the answer to what it has sent, and sends nothing more.
    output.send(&acknowledgment(&messages[0], "AA"));
    output.closed();
    assert_eq!(router.daemon.wait_for_exit().code(), Some(0), "{}", router.daemon);
    assert!(router.log().contains("out - INFO - message 1 delivered"), "{}", router.log());
    assert!(router.log().trim_end().ends_with("general - INFO - ended"), "{}", router.log());
    router.restart();
    let mut output = receiver.accept();
    for message in &messages[1..] {
        assert_eq!(output.take(), *message);
    }
    router.wait_for_log("message 50 delivered");
    assert_eq!(router.files("files", 50), messages, "no file twice");
    router.end();
}

#[test]
fn every_message_that_is_stored_at_sigterm_is_answered() {
    let mut router = Setup::new().server_in("in", HL7).file_out("out", "").start();
    let messages = adts("A", 2000);
    let mut input = router.connect("in");
    let (mut stream, bytes) = (input.stream.try_clone().unwrap(), messages.iter().flat_map(|m| frame(m)));
    let bytes: Vec<u8> = bytes.collect();
    // It may close before all is written.
    let writer = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stream, &bytes)));
    let mut answered = Vec::new();
    let mut terminated = false;
    while let Ok(answer) = input.try_frame() {
        answered.push(verdict(&answer));
        if !terminated {
            router.daemon.signal(Signal::SIGTERM);
            terminated = true;
        }
    }
    writer.join().unwrap();
    assert_eq!(router.daemon.wait_for_exit().code(), Some(0), "{}", router.daemon);
    let expected: Vec<String> =
        messages.iter().take(answered.len()).map(|message| format!("AA {}", control_id(message))).collect();
    assert_eq!(answered, expected);
    router.restart();
    // An answer may be lost with its connection; a message that was answered may not.
    router.wait("all that was answered", || router.dir.list("out").len() >= answered.len());
    router.end();
    let count = router.dir.list("out").len();
    assert_eq!(router.files("out", count), messages[..count]);
}

#[test]
fn a_receiver_that_hangs_does_not_hold_up_the_end() {
    let receiver = Peer::listen();
    let mut router = Setup::new().server_in("in", HL7).client_out("out", receiver.port(), HL7).start();
    router.connect("in").exchange(&adt("A"), "AA A");
    let mut output = receiver.accept();
    assert_eq!(output.frame(), adt("A"));
    router.end();
    assert!(router.log().contains("not all answers came in time; what they concern is sent again"));
    router.restart();
    assert_eq!(receiver.accept().take(), adt("A"));
}

#[test]
fn sigint_ends_it_as_well() {
    let mut router = Setup::new().server_in("in", HL7).file_out("out", "").start();
    router.daemon.signal(Signal::SIGINT);
    assert_eq!(router.daemon.wait_for_exit().code(), Some(0));
}

#[test]
fn sighup_opens_the_log_again() {
    let router = Setup::new().server_in("in", HL7).file_out("out", "").start();
    let mut input = router.connect("in");
    input.exchange(&adt("OLD"), "AA OLD");
    router.wait_for_log("message 1 written");
    std::fs::rename(router.dir.join("log"), router.dir.join("log.1")).unwrap();
    router.daemon.signal(Signal::SIGHUP);
    router.wait("a new log", || router.dir.join("log").exists());
    input.exchange(&adt("NEW"), "AA NEW");
    router.wait_for_log("NEW");
    assert!(router.dir.text("log.1").contains("OLD") && !router.log().contains("OLD"));
    assert!(!router.dir.text("log.1").contains("NEW"));
    assert_eq!(router.dir.join("log").metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// Runs a configuration that cannot be started; gives standard error.
#[track_caller]
fn refused(setup: &Setup, status: i32) -> String {
    let output = setup.command().run();
    output.code(status);
    output.stderr()
}

#[test]
fn a_busy_port_is_named_and_nothing_is_begun() {
    let setup =
        Setup::new().server_in("in", HL7).server_in("in2", HL7).file_in("files", "").file_out("out", "");
    setup.dir.write("files/1", adt("A"));
    let _busy = TcpListener::bind(("127.0.0.1", setup.port("in2"))).unwrap();
    let expected = format!("[in2]: 127.0.0.1:{}: another program listens here already", setup.port("in2"));
    assert_eq!(refused(&setup, 75), format!("socketreader: {expected}\n"));
    assert!(setup.dir.text("log").ends_with(&format!(" - general - CRITICAL - {expected}\n")));
    assert!(!setup.dir.join("state").exists());
    assert_eq!(setup.dir.list("files"), ["1"]);
}

#[test]
fn a_state_directory_that_cannot_be_used_is_named() {
    let setup = Setup::new().server_in("in", HL7).file_out("out", "").general("statedir = missing/state");
    let line = refused(&setup, 2);
    assert!(
        line.contains("[general] statedir ") && line.contains("to be made: its directory: there is no such"),
        "{line}"
    );
    let setup = Setup::new().server_in("in", HL7).file_out("out", "");
    setup.dir.write("state/journal", "not a directory");
    let line = refused(&setup, 75);
    assert!(line.contains("state/journal: cannot make: "), "{line}");
    let setup = Setup::new().server_in("in", HL7).file_out("out", "");
    setup.dir.write("state/names", "not a directory");
    let line = refused(&setup, 75);
    assert!(line.contains("state/names: "), "{line}");
    assert_eq!(setup.dir.list("out"), [""; 0]);
}

#[test]
fn a_second_instance_on_the_same_state_is_refused() {
    let router = Setup::new().server_in("in", HL7).file_out("out", "").start();
    let second = Setup::new()
        .server_in("in", HL7)
        .file_in("files", "")
        .file_out("out", "")
        .general(&format!("statedir = {}", router.dir.join("state").display()));
    second.dir.write("files/1", adt("A"));
    let line = refused(&second, 75);
    let pid = router.daemon.pid().to_string();
    assert!(
        line.contains("state/journal") && line.contains(&pid) && line.contains("stop that process"),
        "{line}"
    );
    assert_eq!(second.dir.list("files"), ["1"]);
    router.connect("in").exchange(&adt("A"), "AA A");
    assert_eq!(router.files("out", 1), [adt("A")]);
}

#[test]
fn the_configuration_is_looked_for_in_the_working_directory() {
    let setup = Setup::new().server_in("in", HL7).file_out("out", "");
    let _ = setup.command();
    std::fs::rename(setup.dir.join("sr.cfg"), setup.dir.join("socketReader.cfg")).unwrap();
    let command = socketreader().in_dir(setup.dir.path());
    let router: Router = setup.start_with(&command);
    router.connect("in").exchange(&adt("A"), "AA A");
    let empty = protogen_testkit::Dir::new();
    let output = socketreader().in_dir(empty.path()).run();
    output.code(2).stderr_contains("socketreader: socketReader.cfg: ");
}

#[test]
fn version_and_help() {
    let version = format!("socketreader {}\n", env!("CARGO_PKG_VERSION"));
    socketreader().arg("--version").run().success().stdout_is(version);
    for option in ["-h", "--help"] {
        let output = socketreader().arg(option).run();
        output.success().stdout_contains("--configfile <FILE>");
        assert!(output.stdout().lines().count() <= 24, "{output}");
    }
    let output = socketreader().arg("--configfil").run();
    output.code(2).stderr_contains("--configfile");
}
