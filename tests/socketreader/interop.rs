//! With other people's programs at the other end: python-hl7, hl7apy, node-hl7-server and node-hl7-client.

use protogen_testkit::{Daemon, TestCommand};

use super::support::{Router, Setup, adts, control_id, port};
use crate::support::{data, node, peer, python, top};

/// Starts a server that prints "listening" once it does.
fn serve(command: TestCommand, port: u16) -> Daemon {
    let daemon = Daemon::launch(&command.arg(port.to_string()).env("PYTHONUNBUFFERED", "1"));
    daemon.wait_for_stdout("listening");
    daemon
}

/// A router that brings `messages` to a server on this port.
fn router_to(port: u16, messages: &[Vec<u8>]) -> Router {
    let setup =
        Setup::new().file_in("in", "settle = 0").client_out("out", port, "usehl7 = True\ntimeout = 20");
    for (number, message) in messages.iter().enumerate() {
        setup.dir.write(format!("in/{number:03}"), message);
    }
    setup.start()
}

/// Our samples that are UTF-8, then more.
fn messages(count: usize) -> Vec<Vec<u8>> {
    let samples = ["hl7/adt.hl7", "hl7/oru.hl7"].map(|name| std::fs::read(data(name)).unwrap());
    samples.into_iter().chain(adts("A", count - 2)).collect()
}

/// The control ids that a server printed.
fn received(server: &Daemon) -> Vec<String> {
    let text = server.stdout();
    text.lines().filter_map(|line| line.strip_prefix("received ").map(str::to_owned)).collect()
}

/// The ids in the order in which they came first.
fn first_of_each(ids: &[String]) -> Vec<String> {
    let mut first: Vec<String> = Vec::new();
    for id in ids {
        if !first.contains(id) {
            first.push(id.clone());
        }
    }
    first
}

fn ids(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|message| control_id(message)).collect()
}

#[test]
fn to_python_hl7s_server() {
    let port = port();
    let mut server = serve(python().arg(peer("hl7_server.py")), port);
    let messages = messages(20);
    let mut router = router_to(port, &messages);
    router.wait_for_log("message 20 delivered");
    router.end();
    assert_eq!(received(&server), ids(&messages), "each once, on one connection");
    assert!(!router.log().contains(" - ERROR - "), "{}", router.log());
    // It goes away, and comes back.
    server.kill_9();
    router.restart();
    router.dir.write("in/x", &adts("B", 1)[0]);
    router.wait_for_log("cannot connect");
    let server = serve(python().arg(peer("hl7_server.py")), port);
    router.wait_for_log("message 21 delivered");
    assert_eq!(received(&server), ["B000"]);
}

#[test]
fn to_node_hl7_server_which_delivers_what_came_before_once_more() {
    let port = port();
    let server = serve(node().arg(peer("node_server.mjs")), port);
    let messages = messages(5);
    let mut router = router_to(port, &messages);
    router.wait_for_log("message 5 delivered");
    router.end();
    let received = received(&server);
    assert_eq!(first_of_each(&received), ids(&messages), "all, in order");
    // On a connection that stays it hands its program the earlier messages again, and answers those again: such
    // answers are recognized, and credited to no other message.
    assert!(received.len() > 5, "it has been mended: {received:?}");
    assert!(router.log().contains("a later AA for a message delivered before"), "{}", router.log());
    assert!(!router.log().contains("sent again"), "{}", router.log());
}

#[test]
fn to_hl7apys_server_which_closes_after_each_answer() {
    let port = port();
    let server = serve(python().arg(peer("hl7apy_server.py")), port);
    let messages = messages(5);
    let mut router = router_to(port, &messages);
    router.wait_for_log("message 5 delivered");
    router.end();
    // A message that was on its way when it closed is sent again on the next connection, at once.
    assert_eq!(first_of_each(&received(&server)), ids(&messages), "all, in order");
    assert!(router.log().matches("out - INFO - 127.0.0.1:").count() >= 5, "{}", router.log());
}

/// A router that takes messages, on each of the two ways to acknowledge them.
fn router_from(options: &str) -> Router {
    Setup::new().server_in("in", options).file_out("out", "").start()
}

#[test]
fn from_python_hl7s_client() {
    let router = router_from("usehl7 = True");
    let program = top().join("tests/peers/.venv/bin/mllp_send");
    let port = router.port("in").to_string();
    let arguments = ["-p", &port, "--loose", "--file"];
    let output = TestCommand::new(program).args(arguments).arg(data("hl7/adt.hl7")).arg("127.0.0.1").run();
    output.success().stdout_contains("MSA|AA|A000174");
    // It leaves the last carriage return to the receiver.
    let sample = std::fs::read(data("hl7/adt.hl7")).unwrap();
    assert_eq!(router.files("out", 1), [sample.strip_suffix(b"\r").unwrap()]);
    assert!(!router.log().contains("framing error"), "{}", router.log());
}

#[test]
fn from_node_hl7_client() {
    let router = router_from("usehl7 = True");
    let port = router.port("in").to_string();
    for count in 1..=3 {
        let output = node().arg(peer("node_client.mjs")).args([&port, "2.2"]).arg(data("hl7/adt.hl7")).run();
        output.success().stdout_is("AA A000174\n");
        let sample = std::fs::read(data("hl7/adt.hl7")).unwrap();
        for file in router.files("out", count) {
            assert_eq!(file.strip_suffix(b"\r").unwrap_or(&file), sample.strip_suffix(b"\r").unwrap());
        }
    }
    assert!(!router.log().contains("framing error"), "{}", router.log());
}

#[test]
fn from_one_peers_client_to_the_servers_of_the_others() {
    let [a, b] = [port(), port()];
    let servers =
        [serve(python().arg(peer("hl7_server.py")), a), serve(python().arg(peer("hl7apy_server.py")), b)];
    let router = Setup::new()
        .server_in("in", "usehl7 = True")
        .client_out("out1", a, "usehl7 = True")
        .client_out("out2", b, "usehl7 = True")
        .start();
    let port = router.port("in").to_string();
    let output = node().arg(peer("node_client.mjs")).args([&port, "2.2"]).arg(data("hl7/adt.hl7")).run();
    output.success().stdout_is("AA A000174\n");
    for (server, name) in servers.iter().zip(["out1", "out2"]) {
        server.wait_for_stdout("received A000174");
        router.wait_for_log(&format!("{name} - INFO - message 1 delivered"));
    }
}
