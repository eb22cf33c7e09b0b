//! `pipe`: a command that messages go through on their way out.

use std::path::Path;

use protogen_testkit::TestCommand;

use super::filter::{queue, settled};
use super::site::Site;
use super::support::{Peer, Router, Setup, adt, adts, control_id, put};
use crate::support::{hl7, top};

const MLLP: &str = "usehl7 = True";

/// What the commands of these tests begin with. `seen` counts across restarts.
const PRELUDE: &str = r#"#!/usr/bin/env python3
import os, sys, time
given = None
def message():
    global given
    frame = bytearray()
    while not frame.endswith(b"\x1c\r"):
        byte = sys.stdin.buffer.read(1)
        if not byte:
            sys.exit(0)
        frame += byte
    given = bytes(frame[1:-2])
    return given
def raw(answer):
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
def answer(text):
    raw(b"\x0b" + text + b"\x1c\r")
def identity():
    return given.split(b"\r")[0].split(b"|")[9]
def acknowledge(code, text=b""):
    answer(b"MSH|^~\\&|P\rMSA|" + code + b"|" + identity() + b"|" + text + b"\r")
def seen():
    with open("seen", "ab") as file:
        file.write(b".")
    return os.path.getsize("seen")
"#;

/// A command that does this.
fn command(setup: &Setup, body: &str) -> String {
    let path = setup.dir.write("command", format!("{PRELUDE}{body}"));
    format!("pipe = python3 {}", path.display())
}

/// A router from a socket through this command to a receiver that we are.
fn through(body: &str, options: &str) -> (Router, Peer) {
    let receiver = Peer::listen();
    let setup = Setup::new().server_in("in", MLLP);
    let pipe = command(&setup, body);
    let options = format!("usehl7 = True\n{pipe}\n{options}");
    (setup.client_out("out", receiver.port(), &options).start(), receiver)
}

/// Sends messages, each when the one before is acknowledged.
fn send(router: &Router, messages: &[Vec<u8>]) {
    let mut link = router.connect("in");
    for message in messages {
        link.exchange(message, &format!("AA {}", control_id(message)));
    }
}

/// What the command `UPPER` makes of a message.
fn upper(message: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(message).replace("Doe", "DOE").into_bytes()
}

const UPPER: &str = "while True:\n    answer(message().replace(b'Doe', b'DOE'))\n";

#[test]
fn what_it_answers_is_sent_in_order_and_the_journal_keeps_what_came() {
    let receiver = Peer::listen();
    let setup = Setup::new().server_in("in", MLLP);
    let pipe = command(&setup, UPPER);
    let mut router = setup
        .client_out("out", receiver.port(), &format!("usehl7 = True\n{pipe}"))
        .file_out("files", &pipe)
        .file_out("plain", "")
        .start();
    let messages = adts("A", 150);
    send(&router, &messages);
    let mut far = receiver.accept();
    for message in &messages {
        assert_eq!(far.take(), upper(message));
    }
    let changed: Vec<Vec<u8>> = messages.iter().map(|message| upper(message)).collect();
    assert_eq!(router.files("files", 150), changed);
    assert_eq!(router.files("plain", 150), messages);
    let exported = router.command.clone().args(["--export", "out", "1-"]).run();
    assert_eq!(exported.stdout.as_slice(), messages.concat());
    assert_eq!(settled(&router, "out", 150)["delivered"], 150);
    router.end();
}

#[test]
fn an_empty_frame_drops_and_ae_makes_a_dead_letter() {
    let body = "while True:\n    message()\n    if identity() == b'A001':\n        answer(b'')\n    elif identity() == b'A002':\n        acknowledge(b'AE', b'no bed')\n    else:\n        answer(given)\n";
    let (router, receiver) = through(body, "");
    send(&router, &adts("A", 4));
    let mut far = receiver.accept();
    assert_eq!((far.take(), far.take()), (adt("A000"), adt("A003")));
    let row = settled(&router, "out", 4);
    assert_eq!(
        (row["filtered"].as_u64(), row["dead"].as_u64(), row["delivered"].as_u64()),
        (Some(1), Some(1), Some(2))
    );
    let show = |number: &str| router.command.clone().args(["--show", "out", number]).run();
    show("2").success().stdout_contains("not delivered:\n  its pipe dropped it\n");
    show("3").success().stdout_contains("  dead  ").stdout_contains("  MSA|AE|A002|no bed\n");
    // Sent again it goes through the command again.
    router.command.clone().args(["--resend", "out", "3"]).run().success();
    router.wait("dead again", || {
        queue(&router, "out")["pending"] == 0 && router.log().matches("is a dead letter").count() == 2
    });
}

#[test]
fn one_that_dies_is_started_again_and_no_message_is_lost_or_overtaken() {
    // It dies in the middle of an answer, before one, and after one.
    let body = "while True:\n    message()\n    number = seen()\n    if number == 2:\n        raw(b'\\x0bMSH|^~')\n    \
                if number in (2, 5):\n        sys.exit(3)\n    answer(given)\n    if number == 7:\n        sys.exit(0)\n";
    let (router, receiver) = through(body, "");
    let messages = adts("A", 6);
    send(&router, &messages);
    let mut far = receiver.accept();
    for message in &messages {
        assert_eq!(&far.take(), message);
    }
    settled(&router, "out", 6);
    assert!(router.log().contains("pipe: it ended, exit status: 3; message "), "{}", router.log());
}

#[test]
fn a_late_answer_and_one_too_many_are_not_credited_to_the_next_message() {
    let body = "while True:\n    message()\n    number = seen()\n    if number == 2:\n        time.sleep(600)\n    answer(given)\n    \
                if number == 4:\n        answer(b'MSH|^~\\\\&|UNASKED\\r')\n        open('spoke', 'w').close()\n";
    let (router, receiver) = through(body, "pipewait = 2");
    let messages = adts("A", 6);
    let mut far = receiver.accept();
    for half in messages.chunks(3) {
        send(&router, half);
        for message in half {
            assert_eq!(&far.take(), message);
        }
        router.wait("said too much", || router.dir.join("spoke").exists());
    }
    settled(&router, "out", 6);
    router.wait_for_log("pipe: no answer within 2 s; message 2 ");
    let log = router.log();
    assert!(
        log.contains("pipe: it answered unasked") || log.contains("pipe: 2 answers to one message"),
        "{log}"
    );
}

#[test]
fn a_message_that_it_cannot_take_is_held_until_an_operator_gives_it_up() {
    let body =
        "while True:\n    message()\n    if identity() == b'A001':\n        sys.exit(1)\n    answer(given)\n";
    for is_file in [false, true] {
        let receiver = Peer::listen();
        let setup = Setup::new().server_in("in", MLLP);
        let pipe = command(&setup, body);
        let setup = if is_file {
            setup.file_out("out", &pipe)
        } else {
            setup.client_out("out", receiver.port(), &format!("usehl7 = True\n{pipe}"))
        };
        let router = setup.start();
        let mut far = (!is_file).then(|| receiver.accept());
        send(&router, &adts("A", 4));
        if let Some(far) = &mut far {
            assert_eq!(far.take(), adt("A000"));
        }
        router.wait("held", || queue(&router, "out")["state"] == "pipe fails");
        let row = queue(&router, "out");
        assert_eq!((row["delivered"].as_u64(), row["pending"].as_u64()), (Some(1), Some(3)));
        assert!(
            row["error"].as_str().unwrap().starts_with("pipe: it ended, exit status: 1: message 2: "),
            "{row}"
        );
        assert_eq!(row["troubles"][0]["trouble"], "pipe");
        router.command.clone().args(["--drop", "out", "2"]).run().success();
        match &mut far {
            Some(far) => assert_eq!((far.take(), far.take()), (adt("A002"), adt("A003"))),
            None => assert_eq!(router.files("out", 3), [adt("A000"), adt("A002"), adt("A003")]),
        }
        settled(&router, "out", 4);
        assert_eq!(queue(&router, "out")["state"], "running");
    }
}

#[test]
fn one_that_refuses_everything_does_not_empty_the_queue() {
    let (router, _receiver) = through("while True:\n    message()\n    acknowledge(b'AE')\n", "breaker = 2");
    send(&router, &adts("A", 5));
    router.wait_for_log("pipe: it answered AE, after 2 dead letters in a row; message 3 ");
    let row = queue(&router, "out");
    assert_eq!((row["dead"].as_u64(), row["pending"].as_u64()), (Some(2), Some(3)));
}

#[test]
fn an_acknowledgment_of_the_message_is_no_message() {
    for (code, told) in [
        ("AA", "pipe: it answered AA, not with the message to be sent; message 1 "),
        ("AR", "pipe: it answered AR; message 1 "),
    ] {
        let body = format!(
            "while True:\n    message()\n    if seen() == 1:\n        acknowledge(b'{code}')\n    else:\n        answer(given)\n"
        );
        let (router, receiver) = through(&body, "");
        send(&router, &adts("A", 1));
        assert_eq!(receiver.accept().take(), adt("A000"));
        router.wait_for_log(told);
    }
    // An acknowledgment of another message that is itself on its way.
    let (router, receiver) = through("while True:\n    answer(message())\n", "");
    let mut link = router.connect("in");
    let message = b"MSH|^~\\&|A|B|||||ACK^A01^ACK|7|P|2.5\rMSA|AE|6\r";
    link.send(message);
    assert_eq!(receiver.accept().frame(), message);
}

#[test]
fn a_long_message_and_bytes_between_the_frames() {
    let body = "while True:\n    message()\n    raw(b'thinking\\n')\n    answer(given)\n    raw(b'\\r\\n')\n";
    let (router, receiver) = through(body, "");
    let long = [adt("LONG"), b"OBX|1|TX|a||".to_vec(), vec![b'x'; 1 << 20], b"\r".to_vec()].concat();
    send(&router, &[long.clone(), adt("A1")]);
    let mut far = receiver.accept();
    assert_eq!((far.take() == long, far.take()), (true, adt("A1")));
    router.wait_for_log("bytes on its standard output are in no frame and are ignored");
}

#[test]
fn what_it_says_on_standard_error_is_counted_and_shown_at_debug_only() {
    let body = "while True:\n    message()\n    sys.stderr.write('Jane Doe is odd\\n')\n    sys.stderr.flush()\n    answer(given)\n";
    for level in ["prod", "debug"] {
        let receiver = Peer::listen();
        let setup = Setup::new().general(&format!("loglvl = {level}")).server_in("in", MLLP);
        let pipe = command(&setup, body);
        let mut router = setup.client_out("out", receiver.port(), &format!("usehl7 = True\n{pipe}")).start();
        send(&router, &adts("A", 3));
        let mut far = receiver.accept();
        (0..3).for_each(|_| drop(far.take()));
        settled(&router, "out", 3);
        router.end();
        let log = router.log();
        assert!(log.contains("out - WARNING - pipe: 1 lines on standard error so far"), "{log}");
        assert_eq!(log.contains("Jane Doe is odd"), level == "debug", "{log}");
    }
}

#[test]
fn a_command_that_hangs_does_not_hold_up_others_nor_the_end() {
    let receiver = Peer::listen();
    let setup = Setup::new().server_in("in", MLLP);
    let pipe = command(&setup, "message()\nopen('hangs', 'w').close()\ntime.sleep(600)\n");
    let mut router = setup
        .client_out("out", receiver.port(), &format!("usehl7 = True\n{pipe}"))
        .file_out("files", &pipe)
        .file_out("plain", "")
        .start();
    send(&router, &adts("A", 20));
    assert_eq!(router.files("plain", 20), adts("A", 20));
    router.wait("asked", || router.dir.join("hangs").exists());
    router.command.clone().arg("--queues").run().success();
    router.end();
}

#[test]
fn after_a_kill_the_message_in_hand_is_given_to_a_new_one() {
    let body = "import atexit\nwhile True:\n    message()\n    if seen() == 1:\n        open('pid', 'w').write(str(os.getpid()))\n        os.rename('pid', 'asked')\n        sys.stdin.buffer.read()\n        open('ended', 'w').close()\n        sys.exit(0)\n    answer(given)\n";
    let (mut router, receiver) = through(body, "");
    send(&router, &adts("A", 2));
    router.wait("asked", || router.dir.join("asked").exists());
    router.daemon.kill_9();
    router.wait("the end of its input ends it", || router.dir.join("ended").exists());
    router.restart();
    let mut far = receiver.accept();
    // The first connection may be that of the killed process.
    let first = far.try_frame().unwrap_or_else(|_| {
        far = receiver.accept();
        far.frame()
    });
    assert_eq!(first, adt("A000"));
    router.end();
}

#[test]
fn faults_of_the_options() {
    let complaint = "[peer] pipe: the shell cannot read the command: ";
    Site::new("peer: pipe = if true").check().code(2).stderr_contains(complaint);
    Site::new("peer: pipewait = 0").check().code(2).stderr_contains("must be 0.1 to 86400 seconds");
    Site::new("in: pipe = cat")
        .check()
        .success()
        .stderr_contains("pipe has no effect on an incoming socket connection");
    Site::new("peer: pipe = \"cat 'a b'\"\nout: pipe = 'a b' \"c d\"").check().success().stderr_is("");
    Site::new("peer: pipe =").check().success().stderr_is("");
}

/// The same program, finding `hl7` on its path.
fn with_hl7(command: &TestCommand) -> TestCommand {
    let program = hl7().command();
    let place = Path::new(program.get_program()).parent().unwrap().to_owned();
    let path = std::env::var("PATH").unwrap();
    command.clone().env("PATH", format!("{}:{path}", place.display()))
}

#[test]
fn hl7_set_is_a_command_as_it_is() {
    let setup =
        Setup::new().file_in("in", "settle = 0").file_out("out", "pipe = hl7 set MSH-5=WARD PID-5.1=X");
    // As a service is started: without the directory of our programs.
    let command = setup.command().env("PATH", "/usr/bin:/bin");
    let router = setup.start_with(&command);
    for (number, message) in adts("A", 20).iter().enumerate() {
        put(router.dir.join(format!("in/{number:02}")), message);
    }
    let files = router.files("out", 20);
    for (number, file) in files.iter().enumerate() {
        let expected = String::from_utf8(adt(&format!("A{number:03}"))).unwrap();
        assert_eq!(
            String::from_utf8_lossy(file),
            expected.replace("|ADT|A|", "|WARD|A|").replace("Doe^", "X^")
        );
    }
}

#[test]
fn the_example_changes_drops_and_refuses() {
    let example = top().join("etc/pipe.example");
    let setup = Setup::new()
        .server_in("in", MLLP)
        .file_out("out", &format!("usehl7 = True\npipe = python3 {}", example.display()));
    let command = with_hl7(&setup.command());
    let mut router = setup.start_with(&command);
    let whole = [adt("A1"), b"PV1|1|I|601^1^2\r".to_vec()].concat();
    let test = String::from_utf8(whole.clone()).unwrap().replace("|P|2.3", "|T|2.3").replace("|A1|", "|A2|");
    send(&router, &[whole, test.into_bytes(), adt("A3")]);
    let row = settled(&router, "out", 3);
    assert_eq!(
        (row["delivered"].as_u64(), row["filtered"].as_u64(), row["dead"].as_u64()),
        (Some(1), Some(1), Some(1))
    );
    let file = String::from_utf8(router.files("out", 1).remove(0)).unwrap();
    assert!(file.contains("|LAB|L|WARD|A|") && file.contains("\rPV1|1|I|601^1^2^HOSPITAL\r"), "{file}");
    router.command.clone().args(["--show", "out", "3"]).run().success().stdout_contains("MSA|AE|A3|no PV1");
    router.end();
}
