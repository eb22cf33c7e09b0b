use super::TWO;
use crate::support::{data, hl7, listen};
use protogen_testkit::daemon::Signal;
use protogen_testkit::peer::{Peer, Step};
use protogen_testkit::{Dir, TestCommand};

fn send_to(port: u16) -> TestCommand {
    hl7().args(["send", "127.0.0.1", &port.to_string()])
}

fn connect(port: u16, script: Vec<Step>) -> Peer {
    Peer::connect(([127, 0, 0, 1], port).into(), script)
}

#[test]
fn messages_on_standard_output_and_lines_about_them_on_standard_error() {
    let (mut daemon, port) = listen(&["--count", "2"]);
    send_to(port).stdin(TWO).run().success();
    assert!(daemon.wait_for_exit().success());
    assert_eq!(daemon.stdout(), hl7().arg("cat").stdin(TWO).run().stdout());
    let told = daemon.stderr();
    assert!(told.contains("ADT^A01 \"1\", 58 bytes: AA\n") && told.contains("ADT^A08 \"2\", "), "{told}");
    assert!(
        told.ends_with("hl7: 2 messages received\n") && !told.contains("Doe"),
        "nothing of the patient: {told}"
    );
}

#[test]
fn spooled_messages_are_files_of_their_own() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Dir::new();
    let spool = directory.make("spool");
    let (mut daemon, port) = listen(&["--spool", spool.to_str().unwrap(), "--count", "2"]);
    send_to(port).stdin(TWO).run().success();
    assert!(daemon.wait_for_exit().success());
    let names = directory.list("spool");
    assert_eq!(names.len(), 2, "{names:?}");
    let files: Vec<_> = names.iter().map(|name| spool.join(name)).collect();
    hl7().args(["get", "MSH-10"]).args(&files).run().success().stdout_is("1\n2\n");
    assert!(files.iter().all(|file| file.metadata().unwrap().permissions().mode() & 0o777 == 0o600));
    assert_eq!(daemon.stdout(), "");
}

#[test]
fn what_cannot_be_spooled_is_answered_try_later() {
    let directory = Dir::new();
    let spool = directory.make("spool");
    let (daemon, port) = listen(&["--spool", spool.to_str().unwrap()]);
    std::fs::remove_dir(&spool).unwrap();
    let output = send_to(port).stdin(TWO).run();
    output.code(1).stdout_contains("MSA|AR|1|not stored, try later\n");
    daemon.wait_for_stderr("the message was not stored");
    hl7().args(["listen", "--spool", "no/such", "0"]).run().code(2).stderr_contains("no/such");
}

#[test]
fn answers_as_told() {
    for (arguments, code, told) in [
        (&[][..], 0, "MSA|AA|1\n"),
        (&["--ack", "AE", "--text", "no bed"], 1, "MSA|AE|1|no bed\n"),
        (&["--ack", "ca"], 0, "MSA|CA|1\n"),
    ] {
        let (_daemon, port) = listen(arguments);
        send_to(port)
            .stdin("MSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\r")
            .run()
            .code(code)
            .stdout_contains(told);
    }
    let (daemon, port) = listen(&["--ack", "none"]);
    send_to(port).args(["--timeout", "0.05"]).stdin(TWO).run().code(75).stderr_contains("no answer within");
    daemon.wait_for_stderr("no answer");
    hl7()
        .args(["listen", "--ack", "YY", "0"])
        .run()
        .code(2)
        .stderr_contains("expected AA, AE, AR, CA, CE or CR, auto or none");
}

#[test]
fn a_delayed_answer_comes_in_order() {
    let (_daemon, port) = listen(&["--delay", "0.01"]);
    let output = send_to(port).args(["--count", "20", "--pipeline", "20"]).arg(data("hl7/adt.hl7")).run();
    output.success().stdout_contains("answered  20  AA 20");
    // A client that closes its half behind its message is answered all the same.
    let message = b"\x0BMSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\r\x1C\r".to_vec();
    let script = vec![
        Step::Send(message),
        Step::HalfClose,
        Step::ReadUntil(b"MSA|AA|1\r\x1C\r".into()),
        Step::ExpectEnd,
    ];
    connect(port, script).finish();
}

#[test]
fn dropped_messages_are_counted_exactly() {
    let (daemon, port) = listen(&["--drop", "50"]);
    for code in [0, 75, 0, 75] {
        send_to(port).stdin("MSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\r").run().code(code);
    }
    daemon.wait_for_stderr("message dropped, connection closed");
}

#[test]
fn strange_input_is_told_and_the_next_message_is_answered() {
    let (daemon, port) = listen(&[]);
    let good = b"\x0BMSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\r\x1C\r".to_vec();
    let answered = || Step::ReadUntil(b"MSA|AA|1\r\x1C\r".to_vec());
    let script = vec![
        Step::Send(b"junk".into()),
        Step::SendSlowly(good.clone()),
        answered(),
        Step::Send(b"\x0Bhello\x1C\r".into()),
        Step::Send(b"\x0BMSH|\r\x1C\r".into()),
        Step::ReadUntil(b"MSA|AR||MSH-2 is empty at byte 4, expected encoding characters such as \\S\\\\R\\\\E\\\\T\\\r\x1C\r".into()),
        Step::Send(good),
        answered(),
        Step::HalfClose,
        Step::ExpectEnd,
    ];
    connect(port, script).finish();
    daemon.wait_for_stderr("bytes outside of any frame at byte 0, 4 bytes dropped");
    daemon.wait_for_stderr("5 bytes that are no message: no answer");
}

#[test]
fn connections_are_bounded() {
    let (daemon, port) = listen(&["--connections", "1"]);
    let message = b"\x0BMSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\r\x1C\r".to_vec();
    let first = connect(
        port,
        vec![
            Step::Send(message),
            Step::ReadUntil(b"\x1C\r".into()),
            Step::WaitForTest,
            Step::HalfClose,
            Step::ExpectEnd,
        ],
    );
    daemon.wait_for_stderr(": AA");
    send_to(port).stdin(TWO).run().code(75);
    daemon.wait_for_stderr("refused, 1 connections are open; see --connections");
    first.go_on();
    first.finish();
}

#[test]
fn signals_end_it() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let (mut daemon, _) = listen(&[]);
        daemon.signal(signal);
        assert!(daemon.wait_for_exit().success());
        assert!(daemon.states().iter().any(|state| state == "READY=1"));
    }
}

#[test]
fn it_listens_on_loopback_only_unless_told() {
    let (daemon, _) = listen(&["--host", "localhost"]);
    daemon.wait_for_stderr("listening on ");
    let told = daemon.stderr();
    assert!(told.contains("listening on 127.0.0.1:") || told.contains("listening on [::1]:"), "{told}");
    let (daemon, _) = listen(&["--host", "0.0.0.0"]);
    daemon.wait_for_stderr("listening on 0.0.0.0:");
}

#[test]
fn a_busy_port_is_named() {
    let (_daemon, port) = listen(&[]);
    let output = hl7().args(["listen", "--host", "127.0.0.1", &port.to_string()]).run();
    output.code(2).stderr_contains(&format!("127.0.0.1:{port}")).stderr_contains("in use");
}
