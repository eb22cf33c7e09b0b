//! Filters: which messages an outgoing connection gets, and how the others are accounted for.

use serde_json::Value;

use super::site::Site;
use super::support::{Peer, Router, Setup, adt, adts, control_id};
use crate::support::hl7;

const MLLP: &str = "usehl7 = True";

/// What `--queues --json` says about a connection.
pub fn queue(router: &Router, name: &str) -> Value {
    let found = router.command.clone().args(["--queues", "--json"]).run();
    let found: Value = serde_json::from_str(&found.stdout()).unwrap();
    found["queues"].as_array().unwrap().iter().find(|row| row["connection"] == name).unwrap().clone()
}

/// Waits until a connection has settled so many messages, and asserts that the account is closed: accepted and sent
/// again is delivered, dead, dropped and waiting.
#[track_caller]
pub fn settled(router: &Router, name: &str, count: u64) -> Value {
    let number = |row: &Value, name: &str| row[name].as_u64().unwrap();
    let mut row = Value::Null;
    router.wait(&format!("{count} settled of {name}"), || {
        row = queue(router, name);
        let gone = number(&row, "delivered") + number(&row, "dead") + number(&row, "dropped");
        assert_eq!(
            number(&row, "accepted") + number(&row, "resent"),
            gone + number(&row, "pending"),
            "{row}"
        );
        assert!(number(&row, "filtered") <= number(&row, "dropped"), "{row}");
        gone == count
    });
    row
}

/// An observation with this control id.
fn oru(id: &str) -> Vec<u8> {
    format!(
        "MSH|^~\\&|LAB|L|ADT|A|20260101||ORU^R01|{id}|P|2.3\rPID|1||{id}^^^KIS||Doe^Jane\rOBX|1|NM|a||1\r"
    )
    .into_bytes()
}

#[test]
fn each_output_gets_what_its_filter_wants_in_order() {
    let receiver = Peer::listen();
    let router = Setup::new()
        .server_in("in", MLLP)
        .file_out("adt", "filter = MSH-9.1 == ADT")
        .client_out("oru", receiver.port(), "usehl7 = True\nfilter = MSH-9.1 == ORU\n   and OBX-5")
        .file_out("all", "")
        .start();
    let (mut link, mut far) = (router.connect("in"), receiver.accept());
    let mut sent = Vec::new();
    for number in 0..40 {
        let id = format!("M{number:03}");
        let message = if number % 3 == 0 { oru(&id) } else { adt(&id) };
        link.exchange(&message, &format!("AA {id}"));
        sent.push(message);
    }
    let ours: Vec<Vec<u8>> = sent.iter().step_by(3).cloned().collect();
    let taken: Vec<Vec<u8>> = ours.iter().map(|_| far.take()).collect();
    assert_eq!(taken, ours, "byte for byte");
    let others: Vec<Vec<u8>> = sent.iter().filter(|message| !ours.contains(message)).cloned().collect();
    assert_eq!(router.files("adt", others.len()), others);
    assert_eq!(router.files("all", 40), sent);
    let row = settled(&router, "oru", 40);
    assert_eq!((row["delivered"].as_u64(), row["filtered"].as_u64()), (Some(14), Some(26)));
    let row = settled(&router, "adt", 40);
    assert_eq!((row["delivered"].as_u64(), row["filtered"].as_u64()), (Some(26), Some(14)));
    assert_eq!(settled(&router, "all", 40)["filtered"], 0);
}

#[test]
fn what_is_not_wanted_needs_no_receiver_and_overtakes_nothing() {
    let receiver = Peer::listen();
    let port = receiver.port();
    drop(receiver);
    let router = Setup::new()
        .server_in("in", MLLP)
        .server_in("elsewhere", "usehl7 = True\nqueuename = other")
        .file_out("copy", "queuename = other")
        .client_out("out", port, "usehl7 = True\nfilter = not PID-3.1 ^= X")
        .start();
    let (mut link, mut other) = (router.connect("in"), router.connect("elsewhere"));
    // Far more than are read ahead, with messages of another queue between them.
    for message in adts("X", 300) {
        link.exchange(&message, &format!("AA {}", control_id(&message)));
        other.exchange(&message, &format!("AA {}", control_id(&message)));
    }
    assert_eq!(settled(&router, "out", 300)["filtered"], 300);
    // One waits: those behind it wait too, and nothing is remembered of them.
    link.exchange(&adt("A1"), "AA A1");
    for message in adts("Y", 1).into_iter().chain(adts("X", 100)) {
        link.exchange(&message, &format!("AA {}", control_id(&message)));
    }
    assert_eq!(settled(&router, "out", 300)["pending"], 102);
    let receiver = Peer::listen_on(port);
    let mut far = receiver.accept();
    assert_eq!((far.take(), far.take()), (adt("A1"), adt("Y000")));
    let row = settled(&router, "out", 402);
    assert_eq!((row["filtered"].as_u64(), row["delivered"].as_u64()), (Some(400), Some(2)));
}

#[test]
fn what_is_not_hl7_does_not_match() {
    let router = Setup::new()
        .file_in("in", "settle = 0")
        .file_out("out", "filter = not PID-3.1 == X")
        .file_out("all", "")
        .start();
    super::support::put(router.dir.join("in/1"), b"no message");
    super::support::put(router.dir.join("in/2"), &adt("A1"));
    assert_eq!(router.files("all", 2), [b"no message".to_vec(), adt("A1")]);
    assert_eq!(router.files("out", 1), [adt("A1")]);
    assert_eq!(settled(&router, "out", 2)["filtered"], 1);
}

#[test]
fn operators_see_it_and_can_send_it_after_all_also_after_a_kill() {
    let mut router = Setup::new()
        .general("statedir = home/var/socketreader")
        .server_in("in", MLLP)
        .file_out("out", "filter = MSH-9.1 == ORU")
        .start_in("home/var");
    let home = router.dir.join("home");
    router.connect("in").exchange(&adt("T1"), "AA T1");
    settled(&router, "out", 1);
    let ask = |router: &Router, arguments: &[&str]| router.command.clone().args(arguments).run();
    ask(&router, &["--queues"]).success().stdout_contains("out: 1 message was not for it.\n");
    ask(&router, &["--show", "out", "1"])
        .success()
        .stdout_contains("  filtered  ")
        .stdout_contains("not delivered:\n  its filter does not match\n");
    ask(&router, &["--show", "out"]).code(1);
    hl7()
        .args(["trace", "T1"])
        .env("PG_HOME", &home)
        .run()
        .success()
        .stdout_contains("not for out: its filter does not match\n")
        .stdout_contains("T1: not for out (its filter does not match)\n");
    router.daemon.kill_9();
    router.restart();
    assert_eq!(settled(&router, "out", 1)["filtered"], 1, "what was written is not judged again");
    ask(&router, &["--resend", "out", "1"]).success();
    assert_eq!(router.files("out", 1), [adt("T1")]);
    let row = settled(&router, "out", 2);
    assert_eq!((row["resent"].as_u64(), row["delivered"].as_u64()), (Some(1), Some(1)));
    router.end();
}

#[test]
fn followers_are_told() {
    use std::io::{BufRead, BufReader};
    let router = Setup::new().server_in("in", MLLP).file_out("out", "filter = MSH-9.1 == ORU").start();
    let mut following = router.command.clone().arg("--follow").command();
    let mut child = following.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    router.wait_for_log("is following");
    router.connect("in").exchange(&adt("F1"), "AA F1");
    let line = lines.next().unwrap().unwrap();
    assert!(line.starts_with("F1 ADT^A01 in -> out filtered "), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_fault_of_a_filter_is_named_with_its_line_and_character() {
    for (filter, complaint) in [
        ("MSH-9.1 = ADT", "filter = MSH-9.1 = ADT: character 9: \"=\" is no comparison, expected ==, !=, ^="),
        ("PID-5.1 == van Doe", "character 16: \"Doe\" follows a whole condition"),
        ("(MSH-9.1 == ADT", "character 1: this ( is not closed"),
        ("pid-3", "character 1: no place in a message: expected a segment name"),
    ] {
        let site = Site::new(&format!("out: filter = {filter}"));
        let line = site.line("out", &format!("filter = {filter}"));
        site.check()
            .code(2)
            .stderr_contains(&format!("socketreader: c.cfg:{line}: [out] "))
            .stderr_contains(complaint);
    }
    Site::new("out: filter = MSH-9.1 == ADT\nout:   and PV1-2 == ").check().code(2).stderr_contains(
        "its line 2, character 13: the end, expected a value; \"\" stands for an empty one, '\"\"' for HL7's null",
    );
    Site::new("out: filter = MSH-9.1 in (ADT, 'ORU') and\nout:   (PV1-2 != O or not PV1)")
        .check()
        .success()
        .stderr_is("");
    Site::new("in: filter = PID")
        .check()
        .success()
        .stderr_contains("filter has no effect on an incoming socket");
    Site::new("top: [DEFAULT]\ntop: filter = PID").check().success().stderr_is("");
}

#[test]
fn a_repeat_is_not_delivered_also_after_a_kill() {
    let mut router = Setup::new()
        .server_in("in", MLLP)
        .server_in("twin", MLLP)
        .file_out("out", "dedupe = 3600\nfilter = MSH-9.1 == ADT")
        .file_out("all", "")
        .start();
    let (mut link, mut twin) = (router.connect("in"), router.connect("twin"));
    let other = [adt("A1"), b"NTE|1\r".to_vec()].concat();
    for message in [adt("A1"), adt("A2"), adt("A1"), oru("A1"), oru("A1"), other.clone(), adt("A2")] {
        link.exchange(&message, &format!("AA {}", control_id(&message)));
    }
    twin.exchange(&adt("A1"), "AA A1");
    assert_eq!(router.files("all", 8).len(), 8, "of this output only");
    let row = settled(&router, "out", 8);
    assert_eq!((row["delivered"].as_u64(), row["filtered"].as_u64()), (Some(3), Some(5)));
    assert_eq!(router.files("out", 3), [adt("A1"), adt("A2"), other]);
    let show = router.command.clone().args(["--show", "out", "3"]).run();
    show.success().stdout_contains("not delivered:\n  repeats message 1\n");
    router.daemon.kill_9();
    router.restart();
    let mut link = router.connect("in");
    for message in [adt("A2"), adt("A3"), adt("A3")] {
        link.exchange(&message, &format!("AA {}", control_id(&message)));
    }
    let row = settled(&router, "out", 11);
    assert_eq!((row["delivered"].as_u64(), row["filtered"].as_u64()), (Some(4), Some(7)));
    router.end();
}

#[test]
fn what_an_operator_dropped_or_resends_makes_no_repeat() {
    let receiver = Peer::listen();
    let router = Setup::new()
        .server_in("in", MLLP)
        .client_out("out", receiver.port(), "usehl7 = True\ndedupe = 60")
        .start();
    let ask = |arguments: &[&str]| router.command.clone().args(arguments).run().success().stdout();
    ask(&["--pause", "out"]);
    let mut link = router.connect("in");
    for id in ["A1", "A2", "A1", "A2"] {
        link.exchange(&adt(id), &format!("AA {id}"));
    }
    ask(&["--drop", "out", "1"]);
    ask(&["--resume", "out"]);
    let mut far = receiver.accept();
    assert_eq!((far.take(), far.take()), (adt("A2"), adt("A1")), "the second A1 stands for the first");
    assert_eq!(settled(&router, "out", 4)["filtered"], 1);
    ask(&["--resend", "out", "2"]);
    assert_eq!(far.take(), adt("A2"));
    settled(&router, "out", 5);
}

#[test]
fn outside_of_the_window_all_are_delivered() {
    let router =
        Setup::new().server_in("in", MLLP).file_out("out", "dedupe = 0.001").file_out("all", "").start();
    let mut link = router.connect("in");
    link.exchange(&adt("A1"), "AA A1");
    // Not more than once in a millisecond.
    router.files("out", 1);
    let begun = std::time::Instant::now();
    router.wait("two milliseconds", || begun.elapsed().as_millis() > 2);
    link.exchange(&adt("A1"), "AA A1");
    router.files("out", 2);
    assert_eq!(settled(&router, "all", 2)["filtered"], 0);
}
