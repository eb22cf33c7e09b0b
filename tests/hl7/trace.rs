//! `hl7 trace`: the account of a message from a router's journal, spool directories, a gateway's journal, and logs.

use protogen_testkit::{Dir, Output};
use serde_json::Value;

use crate::socketreader::support::{Peer, Router, Setup, acknowledgment, adt, adts};
use crate::support::hl7;

fn trace(home: &std::path::Path, key: &str) -> Output {
    hl7().args(["trace", key]).env("PG_HOME", home).run()
}

fn events(home: &std::path::Path, key: &str) -> Vec<String> {
    let output = hl7().args(["trace", "--json", key]).env("PG_HOME", home).run();
    let told: Value = serde_json::from_str(&output.stdout()).unwrap();
    let events = told["events"].as_array().unwrap().iter();
    events
        .filter(|event| event["event"] != "log")
        .map(|event| event["text"].as_str().unwrap().to_owned())
        .collect()
}

/// A router with a spool directory and a receiver behind it, all in `home`.
fn router() -> (Router, Peer) {
    let receiver = Peer::listen();
    let setup = Setup::new();
    let spool = setup.dir.make("home/var/spool/Q");
    setup.dir.make("home/var/log");
    let to_spool = format!("messagedir = {}", spool.display());
    let setup = setup
        .general("statedir = home/var/socketreader\nlogfile = home/var/log/socketreader.log")
        .server_in("in", "usehl7 = True")
        .file_out("spool", &to_spool)
        .client_out("lab", receiver.port(), "usehl7 = True");
    (setup.start(), receiver)
}

/// The name of the only file of a directory.
fn only(dir: &Dir, directory: &str) -> String {
    let names: Vec<String> = dir.list(directory).into_iter().filter(|name| !name.starts_with('.')).collect();
    assert_eq!(names.len(), 1, "{names:?}");
    names[0].clone()
}

#[test]
fn a_message_is_followed_from_hop_to_hop() {
    let (mut router, receiver) = router();
    let home = router.dir.join("home");
    let mut link = receiver.accept();
    router.connect("in").exchange(&adt("T1"), "AA T1");
    let message = link.frame();
    router.wait("spooled", || {
        !router.dir.list("home/var/spool/Q").is_empty() && !events(&home, "T1").is_empty()
    });
    router.wait("written", || events(&home, "T1").iter().any(|text| text.starts_with("written by spool")));
    let name = only(&router.dir, "home/var/spool/Q");
    let output = trace(&home, "T1");
    output.success().stdout_contains("came by in, stored as number 1\n").stdout_contains("waits for lab\n");
    output
        .stdout_contains(&format!("T1: waiting for lab; waiting as {}/var/spool/Q/{name}\n", home.display()));
    link.send(&acknowledgment(&message, "AE"));
    router.wait("a dead letter", || events(&home, "T1").contains(&"dead letter of lab: AE".to_owned()));
    router.end();
    trace(&home, "T1").success().stdout_contains("T1: dead letter of lab; waiting as ");

    // As hl7tocv and cvgateway leave it.
    let dir = &router.dir;
    dir.make("home/var/log/Q");
    std::fs::rename(dir.join(format!("home/var/spool/Q/{name}")), dir.join(format!("home/var/log/Q/{name}")))
        .unwrap();
    dir.write(format!("home/var/log/Q/{name}.ack"), b"MSH|^~\\&|CVGATEWAY\rMSA|AA|T1|admitted\r");
    dir.make("home/var/log/cvgateway/20261123");
    for (kind, contents) in [
        ("REQ", adt("T1")),
        ("FWD", adt("77")),
        ("FAK", b"MSH|^~\\&|CV\rMSA|AA|77\r".to_vec()),
        ("ACK", b"MSH|^~\\&|CVGATEWAY\rMSA|AA|T1|admitted\r".to_vec()),
    ] {
        dir.write(format!("home/var/log/cvgateway/20261123/{kind}20261123T210509.123Z-000001"), contents);
    }
    let told = events(&home, "T1");
    for text in [
        "sent from the spool directory: AA admitted",
        "received by the gateway",
        "sent on to CareVue",
        "answered by CareVue: AA",
        "answered by the gateway: AA admitted",
    ] {
        assert!(told.contains(&text.to_owned()), "{text}: {told:?}");
    }
    trace(&home, "T1").success().stdout_contains(
        "T1: dead letter of lab; sent (AA admitted); handled by the gateway (AA admitted)\n",
    );
    // The router's log names it, and nothing of the message is shown.
    trace(&home, "T1").stdout_contains("socketreader.log: ").stdout_contains("message 1 written as ");
    assert!(!trace(&home, "T1").stdout().contains("Doe"));
}

#[test]
fn what_is_not_accounted_for_is_said() {
    let (mut router, _receiver) = router();
    let home = router.dir.join("home");
    router.connect("in").exchange(&adt("T1"), "AA T1");
    router.wait("spooled", || events(&home, "T1").iter().any(|text| text.starts_with("written by spool")));
    let name = only(&router.dir, "home/var/spool/Q");
    router.end();
    let file = router.dir.join(format!("home/var/spool/Q/{name}"));
    std::fs::remove_file(&file).unwrap();
    let told = format!(
        "T1: UNACCOUNTED FOR: {} is not there any more, and nothing tells why; waiting for lab\n",
        file.display()
    );
    trace(&home, "T1").code(1).stdout_contains(&told);
    // A message of the same id that was taken long before is another one.
    for (kind, contents) in
        [("REQ", adt("T1")), ("ACK", b"MSH|^~\\&|CVGATEWAY\rMSA|AA|T1|admitted\r".to_vec())]
    {
        router.dir.make("home/var/log/cvgateway/20200101");
        let name = format!("home/var/log/cvgateway/20200101/{kind}20200101T000000.000000Z-000009");
        let file = std::fs::File::options().write(true).open(router.dir.write(name, contents)).unwrap();
        file.set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_577_836_800)).unwrap();
    }
    trace(&home, "T1").code(1).stdout_contains("T1: UNACCOUNTED FOR: ");
    // A request without an answer: its sender has it, or nobody.
    router.dir.make("home/var/log/cvgateway");
    let request = router.dir.write("home/var/log/cvgateway/REQ20261123T210509.123Z-000001", adt("T2"));
    trace(&home, "T2")
        .code(1)
        .stdout_contains(&format!("T2: UNACCOUNTED FOR: {} has no answer\n", request.display()));
    router.dir.write("home/var/spool/Q/2", adt("T2"));
    trace(&home, "T2").success().stdout_contains("T2: waiting as ");
    router.dir.write(
        "home/var/spool/Q/.2.neg",
        "2026-11-23T21:05:09Z\nMSH|^~\\&|CVGATEWAY\rMSA|AE|T2|unknown bed\r",
    );
    trace(&home, "T2").success().stdout_contains("T2: refused (AE unknown bed), waiting as ");
    trace(&home, "T3").code(1).stderr_contains("nothing is known of T3 in ");
    // What cannot be read may hold what is missing.
    let segment = router.dir.join("home/var/socketreader/journal/00000000000000000001.seg");
    let mut bytes = std::fs::read(&segment).unwrap();
    let at = bytes.windows(4).position(|four| four == b"MSH|").unwrap();
    bytes[at] = b'?';
    std::fs::write(&segment, bytes).unwrap();
    trace(&home, "T2").code(1).stderr_contains("damaged at byte ");
}

#[test]
fn a_patient_has_all_messages_and_an_id_its_parts() {
    let dir = Dir::new();
    dir.make("var/spool/Q");
    for (number, message) in adts("P", 3).iter().enumerate() {
        dir.write(format!("var/spool/Q/{number}"), message);
    }
    dir.write("var/spool/Q/part", adt("P001.2"));
    dir.write("var/spool/Q/other", adt("P0012"));
    dir.write("var/spool/Q/.3.tmp", adt("P001"));
    let of = |key: &str| {
        let told: Value = serde_json::from_str(
            &hl7().args(["trace", "--json", "--in"]).arg(dir.path()).arg(key).run().stdout(),
        )
        .unwrap();
        let messages = told["messages"].as_array().unwrap().iter();
        messages.map(|message| message["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of("P001"), ["P001", "P001.2"]);
    assert_eq!(of("P002"), ["P002"]);
    // PID-3 of these is the control id.
    std::fs::write(dir.join("var/spool/Q/9"), b"MSH|^~\\&|A|B|C|D|1||ADT^A02|X9|P|2.3\rPID|1||P002^^^KIS\r")
        .unwrap();
    assert_eq!(of("P002"), ["P002", "X9"]);
}

const ACK: &str = "MSH|^~\\&|CVGATEWAY\rMSA|";

#[test]
fn what_hl7tocv_leaves_beside_messages_is_understood() {
    let dir = Dir::new();
    let home = dir.path();
    for directory in ["var/spool/Q", "var/log/Q", "var/log/CVGATEWAY/060_IOP/20261123"] {
        dir.make(directory);
    }
    // A queue that is blocked, and why.
    dir.write("var/spool/Q/1", adt("B1"));
    dir.write("var/spool/Q/.error", "2026-11-23T21:05:09Z\nthe gateway does not answer\n");
    trace(home, "B1")
        .success()
        .stdout_contains(
            "waits in this spool directory, whose queue is blocked: the gateway does not answer\n",
        )
        .stdout_contains(&format!("B1: waiting in a blocked queue as {}/var/spool/Q/1\n", home.display()));
    // A full disk leaves an empty mark.
    dir.write("var/spool/Q/.error", "");
    trace(home, "B1").success().stdout_contains("B1: waiting in a blocked queue as ");
    // Edited, then sent under the same control id; or under another one.
    dir.write("var/log/Q/2.orig", adt("B2"));
    trace(home, "B2")
        .success()
        .stdout_contains("B2: edited by an operator, and gone on under another control id\n");
    dir.write("var/log/Q/2", adt("B2"));
    trace(home, "B2").code(1).stdout_contains("B2: UNACCOUNTED FOR: ");
    dir.write("var/log/Q/2.ack", format!("{ACK}AA|B2|admitted\r"));
    trace(home, "B2").success().stdout_contains("B2: sent (AA admitted)\n");
    dir.write("var/log/Q/2.orig.2", adt("B2"));
    trace(home, "B2").success().stdout_contains("B2: sent (AA admitted)\n");
}

#[test]
fn a_gateway_that_was_killed_has_the_message_again() {
    let dir = Dir::new();
    let home = dir.path();
    let journal = "var/log/CVGATEWAY/060_IOP/20261123";
    dir.make(journal);
    let write = |kind: &str, number: u32, bytes: Vec<u8>| {
        dir.write(format!("{journal}/{kind}20261123T210509.123Z-{number:06}"), bytes);
    };
    write("REQ", 1, adt("G1"));
    write("FWD", 1, adt("G1"));
    trace(home, "G1").code(1).stdout_contains("G1: UNACCOUNTED FOR: ");
    // Sent again, answered "later", sent again, answered.
    write("REQ", 2, adt("G1"));
    write("ACK", 2, format!("{ACK}AR|G1|CareVue unreachable\r").into_bytes());
    trace(home, "G1")
        .success()
        .stdout_contains("G1: put off by the gateway (AR CareVue unreachable), its sender has it\n");
    write("REQ", 3, adt("G1"));
    write("ACK", 3, format!("{ACK}AA|G1|admitted to 601-1\r").into_bytes());
    trace(home, "G1").success().stdout_contains("G1: handled by the gateway (AA admitted to 601-1)\n");
    // Within one step of the file system's clock, in the order of what follows upon what.
    let told = events(home, "G1");
    let place = |text: &str| told.iter().position(|told| told == text).unwrap();
    assert!(place("received by the gateway") < place("sent on to CareVue"), "{told:?}");
    let time = std::fs::FileTimes::new().set_modified(std::time::SystemTime::now());
    for kind in ["ACK", "REQ"] {
        let file = dir.join(format!("{journal}/{kind}20261123T210509.123Z-000003"));
        std::fs::File::options().write(true).open(file).unwrap().set_times(time).unwrap();
    }
    let told = events(home, "G1");
    let end = &told[told.len() - 2..];
    assert_eq!(end, ["received by the gateway", "answered by the gateway: AA admitted to 601-1"]);
    // What a log tells without a time stands behind all, and says so.
    dir.write("var/log/carevue.log", "carevue-sim: ADT^A01 \"G1\", 9 bytes: AA\n");
    let shown = trace(home, "G1").success().stdout();
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[lines.len() - 2].starts_with("-  G1  "), "{shown}");
}

#[test]
fn rotated_logs_are_read() {
    let dir = Dir::new();
    dir.make("var/spool/Q");
    dir.make("var/log");
    dir.write("var/spool/Q/1", adt("L1"));
    let line = |day: u32, text: &str| format!("2026-11-{day} 10:00:00,000 in - INFO - L1 {text}\n");
    let compressed = |text: String| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
        writer.finish().unwrap()
    };
    dir.write("var/log/sr.log", line(25, "now"));
    dir.write("var/log/sr.log.1", line(24, "before"));
    dir.write("var/log/sr.log-20261123", line(23, "by its date"));
    // As two runs of gzip append to one file.
    dir.write(
        "var/log/sr.log.2.gz",
        [compressed(line(21, "first")), compressed(line(22, "second"))].concat(),
    );
    dir.write("var/log/sr.log.old", line(20, "not a log by its name"));
    let told = trace(dir.path(), "L1").success().stdout();
    let lines: Vec<&str> = told.lines().filter_map(|line| Some(line.split_once("INFO - L1 ")?.1)).collect();
    assert_eq!(lines, ["first", "second", "by its date", "before", "now"], "{told}");
    // What is no log inside is said, and the rest is told.
    let broken = dir.write("var/log/sr.log.3.gz", "not compressed");
    let output = trace(dir.path(), "L1");
    output.code(1).stdout_contains("L1 now").stderr_contains(&format!("{}: ", broken.display()));
}

#[test]
fn links_are_followed_once() {
    let (dir, disk) = (Dir::new(), Dir::new());
    disk.make("spool");
    disk.write("spool/1", adt("K1"));
    disk.write("sr", "2026-11-25 10:00:00,000 in - INFO - K1 taken\n");
    dir.make("var/log");
    let link = |to: &std::path::Path, name: &str| std::os::unix::fs::symlink(to, dir.join(name)).unwrap();
    link(&disk.join("spool"), "var/spool");
    link(&disk.join("sr"), "var/log/sr.log");
    // The same again, and one that leads in a circle.
    link(&disk.join("spool"), "var/again");
    link(dir.path(), "var/log/home");
    link(&disk.join("sr"), "var/log/sr.log.1");
    let told = trace(dir.path(), "K1").success().stdout();
    assert_eq!(told.matches("waits in this spool directory").count(), 1, "{told}");
    assert_eq!(told.matches("K1 taken").count(), 1, "{told}");
    let (home, var) = (dir.path().display().to_string(), dir.join("var").display().to_string());
    let told = hl7().args(["trace", "K1", "--in", &home, "--in", &var]).run().success().stdout();
    assert_eq!(told.matches("waits in this spool directory").count(), 1, "{told}");
    // A disk that is not mounted may hold what is asked for.
    link(&disk.join("gone"), "var/elsewhere");
    trace(dir.path(), "K1").code(1).stderr_contains("var/elsewhere: ");
}
