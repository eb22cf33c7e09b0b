//! `hl7 send` and `hl7 listen` with other people's programs at the other end.

use crate::support::{data, free_port, hl7, listen, node, peer, python, top};
use protogen_testkit::{Daemon, TestCommand};

/// Starts a server that prints "listening" once it does.
fn serve(command: TestCommand, port: u16) -> Daemon {
    let daemon = Daemon::launch(&command.arg(port.to_string()).env("PYTHONUNBUFFERED", "1"));
    daemon.wait_for_stdout("listening");
    daemon
}

fn send(port: u16, arguments: &[&str]) -> TestCommand {
    let files = ["hl7/adt.hl7", "hl7/oru.hl7", "hl7/latin1.hl7"].map(data);
    hl7().args(["send", "127.0.0.1", &port.to_string()]).args(arguments).args(files)
}

#[test]
fn python_hl7s_server() {
    let port = free_port();
    let server = serve(python().arg(peer("hl7_server.py")), port);
    // It decodes UTF-8 only, so the Latin-1 message stays at home.
    let files = ["hl7/adt.hl7", "hl7/oru.hl7"].map(data);
    let output = hl7().args(["send", "127.0.0.1", &port.to_string()]).args(files).run();
    output.success().stdout_contains("MSA|AA|A000174\n").stdout_contains("MSA|AA|L2026112000417\n");
    server.wait_for_stdout("received L2026112000417");
    let load = hl7().args(["send", "127.0.0.1", &port.to_string(), "--count", "50", "--connections", "2"]);
    load.arg(data("hl7/adt.hl7")).run().success().stdout_contains("answered  50  AA 50\n");
}

#[test]
fn node_hl7_server() {
    let port = free_port();
    let server = serve(node().arg(peer("node_server.mjs")), port);
    // On a connection that stays it delivers what came before once more with each message.
    let output = send(port, &["--transient"]).run();
    assert_eq!(output.success().stdout().matches("MSA|AA|").count(), 3, "{output}");
    assert_eq!(server.stdout().matches("received").count(), 3);
}

#[test]
fn hl7apys_server() {
    let port = free_port();
    let server = serve(python().arg(peer("hl7apy_server.py")), port);
    // It takes one message a connection and closes it: a second one may or may not reach it before that.
    let files = ["hl7/adt.hl7", "hl7/oru.hl7"].map(data);
    let output = hl7().args(["send", "127.0.0.1", &port.to_string(), "--transient"]).args(files).run();
    assert_eq!(output.success().stdout().matches("MSA|AA|").count(), 2, "{output}");
    server.wait_for_stdout("received L2026112000417");
}

#[test]
fn python_hl7s_client() {
    let (mut daemon, port) = listen(&["--count", "1"]);
    let program = top().join("tests/peers/.venv/bin/mllp_send");
    let file = data("hl7/adt.hl7");
    let output = TestCommand::new(program)
        .args(["-p", &port.to_string(), "--loose", "--file"])
        .arg(file)
        .arg("127.0.0.1")
        .run();
    output.success().stdout_contains("MSA|AA|A000174");
    assert!(daemon.wait_for_exit().success());
    assert!(daemon.stdout().contains("PID|1||1234567^5^M11||Doe^John^Q^III"));
}

#[test]
fn node_hl7_client() {
    let (mut daemon, port) = listen(&["--count", "1"]);
    let output =
        node().arg(peer("node_client.mjs")).args([&port.to_string(), "2.2"]).arg(data("hl7/adt.hl7")).run();
    output.success().stdout_is("AA A000174\n");
    assert!(daemon.wait_for_exit().success());
}
