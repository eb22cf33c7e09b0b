use super::TWO;
use crate::support::{data, free_port, hl7, listen};
use protogen_testkit::TestCommand;
use protogen_testkit::peer::{Peer, Step};

const ONE: &str = "MSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\rPID|1\r";

fn framed(text: &str) -> Vec<u8> {
    format!("\x0B{text}\x1C\r").into_bytes()
}

fn answer(code: &str, id: &str) -> Vec<u8> {
    framed(&format!("MSH|^~\\&|C|D|A|B|2026||ACK|9|P|2.3\rMSA|{code}|{id}\r"))
}

fn send(peer: &Peer) -> TestCommand {
    send_to(peer.address().port())
}

fn send_to(port: u16) -> TestCommand {
    hl7().args(["send", "127.0.0.1", &port.to_string()])
}

/// A peer that answers one message so.
fn one_answer(bytes: Vec<u8>) -> Peer {
    Peer::listen(vec![Step::Expect(framed(ONE)), Step::Send(bytes), Step::ExpectEnd])
}

#[test]
fn the_answer_is_printed_for_reading() {
    let peer = one_answer(answer("AA", "1"));
    let output = send(&peer).stdin(ONE).run();
    output.success().stdout_is("MSH|^~\\&|C|D|A|B|2026||ACK|9|P|2.3\nMSA|AA|1\n").stderr_is("");
    peer.finish();
    let peer = one_answer(answer("CA", "1"));
    send(&peer).arg("--raw").stdin(ONE).run().success().stdout_is(answer("CA", "1"));
    peer.finish();
}

#[test]
fn a_negative_answer_is_status_1() {
    for code in ["AE", "AR", "CE", "CR", "XX"] {
        let peer = one_answer(answer(code, "1"));
        send(&peer).stdin(ONE).run().code(1).stdout_contains(&format!("MSA|{code}|1\n"));
        peer.finish();
    }
}

#[test]
fn messages_wait_for_each_other() {
    let (first, second) = TWO.split_at(TWO.rfind("MSH").unwrap());
    let second = format!("{second}\r");
    let peer = Peer::listen(vec![
        Step::Expect(framed(first)),
        Step::SendSlowly(answer("AA", "1")),
        Step::Expect(framed(&second)),
        Step::Send(answer("AA", "2")),
        Step::ExpectEnd,
    ]);
    let output = send(&peer).stdin(TWO).run();
    assert_eq!(output.success().stdout().matches("MSA|AA|").count(), 2);
    peer.finish();
}

#[test]
fn an_answer_to_another_message_is_told_and_does_not_count() {
    let peer = Peer::listen(vec![
        Step::Expect(framed(ONE)),
        Step::Send([answer("AA", "7"), answer("AA", "1")].concat()),
        Step::ExpectEnd,
    ]);
    let output = send(&peer).stdin(ONE).run();
    output.code(1).stderr_is("hl7: an answer names \"7\", expected \"1\"\n");
    peer.finish();
    // An answer that names none belongs to the message that waits.
    let peer = one_answer(answer("AA", ""));
    send(&peer).stdin(ONE).run().success();
    peer.finish();
}

#[test]
fn no_answer_is_status_75() {
    let peer = Peer::listen(vec![Step::Expect(framed(ONE)), Step::Close]);
    let output = send(&peer).stdin(ONE).run();
    output.code(75).stderr_contains("message \"1\": the receiver closed the connection without an answer");
    peer.finish();
    let peer = Peer::listen(vec![Step::Expect(framed(ONE)), Step::ExpectEnd]);
    let output = send(&peer).args(["--timeout", "0.05"]).stdin(ONE).run();
    output.code(75).stderr_contains("message \"1\": no answer within 0.05 s");
    peer.finish();
    let port = free_port();
    let output = send_to(port).stdin(ONE).run();
    output.code(75).stderr_contains(&format!("hl7: 127.0.0.1:{port}: cannot connect: Connection refused"));
}

#[test]
fn a_peer_that_closes_after_each_answer_gets_a_connection_for_each_message() {
    let (first, second) = TWO.split_at(TWO.rfind("MSH").unwrap());
    let script = |first: &str, second: &str| {
        vec![
            Step::Expect(framed(first)),
            Step::Send(answer("AA", "1")),
            Step::Close,
            Step::Expect(framed(&format!("{second}\r"))),
            Step::Send(answer("AA", "2")),
            Step::Close,
        ]
    };
    let peer = Peer::listen(script(first, second));
    send(&peer).arg("--transient").stdin(TWO).run().success();
    peer.finish();
}

#[test]
fn without_waiting_for_answers() {
    let peer = Peer::listen(vec![Step::Expect(framed(ONE)), Step::ExpectEnd]);
    send(&peer).arg("--no-answer").stdin(ONE).run().success().stdout_is("");
    peer.finish();
    let output = send_to(9).args(["--no-answer", "--illp"]).stdin(ONE).run();
    output.code(2).stderr_is("hl7: --no-answer does not go with ILLP, where the answer ends the exchange\n");
}

#[test]
fn illp_has_its_connection_id() {
    let reply = "MSH|^~\\&|C|D|A|B|2026||ACK|9|P|2.3\rMSA|AA|1\r";
    let script = |token: &str| {
        vec![
            Step::Expect(format!("{token}{ONE}").into_bytes()),
            Step::ExpectEnd,
            Step::Send(reply.into()),
            Step::Close,
        ]
    };
    let peer = Peer::listen(script(""));
    send(&peer).arg("--illp").stdin(ONE).run().success().stdout_contains("MSA|AA|1\n");
    peer.finish();
    let peer = Peer::listen(script("abl\x02"));
    send(&peer).args(["--illp", "--cid", "abl"]).stdin(ONE).run().success();
    peer.finish();
    let peer = Peer::listen(script("env\x02"));
    send(&peer).arg("--illp").env("PG_CID", "env").stdin(ONE).run().success();
    peer.finish();
    let output = send_to(9).args(["--cid", "abl"]).stdin(ONE).run();
    output.code(2).stderr_is("hl7: --cid goes with --illp: MLLP has no connection id\n");
    send_to(9).args(["--illp", "--cid", "a b"]).stdin(ONE).run().code(2).stderr_contains("token");
}

#[test]
fn release_2_commits_both_ways() {
    let (ack, message) = (b"\x0B\x06\x1C\r".to_vec(), framed(ONE));
    let peer = Peer::listen(vec![
        Step::Expect(message),
        Step::Send(ack.clone()),
        Step::Send(answer("AA", "1")),
        Step::Expect(ack.clone()),
        Step::ExpectEnd,
    ]);
    send(&peer).arg("--mllp2").stdin(ONE).run().success().stdout_contains("MSA|AA|1\n");
    peer.finish();
    let peer = Peer::listen(vec![Step::Expect(framed(ONE)), Step::Send(ack), Step::ExpectEnd]);
    send(&peer).args(["--mllp2", "--no-answer"]).stdin(ONE).run().success();
    peer.finish();
}

#[test]
fn each_protocol_with_our_own_listener() {
    for protocol in ["--mllp", "--mllp2", "--hllp", "--illp"] {
        let (mut daemon, port) = listen(&[protocol, "--count", "3"]);
        let output = send_to(port)
            .arg(protocol)
            .args([data("hl7/adt.hl7"), data("hl7/oru.hl7"), data("hl7/nmd.hl7")])
            .run();
        assert_eq!(output.success().stdout().matches("\nMSA|").count(), 3, "{protocol}\n{output}");
        assert!(daemon.wait_for_exit().success(), "{protocol}");
        let received = hl7().args(["get", "MSH-10"]).stdin(daemon.stdout()).run();
        received.success().stdout_is("A000174\nL2026112000417\nN1\n");
    }
}

#[test]
fn a_load_is_reported() {
    for protocol in ["--mllp", "--mllp2", "--hllp", "--illp"] {
        let (mut daemon, port) = listen(&[protocol, "--quiet", "--count", "200"]);
        let file = data("hl7/adt.hl7");
        let command =
            send_to(port).arg(protocol).args(["--count", "200", "--connections", "4", "--json"]).arg(&file);
        let report: serde_json::Value = serde_json::from_str(&command.run().success().stdout()).unwrap();
        assert_eq!(
            (report["sent"].as_u64(), report["answers"]["AA"].as_u64()),
            (Some(200), Some(200)),
            "{protocol}"
        );
        assert_eq!((report["mismatches"].as_u64(), report["failed"].as_u64()), (Some(0), Some(0)));
        assert!(
            report["latency_ms"]["p99"].as_f64().unwrap() > 0.0
                && report["messages_per_second"].as_f64().unwrap() > 0.0
        );
        assert!(daemon.wait_for_exit().success());
    }
}

#[test]
fn each_message_of_a_load_has_an_id_of_its_own() {
    let (mut daemon, port) = listen(&["--count", "30"]);
    let command =
        send_to(port).args(["--count", "30", "--pipeline", "5", "--rate", "5000"]).arg(data("hl7/adt.hl7"));
    command.run().success().stdout_contains("answered  30  AA 30\n").stdout_contains("latency   p50 ");
    assert!(daemon.wait_for_exit().success());
    let ids = hl7().args(["get", "MSH-10"]).stdin(daemon.stdout()).run().success().stdout();
    let mut ids: Vec<&str> = ids.lines().collect();
    assert!(ids.iter().all(|id| id.len() <= 20), "{ids:?}");
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 30);
    let (mut daemon, port) = listen(&["--count", "2"]);
    send_to(port).args(["--count", "2", "--keep-ids"]).arg(data("hl7/adt.hl7")).run().success();
    assert!(daemon.wait_for_exit().success());
    assert_eq!(daemon.stdout().matches("|A000174|").count(), 2);
}

#[test]
fn a_load_that_breaks_off_is_reported_too() {
    let (_daemon, port) = listen(&["--drop", "10"]);
    let output = send_to(port).args(["--count", "50"]).arg(data("hl7/adt.hl7")).run();
    output
        .code(75)
        .stdout_contains("answered  9  AA 9\nat fault  0 answers to other messages, 1 messages failed\n");
    output.stderr_contains("the receiver closed the connection without an answer");
}

#[test]
fn what_cannot_be_sent() {
    let output = send_to(9).stdin("MSH|\r").run();
    output.code(1).stderr_contains("MSH-2 is empty");
    let (_daemon, port) = listen(&[]);
    let output = send_to(port).stdin("MSH|^~\\&|A|||||||1\rNTE|a\x1Cb\r").run();
    output.code(2).stderr_contains("message \"1\": byte 0x1c at offset 24 cannot be sent with this protocol");
    for (arguments, cause) in [
        (&["--pipeline", "2", "--hllp"][..], "--pipeline does not go with HLLP"),
        (&["--pipeline", "2", "--transient"], "--pipeline does not go with --transient"),
        (&["--timeout", "0"], "expected 0.001 to 86400 seconds"),
        (&["--rate", "0"], "expected 0.001 to 10000000"),
        (&["--mllp", "--illp"], "cannot be used with"),
    ] {
        send_to(9).args(arguments).stdin(ONE).run().code(2).stderr_contains(cause);
    }
    let output = hl7().args(["send", "127.0.0.1", "nosuchservice"]).stdin(ONE).run();
    output.code(2).stderr_contains("nosuchservice");
}
