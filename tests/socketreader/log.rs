//! What the log says at each level, and what the debug options do.

use super::support::{Link, Peer, Router, Setup, acknowledgment, adt, frame, verdict};

const HL7: &str = "usehl7 = True";

/// Runs one good message, one that its receiver refuses, one that is no HL7 and a bad frame at this level; gives the log.
fn log_at(level: &str) -> String {
    let receiver = Peer::listen();
    let mut router = Setup::new()
        .general(&format!("loglvl = {level}"))
        .server_in("in", HL7)
        .client_out("out", receiver.port(), HL7)
        .start();
    let mut input = router.connect("in");
    input.exchange(&adt("GOOD"), "AA GOOD");
    input.exchange(&adt("BAD"), "AA BAD");
    input.send(b"secret of no message");
    input.raw(b"secret junk");
    input.exchange(&adt("LAST"), "AA LAST");
    let mut output = receiver.accept();
    assert_eq!(output.take(), adt("GOOD"));
    assert_eq!(output.frame(), adt("BAD"));
    output.send(b"MSH|^~\\&|ADT\rMSA|AE|BAD|secret text\r");
    assert_eq!(output.take(), adt("LAST"));
    router.end();
    router.log()
}

/// The levels of the lines, each once.
fn levels(log: &str) -> Vec<&str> {
    let mut levels: Vec<&str> = log.lines().map(|line| line.split(" - ").nth(2).unwrap()).collect();
    levels.sort_unstable();
    levels.dedup();
    levels
}

#[test]
fn each_level_prints_itself_and_what_is_more_urgent() {
    assert_eq!(levels(&log_at("critical")), [""; 0]);
    assert_eq!(levels(&log_at("error")), ["ERROR"]);
    assert_eq!(levels(&log_at("warning")), ["ERROR"]);
    assert_eq!(levels(&log_at("prod")), ["ERROR", "PROD"]);
    assert_eq!(levels(&log_at("info")), ["ERROR", "INFO", "PROD"]);
    assert_eq!(levels(&log_at("debug")), ["DEBUG", "ERROR", "INFO", "PROD"]);
}

#[test]
fn contents_of_messages_stand_at_debug_and_of_failed_ones_at_prod() {
    for level in ["critical", "error", "warning"] {
        let log = log_at(level);
        assert!(!log.contains("Doe^Jane") && !log.contains("secret"), "{log}");
    }
    for level in ["prod", "info"] {
        let log = log_at(level);
        let bad = String::from_utf8(adt("BAD")).unwrap().replace('\\', "\\\\").replace('\r', "\\r");
        assert_eq!(
            log.lines().filter(|line| line.contains(&bad) && line.contains(" - out - PROD - ")).count(),
            1,
            "{log}"
        );
        assert!(log.contains("- in - PROD - ") && log.contains("not taken: secret of no message"), "{log}");
        assert!(!log.contains("GOOD^^^"), "{log}");
        for line in log.lines().filter(|line| !line.contains(" - PROD - ")) {
            assert!(!line.contains("Doe^Jane") && !line.contains("secret"), "{line}");
        }
    }
    assert!(log_at("debug").contains("GOOD^^^KIS||Doe^Jane"));
}

#[test]
fn lines_have_the_form_of_the_manual() {
    let log = log_at("debug");
    let now = today();
    for line in log.lines() {
        let parts: Vec<&str> = line.splitn(4, " - ").collect();
        let [time, connection, level, text] = parts[..] else { panic!("{line}") };
        let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
        assert_eq!(shape, "0000-00-00 00:00:00,000", "{line}");
        assert!(time.starts_with(&now), "{line}");
        assert!(["general", "in", "out"].contains(&connection), "{line}");
        assert!(["ERROR", "WARNING", "PROD", "INFO", "DEBUG"].contains(&level), "{line}");
        assert!(!text.is_empty() && !text.chars().any(char::is_control), "{line}");
    }
    assert!(log.lines().next().unwrap().ends_with(" - general - INFO - serving 2 connections"), "{log}");
}

#[test]
fn lines_name_a_message_by_its_type_its_control_id_and_its_size() {
    let log = log_at("info");
    let good = format!("ADT^A01 GOOD, {} bytes", adt("GOOD").len());
    let bad = format!("ADT^A01 BAD, {} bytes", adt("BAD").len());
    for end in [
        format!(" - out - INFO - message 1 delivered: {good}"),
        format!(" - out - ERROR - message 2 was answered AE, attempt 1: {bad}"),
        format!(" - out - ERROR - message 2 is a dead letter, kept in the journal: {bad}"),
    ] {
        assert!(log.lines().any(|line| line.ends_with(&end)), "{end}\n{log}");
    }
    // Neither a long field nor a strange one makes a strange line.
    let router = Setup::new().server_in("in", HL7).file_out("out", "").start();
    let id = format!("A\x07\u{e4}{}", "x".repeat(1000));
    let message = adt(&id);
    router.connect("in").exchange(&message, &format!("AA {}", id.as_bytes().escape_ascii()));
    let line = router.wait_for_log("message 1 written as ");
    let shown = format!(": ADT^A01 A\\x07\\xc3\\xa4{}..., {} bytes", "x".repeat(36), message.len());
    assert!(line.ends_with(&shown), "{line}");
    router.connect("in").send(b"MSH|^~\\&|\r");
    assert!(router.wait_for_log("message 2 written as ").ends_with(".dat: 10 bytes"));
}

/// Today, by the local time.
fn today() -> String {
    let output = std::process::Command::new("date").arg("+%Y-%m-%d").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn standard_error_and_forged_lines() {
    let setup = Setup::new().general("logfile =").server_in("in", HL7).file_out("out", "");
    let router = setup.start();
    let mut input = router.connect("in");
    input.send(b"evil\n2026-01-01 00:00:00,000 - general - CRITICAL - forged\x1b[2J");
    input.exchange(&adt("A"), "AA A");
    router.daemon.wait_for_stderr("not taken: evil\\n2026");
    let text = router.daemon.stderr();
    assert!(!text.contains('\x1b') && !text.lines().any(|line| line.starts_with("2026-01-01")), "{text}");
    assert!(text.lines().all(|line| line.split(" - ").count() >= 4), "{text}");
}

#[test]
fn warnings_of_the_configuration_are_in_the_log() {
    let router = Setup::new().server_in("in", "usehl7 = True\nipaddr = 0.0.0.0").file_out("out", "").start();
    let line = router.wait_for_log("whoever reaches every address of this host may connect here");
    assert!(line.contains(" - general - WARNING - ") && line.contains("[in] "), "{line}");
    assert_eq!(router.daemon.stderr(), "");
}

fn debugged(options: &str) -> (Router, Link) {
    let router =
        Setup::new().server_in("in", &format!("{HL7}\ndebug = {options}")).file_out("out", "").start();
    let link = router.connect("in");
    (router, link)
}

#[test]
fn dump_shows_frames_in_hexadecimal() {
    let receiver = Peer::listen();
    let dump = "usehl7 = True\ndebug = {\"dump\":True}";
    let router = Setup::new().server_in("in", dump).client_out("out", receiver.port(), dump).start();
    router.connect("in").exchange(&adt("A"), "AA A");
    assert_eq!(receiver.accept().take(), adt("A"));
    for line in ["in - DEBUG - 127.0.0.1:", "out - DEBUG - 127.0.0.1:"] {
        let line = router.wait_for_log(line);
        assert!(
            line.contains("in hexadecimal: 4d 53 48 7c 5e 7e 5c 26 7c 4c 41 42 ")
                && line.ends_with(" 6e 65 0d"),
            "{line}"
        );
    }
    assert!(!router.log().contains("Doe^Jane"), "{}", router.log());
}

#[test]
fn noack_stores_and_says_nothing() {
    let (router, mut link) = debugged("{'noack':True}");
    link.send(&adt("A1"));
    link.send(&adt("A2"));
    assert_eq!(router.files("out", 2), [adt("A1"), adt("A2")]);
    link.half_close();
    link.closed();
}

#[test]
fn nack_rejects_and_takes_nothing() {
    let (router, mut link) = debugged("{\"nack\":\"True\"}");
    for id in ["A1", "A2"] {
        link.exchange(&adt(id), &format!("AR {id}"));
    }
    let other = Setup::new().server_in("in", "debug = {\"nack\":1}").file_out("out", "").start();
    let mut link = other.connect("in");
    link.send(b"x");
    assert_eq!(link.frame(), b"\x15");
    for mut router in [router, other] {
        router.end();
        // What its sender was refused is not delivered.
        assert_eq!(router.dir.list("out"), [""; 0]);
    }
}

#[test]
fn delayack_waits_before_each_answer() {
    let (_router, mut link) = debugged("{\"delayack\":0.2}");
    link.exchange(&adt("A1"), "AA A1");
    let (mut router, mut link) = debugged("{\"delayack\":3600}");
    link.send(&adt("A1"));
    // It is stored and delivered all the same, and the end does not wait for it.
    assert_eq!(router.files("out", 1), [adt("A1")]);
    router.end();
    link.closed();
}

#[test]
fn drop_cuts_a_share_of_the_connections() {
    let (router, mut link) = debugged("{\"drop\":\"100\"}");
    link.closed();
    router.wait_for_log("cut, as debug says");
    let (router, _) = debugged("{\"drop\":50}");
    let (mut cut, mut served) = (0, 0);
    while cut == 0 || served == 0 {
        let mut link = router.connect("in");
        // A cut one may be reset while we write.
        let _ = std::io::Write::write_all(&mut link.stream, &frame(&adt("A")));
        match link.try_frame() {
            Ok(answer) => {
                assert_eq!(verdict(&answer), "AA A");
                served += 1;
            }
            Err(_) => cut += 1,
        }
        assert!(cut + served < 1000, "{cut} cut, {served} served");
    }
}

#[test]
fn slow_writes_a_few_bytes_at_a_time() {
    let (_router, mut link) = debugged("{\"slow\":20}");
    link.send(&adt("A1"));
    let mut piece = [0; 200];
    let count = loop {
        match std::io::Read::read(&mut link.stream, &mut piece) {
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            other => break other.unwrap(),
        }
    };
    assert!(piece.starts_with(b"\x0bM"));
    // Of about 70, which take some seconds.
    assert!(count < 20, "{count}");
    assert!(link.until(b"\rMSA|AA|A1\r\x1c\r").is_ok());
}

#[test]
fn an_unknown_key_is_a_warning() {
    let (router, mut link) = debugged("{\"oldkey\":\"x\", \"noack\":False}");
    link.exchange(&adt("A1"), "AA A1");
    let line = router.wait_for_log("debug has no key \"oldkey\"");
    assert!(line.contains(" - general - WARNING - "), "{line}");
}

#[test]
fn a_refusal_after_a_delivery_is_an_error() {
    let receiver = Peer::listen();
    let router = Setup::new()
        .server_in("in", HL7)
        .client_out("out", receiver.port(), "usehl7 = True\nuseack = False")
        .start();
    router.connect("in").exchange(&adt("A"), "AA A");
    let mut output = receiver.accept();
    assert_eq!(output.frame(), adt("A"));
    output.send(&acknowledgment(&adt("A"), "AE"));
    let line = router.wait_for_log("a later AE for a message delivered before");
    assert!(line.contains(" - out - ERROR - "), "{line}");
}
