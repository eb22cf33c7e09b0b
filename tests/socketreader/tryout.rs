//! `--try`: a new configuration on the messages that the journal keeps.

use serde_json::Value;

use super::support::{Peer, Router, Setup, adt, put};

/// A router with two outputs that has delivered three messages; the receiver's port.
fn delivered() -> (Router, u16) {
    let receiver = Peer::listen();
    let setup = Setup::new().file_in("in", "settle = 0").file_out("files", "prefix = old-");
    let router = setup.client_out("out", receiver.port(), "usehl7 = True").start();
    for id in ["A1", "A2"] {
        put(router.dir.join(format!("in/{id}")), &adt(id));
    }
    let mut link = receiver.accept();
    (0..2).for_each(|_| drop(link.take()));
    put(router.dir.join("in/X"), b"no HL7");
    assert_eq!(link.frame(), b"no HL7");
    link.raw(b"\x0b\x06\x1c\r");
    router.wait_for_log("out - INFO - message 3 delivered");
    router.names("files", 3);
    (router, receiver.port())
}

/// The configuration of the router with other words in some places, under another name.
fn changed(router: &Router, changes: &[(&str, &str)]) -> std::path::PathBuf {
    let mut text = router.dir.text("sr.cfg");
    for (old, new) in changes {
        assert!(text.contains(old), "{text}");
        text = text.replace(old, new);
    }
    router.dir.write("new.cfg", text)
}

fn try_out(router: &Router, more: &[&str]) -> protogen_testkit::Output {
    router.asking(&["--try", "new.cfg"]).args(more).run()
}

#[test]
fn the_same_configuration_differs_in_nothing() {
    let (mut router, _) = delivered();
    changed(&router, &[]);
    let expected = "files: 3 as before, 0 changed, 0 no longer, 0 new\n\
                    out: 3 as before, 0 changed, 0 no longer, 0 new\n\
                    3 messages tried, none sent\n";
    try_out(&router, &[]).success().stdout_is(expected);
    router.end();
    // Also while it is down.
    try_out(&router, &[]).success().stdout_is(expected);
    try_out(&router, &["--since", "1d"]).success().stdout_is(expected);
    let none = "files: 0 as before, 0 changed, 0 no longer, 0 new\n\
                out: 0 as before, 0 changed, 0 no longer, 0 new\n\
                0 messages tried, none sent\n";
    try_out(&router, &["--since", "2999-01-01"]).success().stdout_is(none);
}

#[test]
fn what_changes_is_told_place_by_place_and_nothing_is_sent() {
    let (mut router, port) = delivered();
    let files = router.names("files", 3);
    let other = port + 1;
    changed(&router, &[("old-", "new-"), (&format!("port = {port}"), &format!("port = {other}"))]);
    let told = try_out(&router, &[]);
    told.code(1).stdout_is(format!(
        "out: port: {port} -> {other}\n\
         files: message 1 (ADT^A01 A1, 74 bytes): file name: \"old-*.dat\" -> \"new-*.dat\"\n\
         files: message 2 (ADT^A01 A2, 74 bytes): file name: \"old-*.dat\" -> \"new-*.dat\"\n\
         files: message 3 (6 bytes): file name: \"old-*.dat\" -> \"new-*.dat\"\n\
         files: 0 as before, 3 changed, 0 no longer, 0 new\n\
         out: 3 as before, 0 changed, 0 no longer, 0 new\n\
         3 messages tried, none sent\n"
    ));
    assert_eq!(router.names("files", 3), files);
    router.end();
}

#[test]
fn an_output_that_goes_and_one_that_comes() {
    let (mut router, _) = delivered();
    changed(
        &router,
        &[("useconnections = in, files, out", "useconnections = in, out, more"), ("[files]", "[more]")],
    );
    let told = try_out(&router, &[]);
    told.code(1).stdout_contains("more: connection: nothing -> in use\n");
    told.stdout_contains("files: connection: in use -> nothing\n");
    told.stdout_contains("more: message 1 (ADT^A01 A1, 74 bytes): goes there\n");
    told.stdout_contains("files: message 3 (6 bytes): no longer goes there\n");
    told.stdout_contains("more: 0 as before, 0 changed, 0 no longer, 3 new\n");
    let json = try_out(&router, &["--json"]);
    let lines: Vec<Value> =
        json.code(1).stdout().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["connection"] == "more" && line["added"] == 3), "{lines:?}");
    let gone = |line: &&Value| line["connection"] == "files" && line["path"] == "message";
    let gone: Vec<&Value> = lines.iter().filter(gone).collect();
    assert_eq!(gone.len(), 3);
    assert_eq!((&gone[0]["old"], &gone[0]["new"]), (&"sent".into(), &Value::Null));
    router.end();
}

#[test]
fn another_queue_is_another_route() {
    let (mut router, _) = delivered();
    let text = router.dir.text("sr.cfg");
    let (before, out) = text.split_once("[out]").unwrap();
    let more = "[in2]\ntranstech = file\ntransdir = in\nmessagedir = .\nqueuename = other\n";
    let text = format!("{before}[out]{}\n{more}", out.replace("queuename = q", "queuename = other"));
    router.dir.write("new.cfg", text.replace("= in, files, out", "= in, files, out, in2"));
    let told = try_out(&router, &[]);
    told.code(1).stdout_contains("out: queuename: q -> other\n");
    told.stdout_contains("out: 0 as before, 0 changed, 3 no longer, 0 new\n");
    router.end();
}

#[test]
fn a_configuration_with_faults_is_not_tried() {
    let (mut router, port) = delivered();
    changed(&router, &[(&format!("port = {port}"), "port = 80")]);
    try_out(&router, &[]).code(2).stdout_is("").stderr_contains("port = 80: must be a whole number");
    try_out(&router, &["--since", "noon"]).code(2).stderr_contains("\"noon\" is no time: say 2026-11-28");
    router.ask(&["--since", "1d"]).code(2);
    router.end();
}

#[test]
fn filters_and_pipes_are_tried() {
    let (mut router, _) = delivered();
    let python = "import sys\nwhile True:\n    frame = b''\n    while not frame.endswith(b'\\x1c\\r'):\n        byte = sys.stdin.buffer.read(1)\n        if not byte: sys.exit(0)\n        frame += byte\n    sys.stdout.buffer.write(frame.replace(b'Doe', b'Roe'))\n    sys.stdout.buffer.flush()\n";
    let pipe = router.dir.write("rename.py", python);
    let filter = "[files]\nfilter = MSH-10 == A2\n";
    let pipe = format!("[out]\npipe = python3 {}\n", pipe.display());
    changed(&router, &[("[files]\n", filter), ("[out]\n", &pipe)]);
    let told = try_out(&router, &[]);
    told.code(1).stdout_contains("files: filter: nothing -> MSH-10 == \"A2\"\n");
    told.stdout_contains(
        "files: message 1 (ADT^A01 A1, 74 bytes): no longer goes there: its filter does not match\n",
    );
    told.stdout_contains("out: message 2 (ADT^A01 A2, 74 bytes): PID-5.1: \"Doe\" -> \"Roe\"\n");
    told.stdout_contains("files: 1 as before, 0 changed, 2 no longer, 0 new\n");
    told.stdout_contains("out: 1 as before, 2 changed, 0 no longer, 0 new\n");
    router.end();
}
