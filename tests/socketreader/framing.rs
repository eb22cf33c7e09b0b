//! Frames that are not as they should be: what was wrong is seen, and the next good message is answered.

use std::os::unix::fs::PermissionsExt;

use super::support::{Link, Router, Setup, adt, adts, control_id, frame, verdict};

fn hl7() -> (Router, Link) {
    start("usehl7 = True")
}

fn start(options: &str) -> (Router, Link) {
    let router = Setup::new().server_in("in", options).file_out("out", "").start();
    let link = router.connect("in");
    (router, link)
}

/// The lines of framing errors, from the address on.
fn errors(router: &Router) -> Vec<String> {
    let log = router.log();
    let lines = log.lines().filter(|line| line.contains("framing error"));
    lines
        .map(|line| {
            line.split_once("in - ERROR - 127.0.0.1:").unwrap().1.split_once(": ").unwrap().1.to_owned()
        })
        .collect()
}

/// Sends these bytes and then a good message, whose answer must be the next one. What is stored must be `stored` and
/// the good one, byte for byte.
#[track_caller]
fn then_a_good_one(bytes: &[u8], stored: &[&[u8]], expected_errors: &[&str]) -> Router {
    let (router, mut link) = hl7();
    link.raw(bytes);
    link.raw(&frame(&adt("GOOD")));
    while verdict(&link.frame()) != "AA GOOD" {}
    let good = adt("GOOD");
    let expected: Vec<&[u8]> = stored.iter().copied().chain([good.as_slice()]).collect();
    let found = router.files("out", expected.len());
    let shown =
        |files: &[&[u8]]| files.iter().map(|file| file.escape_ascii().to_string()).collect::<Vec<_>>();
    assert_eq!(shown(&found.iter().map(Vec::as_slice).collect::<Vec<_>>()), shown(&expected));
    assert_eq!(errors(&router), expected_errors);
    router
}

/// What is kept of the bytes that were thrown away.
/// The bytes kept of what `in` refused, once `holds` is among them: they are written beside the traffic, not before it.
fn rejected(router: &Router, holds: &str) -> String {
    let path = router.dir.join("state/rejected/in");
    let mut kept = String::new();
    router.wait(&format!("rejected bytes with {holds}"), || {
        kept = std::fs::read(&path).unwrap_or_default().escape_ascii().to_string();
        kept.contains(holds) && kept.ends_with("\\n")
    });
    let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
    kept
}

#[test]
fn junk_before_a_frame() {
    let junk = b"GET / HTTP/1.1\r\n\r\n";
    let router = then_a_good_one(
        junk,
        &[],
        &["framing error 1: bytes outside of any frame at byte 0, 18 bytes dropped"],
    );
    let kept = rejected(&router, "HTTP/1.1");
    let (time, rest) = kept.split_once(" offset ").unwrap();
    assert!(time.ends_with('Z') && time.len() == 24, "{time}");
    assert_eq!(rest, "0, 18 bytes: bytes outside of any frame\\nGET / HTTP/1.1\\r\\n\\r\\n\\n");
}

#[test]
fn junk_between_frames_is_counted_and_placed() {
    let (one, two) = (adt("A1"), adt("A2"));
    let bytes = [&frame(&one), b"xx".as_slice(), &frame(&two), b"y"].concat();
    let place = |at: usize| format!("bytes outside of any frame at byte {at}");
    let (first, second) = (one.len() + 3, one.len() + two.len() + 8);
    let expected = [
        format!("framing error 1: {}, 2 bytes dropped", place(first)),
        format!("framing error 2: {}, 1 bytes dropped", place(second)),
    ];
    then_a_good_one(&bytes, &[&one, &two], &[&expected[0], &expected[1]]);
}

#[test]
fn line_ends_between_frames_are_no_error() {
    let bytes = [&frame(&adt("A1")), b"\r\n\n\0".as_slice()].concat();
    then_a_good_one(&bytes, &[&adt("A1")], &[]);
}

#[test]
fn a_carriage_return_that_is_missing_behind_the_frame() {
    // The next frame shows that it was the end; without one, a short while does.
    let bytes = [b"\x0b", adt("A1").as_slice(), b"\x1c"].concat();
    then_a_good_one(
        &bytes,
        &[&adt("A1")],
        &["framing error 1: the frame's last delimiter is missing at byte 0"],
    );
    let (router, mut link) = hl7();
    link.raw(&bytes);
    assert_eq!(verdict(&link.frame()), "AA A1");
    link.exchange(&adt("A2"), "AA A2");
    assert_eq!(router.files("out", 2), [adt("A1"), adt("A2")]);
    // Or the end of the connection.
    let mut link = router.connect("in");
    link.raw(&bytes);
    link.half_close();
    assert_eq!(verdict(&link.frame()), "AA A1");
    link.closed();
}

#[test]
fn a_carriage_return_that_is_missing_behind_the_last_segment() {
    let message = b"MSH|^~\\&|LAB|L|ADT|A|2026||ADT^A01|A1|P|2.3\rPID|1";
    then_a_good_one(&frame(message), &[message], &[]);
}

#[test]
fn single_bytes_and_one_write() {
    let messages = adts("A", 3);
    let (router, mut link) = hl7();
    for byte in messages.iter().flat_map(|message| frame(message)) {
        link.raw(&[byte]);
    }
    for message in &messages {
        assert_eq!(verdict(&link.frame()), format!("AA {}", control_id(message)));
    }
    let all: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    link.raw(&all);
    for message in &messages {
        assert_eq!(verdict(&link.frame()), format!("AA {}", control_id(message)));
    }
    assert_eq!(router.files("out", 6), [messages.clone(), messages].concat());
    assert_eq!(errors(&router), [""; 0]);
}

#[test]
fn bytes_of_every_kind_inside_a_message() {
    let header = b"MSH|^~\\&|LAB|L|ADT|A|2026||ADT^A01|A1|P|2.3";
    for body in [
        // An end of data that is none, a start of block too, line feeds, CRLF, Latin-1, UTF-8, zero, all others.
        b"\rNTE|1||a\x1cb\r".as_slice(),
        b"\rNTE|1||a\x1c\nb\x1c\x1cc\r",
        b"\rNTE|1||a\x0bb\r",
        b"\nPID|1||5\nNTE|1\n",
        b"\r\nPID|1||5\r\n",
        b"\rPID|1||5||M\xfcller^J\xf6rg\r",
        "\rPID|1||5||Müller^Jörg\r".as_bytes(),
        b"\rNTE|\0\x01\x02\x7f\xff\r",
    ] {
        let message = [header.as_slice(), body].concat();
        then_a_good_one(&frame(&message), &[&message], &[]);
    }
}

#[test]
fn a_delimiter_in_the_header_is_refused_rather_than_met_with_silence() {
    // An answer would have to repeat it, and no frame can hold it.
    let (router, mut link) = hl7();
    for header in [
        "MSH|^~\\&|LAB|L|ADT|A|2026||ADT^A01|A\x1cB|P|2.3",
        "MSH|^~\\&|L\x0bAB|L|ADT|A|2026||ADT^A01|A|P|2.3",
    ] {
        link.send(format!("{header}\rPID|1\r").as_bytes());
        assert_eq!(verdict(&link.frame()), "AR ");
    }
    link.exchange(&adt("GOOD"), "AA GOOD");
    assert_eq!(router.files("out", 1), [adt("GOOD")]);
}

#[test]
fn frames_that_hold_no_hl7_message() {
    let (router, mut link) = hl7();
    // It begins like one: refused. It does not: not even that, since whoever sent it would not understand.
    link.send(b"MSH");
    assert_eq!(verdict(&link.frame()), "AR ");
    link.send(b"MSHxx");
    link.send(b"hello");
    link.send(b"BHS|^~\\&|\rMSH|^~\\&|\r");
    while verdict(&link.frame()) != "AA GOOD" {
        link.send(&adt("GOOD"));
    }
    let log = router.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("is no HL7 message")).collect();
    assert!(lines.len() >= 3, "{log}");
    assert!(
        lines.iter().any(|line| line.contains(" - in - ERROR - 127.0.0.1:")
            && line.ends_with("the frame at byte 14 is no HL7 message")),
        "{log}"
    );
    rejected(&router, "offset 14, 5 bytes: is no HL7 message\\nhello\\n");
    assert!(router.files("out", 1)[0] == adt("GOOD"));
}

#[test]
fn what_is_no_hl7_is_taken_where_hl7_is_not_asked_for() {
    let (router, mut link) = start("usehl7 = False");
    let messages = [b"hello".as_slice(), b"\xff\xd8\x01", b"x", b"MSH"];
    for message in messages {
        link.send(message);
        assert_eq!(link.frame(), b"\x06");
    }
    // UTF-16 cannot be carried, since its halves look like delimiters: its sender hears that.
    link.send(b"\xff\xfeh\0i\0");
    assert_eq!(link.frame(), b"\x15");
    link.send(b"after");
    assert_eq!(link.frame(), b"\x06");
    assert_eq!(router.files("out", 5), [&messages[..], &[b"after"]].concat());
}

#[test]
fn a_frame_that_is_too_long() {
    for (use_hl7, refusal) in [("True", "AE A1"), ("False", "\\x15")] {
        let (router, mut link) = start(&format!("usehl7 = {use_hl7}\nmaxsize = 2K"));
        let message = [adt("A1"), vec![b'x'; 100_000]].concat();
        link.send(&message);
        assert_eq!(verdict(&link.frame()), refusal);
        link.send(&adt("GOOD"));
        assert_eq!(verdict(&link.frame()), if use_hl7 == "True" { "AA GOOD" } else { "\\x06" });
        assert_eq!(router.files("out", 1), [adt("GOOD")]);
        let errors = errors(&router);
        assert!(
            errors[0].starts_with("framing error 1: a frame exceeds the size limit at byte 0, "),
            "{errors:?}"
        );
        rejected(&router, "a frame exceeds the size limit\\nMSH|");
        // Just as long as is allowed.
        let longest = [adt("A2"), vec![b'x'; 2048 - adt("A2").len()]].concat();
        link.send(&longest);
        assert_eq!(verdict(&link.frame()), if use_hl7 == "True" { "AA A2" } else { "\\x06" });
        assert_eq!(router.files("out", 2)[1], longest);
    }
}

#[test]
fn a_frame_that_another_one_cuts_off() {
    let cut = b"\x0bMSH|^~\\&|LAB|L|ADT|A|2026||ADT^A01|CUT|P|2.3\rPID|";
    let router = then_a_good_one(
        cut,
        &[],
        &["framing error 1: a frame was cut off by the next one at byte 0, 49 bytes dropped"],
    );
    rejected(&router, "ADT^A01|CUT|");
}

#[test]
fn a_frame_that_is_never_finished() {
    let (router, mut link) = start("usehl7 = True\ntimeout = 0.3");
    link.raw(b"\x0bMSH|^~\\&|LAB");
    router.wait_for_log("framing error 1: an unfinished frame went stale at byte 0, 12 bytes dropped");
    // The connection stays, and an idle one is left alone.
    link.exchange(&adt("GOOD"), "AA GOOD");
    link.raw(b"\x0bMSH|");
    link.half_close();
    link.closed();
    router.wait_for_log("framing error 2: the line was closed inside a frame at byte ");
}

#[test]
fn a_connection_that_is_reset_inside_a_frame() {
    let (router, mut link) = hl7();
    link.send(&adt("A1"));
    router.wait_for_log("answered");
    link.raw(b"\x0bMSH|^~\\&|CUT");
    // The answer is not read, so that the end is a reset.
    drop(link);
    router.wait_for_log("framing error 1: the line was closed inside a frame at byte ");
    rejected(&router, "MSH|^~\\\\&|CUT");
    assert_eq!(router.files("out", 1), [adt("A1")]);
}

#[test]
fn a_byte_order_mark_and_empty_frames() {
    let bytes = [b"\x0b\x1c\r\x0b\x0b\xef\xbb\xbf".as_slice(), &adt("A1"), b"\x1c\r"].concat();
    then_a_good_one(
        &bytes,
        &[&adt("A1")],
        &[
            "framing error 1: an empty frame was ignored at byte 0",
            "framing error 2: a byte order mark was removed at byte 4",
        ],
    );
}

#[test]
fn rejected_bytes_are_bounded() {
    let (router, mut link) = start("usehl7 = True\nmaxsize = 1M");
    let long = frame(&[adt("A"), vec![b'x'; 1 << 20]].concat());
    for _ in 0..40 {
        link.raw(&long);
        assert_eq!(verdict(&link.frame()), "AE A");
    }
    link.exchange(&adt("GOOD"), "AA GOOD");
    let size = |name: &str| {
        router.dir.join(format!("state/rejected/{name}")).metadata().map_or(0, |file| file.len())
    };
    router.wait("the older file", || size("in.old") > 0 && size("in") > 0);
    assert!(size("in.old") < (1 << 20) + (128 << 10) && size("in") < (1 << 20) + (128 << 10));
    // How much there was stands beside what is kept.
    let head = " bytes, the first 65536 kept: a frame exceeds the size limit\n";
    let kept = String::from_utf8_lossy(&router.dir.read("state/rejected/in")).into_owned();
    assert!(kept.contains(head), "{kept:.200}");
    assert_eq!(router.dir.list("state/rejected"), ["in", "in.old"]);
}
