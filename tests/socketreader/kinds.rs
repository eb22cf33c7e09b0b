//! The kinds of connections, and how they are joined.

use std::net::{Ipv6Addr, SocketAddr};

use super::support::{
    Link, Peer, Router, Setup, acknowledgment, adt, adts, control_id, frame, port, verdict,
};

/// Which way the ends of a test's route connect.
fn route(input_listens: bool, output_listens: bool, options: &str) -> (Router, Link, Link) {
    let (sender, receiver) = (Peer::listen(), Peer::listen());
    let setup = Setup::new();
    let setup = match input_listens {
        true => setup.server_in("in", options),
        false => setup.client_in("in", sender.port(), options),
    };
    let router = match output_listens {
        true => setup.server_out("out", options),
        false => setup.client_out("out", receiver.port(), options),
    }
    .start();
    let input = if input_listens { router.connect("in") } else { sender.accept() };
    let output = if output_listens { router.connect("out") } else { receiver.accept() };
    (router, input, output)
}

const ENDS: [(bool, bool); 4] = [(true, true), (true, false), (false, true), (false, false)];

#[test]
fn four_kinds_of_sockets_with_hl7_acknowledgments() {
    for (input_listens, output_listens) in ENDS {
        let (mut router, mut input, mut output) = route(input_listens, output_listens, "usehl7 = True");
        for id in ["A1", "A2", "A3"] {
            input.send(&adt(id));
            let answer = input.answer();
            let (time, own) = (answer.split('|').nth(6).unwrap(), answer.split('|').nth(9).unwrap());
            assert_eq!(answer, format!("MSH|^~\\&|ADT|A|LAB|L|{time}||ACK^A01|{own}|P|2.3\rMSA|AA|{id}\r"));
            assert_eq!(output.frame(), adt(id));
            output.send(&acknowledgment(&adt(id), "AA"));
        }
        router.wait_for_log("out - INFO - message 3 delivered");
        router.end();
    }
}

#[test]
fn four_kinds_of_sockets_with_mllp_acknowledgments() {
    for (input_listens, output_listens) in ENDS {
        let (mut router, mut input, mut output) = route(input_listens, output_listens, "usehl7 = False");
        // Not HL7, and without a last CR: nothing is added to it.
        for message in [b"QmFzZTY0".as_slice(), b"\xFC\xDF 2\n", &adt("A3")] {
            input.send(message);
            assert_eq!(input.frame(), b"\x06");
            assert_eq!(output.frame().escape_ascii().to_string(), message.escape_ascii().to_string());
            output.send(b"\x06");
        }
        router.wait_for_log("out - INFO - message 3 delivered");
        router.end();
    }
}

#[test]
fn without_acknowledgments_none_is_sent_and_none_expected() {
    for use_hl7 in ["True", "False"] {
        let options = format!("useack = False\nusehl7 = {use_hl7}");
        let (mut router, mut input, mut output) = route(true, false, &options);
        for message in adts("A", 20) {
            input.send(&message);
        }
        for message in adts("A", 20) {
            assert_eq!(output.frame(), message);
        }
        // Answers that come all the same change nothing, refusals neither.
        output.send(&acknowledgment(&adt("A019"), "AE"));
        output.send(b"\x15");
        input.send(&adt("B"));
        assert_eq!(output.frame(), adt("B"));
        input.half_close();
        input.closed();
        router.wait_for_log("out - INFO - message 21 delivered");
        assert!(!router.log().contains("dead letter"), "{}", router.log());
        router.end();
    }
}

#[test]
fn every_output_of_a_queue_gets_every_message_of_its_inputs() {
    let (a, b) = (Peer::listen(), Peer::listen());
    let hl7 = "usehl7 = True";
    let router = Setup::new()
        .server_in("in1", hl7)
        .server_in("in2", hl7)
        .file_in("files", hl7)
        .client_out("out1", a.port(), hl7)
        .file_out("out2", hl7)
        .server_in("other-in", "usehl7 = True\nqueuename = other")
        .client_out("other-out", b.port(), "usehl7 = True\nqueuename = other")
        .file_out("other-files", "queuename = other")
        .start();
    let (mut in1, mut in2, mut other) =
        (router.connect("in1"), router.connect("in2"), router.connect("other-in"));
    for number in 0..10 {
        in1.exchange(&adt(&format!("A{number}")), &format!("AA A{number}"));
        other.exchange(&adt(&format!("X{number}")), &format!("AA X{number}"));
        in2.exchange(&adt(&format!("B{number}")), &format!("AA B{number}"));
        std::fs::write(router.dir.join(format!("files/{number}")), adt(&format!("C{number}"))).unwrap();
    }
    let (mut a, mut b) = (a.accept(), b.accept());
    let sent: Vec<Vec<u8>> = (0..30).map(|_| a.take()).collect();
    let other: Vec<String> = (0..10).map(|_| control_id(&b.take())).collect();
    assert_eq!(router.files("out2", 30), sent, "the same messages in the same order at both outputs");
    for input in ["A", "B", "C"] {
        let ids: Vec<String> = sent.iter().map(|message| control_id(message)).collect();
        let of_input: Vec<&String> = ids.iter().filter(|id| id.starts_with(input)).collect();
        assert_eq!(
            of_input,
            (0..10).map(|number| format!("{input}{number}")).collect::<Vec<_>>().iter().collect::<Vec<_>>()
        );
    }
    assert_eq!(other, (0..10).map(|number| format!("X{number}")).collect::<Vec<_>>());
    assert_eq!(router.files("other-files", 10).len(), 10);
}

#[test]
fn an_output_that_hangs_holds_up_no_other() {
    let hanging = Peer::listen();
    let mut router = Setup::new()
        .server_in("in", "usehl7 = True")
        .client_out("hanging", hanging.port(), "usehl7 = True")
        .file_out("files", "")
        .start();
    let mut input = router.connect("in");
    let messages = adts("A", 30);
    for message in &messages {
        input.exchange(message, &format!("AA {}", control_id(message)));
    }
    assert_eq!(router.files("files", 30), messages);
    // It has read one message by now, and answers at last.
    let mut hanging = hanging.accept();
    for message in &messages {
        assert_eq!(hanging.take(), *message);
    }
    router.wait_for_log("hanging - INFO - message 30 delivered");
    router.end();
}

#[test]
fn ipv6_and_host_names() {
    let receiver = port();
    let router = Setup::new()
        .server_in("six", "usehl7 = True\nipaddr = ::1")
        .server_in("named", "usehl7 = True\nipaddr = localhost")
        .client_out("out", receiver, "usehl7 = True\nipaddr = localhost")
        .file_out("files", "")
        .start();
    let at = |name: &str| SocketAddr::from((Ipv6Addr::LOCALHOST, router.port(name)));
    Link::connect(at("six")).exchange(&adt("A1"), "AA A1");
    // A name stands for every address it has: 127.0.0.1 at least.
    router.connect("named").exchange(&adt("A2"), "AA A2");
    // The receiver is found although only one of the name's addresses takes connections, and only now.
    let receiver = Peer::listen_on(receiver);
    let mut receiver = receiver.accept();
    assert_eq!([receiver.take(), receiver.take()], [adt("A1"), adt("A2")]);
    assert_eq!(router.files("files", 2), [adt("A1"), adt("A2")]);
}

#[test]
fn delimiters_of_one_and_of_several_bytes() {
    let cases: [(&str, [&[u8]; 3]); 3] = [
        ("sob = chr(0x0b)\neod = chr(28)\neob = chr(0x0d)", [b"\x0b", b"\x1c", b"\r"]),
        ("sob = chr(2)\neod = chr(3)\neob = ''", [b"\x02", b"\x03", b""]),
        (
            "sob = \"START-BLOCK\"\neod = \"END-DATA\"\neob = \"END\" + chr(11)",
            [b"START-BLOCK", b"END-DATA", b"END\x0b"],
        ),
    ];
    for (options, [sob, eod, eob]) in cases {
        for use_hl7 in ["True", "False"] {
            let receiver = Peer::listen();
            let options = format!("{options}\nusehl7 = {use_hl7}");
            let router =
                Setup::new().server_in("in", &options).client_out("out", receiver.port(), &options).start();
            let wrapped = |message: &[u8]| [sob, message, eod, eob].concat();
            let end = [eod, eob].concat();
            let (mut input, mut output) = (router.connect("in"), receiver.accept());
            for id in ["A1", "A2"] {
                // In single bytes, so that every delimiter is cut in two.
                for byte in wrapped(&adt(id)) {
                    input.raw(&[byte]);
                }
                let answer = input.until(&end).unwrap();
                let answer = &answer[sob.len()..answer.len() - end.len()];
                let expected = if use_hl7 == "True" { format!("AA {id}") } else { "\\x06".to_owned() };
                assert_eq!(verdict(answer), expected);
                assert_eq!(output.until(&end).unwrap(), wrapped(&adt(id)));
                let ack = if use_hl7 == "True" { acknowledgment(&adt(id), "AA") } else { vec![6] };
                output.raw(&wrapped(&ack));
            }
            router.wait_for_log("message 2 delivered");
        }
    }
}

/// A message that asks for acknowledgments by MSH-15 and MSH-16.
fn enhanced(id: &str, accept: &str, application: &str) -> Vec<u8> {
    format!("MSH|^~\\&|LAB|L|ADT|A|20260101||ADT^A01|{id}|P|2.3|||{accept}|{application}\rPID|1\r")
        .into_bytes()
}

#[test]
fn enhanced_mode_is_answered_as_the_message_asks() {
    let router = Setup::new().server_in("in", "usehl7 = True").file_out("out", "").start();
    let mut input = router.connect("in");
    let cases = [
        ("", "", Some("AA")),
        ("AL", "", Some("CA")),
        ("AL", "NE", Some("CA")),
        ("AL", "AL", Some("CA")),
        ("SU", "AL", Some("CA")),
        ("ER", "AL", None),
        ("ER", "", None),
        ("NE", "AL", Some("AA")),
        ("", "AL", Some("AA")),
        ("NE", "SU", Some("AA")),
        ("NE", "ER", None),
        ("NE", "NE", None),
        ("NE", "", None),
        ("", "NE", None),
    ];
    for (number, (accept, application, expected)) in cases.into_iter().enumerate() {
        let id = format!("E{number}");
        input.send(&enhanced(&id, accept, application));
        if let Some(code) = expected {
            assert_eq!(verdict(&input.frame()), format!("{code} {id}"), "{accept}/{application}");
        }
    }
    // Silence where none was due: the next answer is this message's.
    input.exchange(&adt("LAST"), "AA LAST");
    assert_eq!(router.files("out", cases.len() + 1).len(), cases.len() + 1);
}

#[test]
fn enhanced_mode_awaits_what_the_message_asks_for() {
    let receiver = Peer::listen();
    let router = Setup::new().file_in("in", "").client_out("out", receiver.port(), "usehl7 = True").start();
    let put = |id: &str, accept: &str, application: &str| {
        super::support::put(router.dir.join(format!("in/{id}")), &enhanced(id, accept, application));
    };
    put("1", "NE", "NE");
    let mut output = receiver.accept();
    assert_eq!(control_id(&output.frame()), "1");
    router.wait_for_log("message 1 delivered");
    put("2", "AL", "AL");
    let second = output.frame();
    output.send(&acknowledgment(&second, "CA"));
    router.wait_for_log("message 2 delivered");
    // The application's answer to it comes while the next one waits for its own.
    put("3", "", "");
    let third = output.frame();
    output.send(&acknowledgment(&second, "AA"));
    router.wait_for_log("a later AA for a message delivered before");
    output.send(&acknowledgment(&second, "AE"));
    // That the application could not take a message after all is for a person to see.
    let line = router.wait_for_log("a later AE");
    assert!(line.contains("out - ERROR - "), "{line}");
    assert!(!router.log().contains("message 3 delivered"));
    output.send(&acknowledgment(&third, "AA"));
    router.wait_for_log("message 3 delivered");
}

#[test]
fn odd_headers() {
    let receiver = Peer::listen();
    let router = Setup::new()
        .server_in("in", "usehl7 = True")
        .client_out("out", receiver.port(), "usehl7 = True")
        .start();
    let (mut input, mut output) = (router.connect("in"), receiver.accept());
    // No control id: it is echoed empty.
    input.exchange(&adt(""), "AA ");
    assert_eq!(output.take(), adt(""));
    // Other delimiters: the answer uses them too.
    let message = b"MSH#*~\\&#LAB#L#ADT#A#20260101##ADT*A01#D1#P#2.3\rPID#1\r";
    input.send(message);
    let answer = input.answer();
    assert!(answer.starts_with("MSH#*~\\&#ADT#A#LAB#L#2"), "{answer}");
    assert!(answer.ends_with("#P#2.3\rMSA#AA#D1\r"), "{answer}");
    assert_eq!(output.frame(), message);
    output.send(b"MSH#*~\\&#ADT\rMSA#AA#D1\r");
    // A header that ends early, a type that does not exist.
    let short = b"MSH|^~\\&|\r";
    input.exchange(short, "AA ");
    assert_eq!(output.take(), short);
    // An acknowledgment is passed on and not answered.
    let ack = acknowledgment(&adt("Z"), "AA");
    input.send(&ack);
    assert_eq!(output.take(), ack);
    input.exchange(&adt("LAST"), "AA LAST");
    assert_eq!(output.take(), adt("LAST"));
    router.wait_for_log("message 5 delivered");
}

#[test]
fn many_messages_in_one_write_are_answered_in_order() {
    let router = Setup::new().server_in("in", "usehl7 = True").file_out("out", "").start();
    let messages = adts("A", 500);
    let all: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    let mut input = router.connect("in");
    input.raw(&all);
    input.half_close();
    for message in &messages {
        assert_eq!(verdict(&input.frame()), format!("AA {}", control_id(message)));
    }
    input.closed();
    assert_eq!(router.files("out", 500), messages);
}
