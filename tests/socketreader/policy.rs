//! What follows from each answer of a receiver, as sequences of what it got; and what happens when too much waits.

use super::support::{Peer, Router, Setup, acknowledgment, adt, adts, control_id, verdict};

/// A router from files to a receiver that we are, with messages `A000` on waiting.
fn waiting(count: usize, options: &str) -> (Router, Peer) {
    let receiver = Peer::listen();
    let options = format!("usehl7 = True\n{options}");
    let setup = Setup::new().file_in("in", "settle = 0").client_out("out", receiver.port(), &options);
    for (number, message) in adts("A", count).iter().enumerate() {
        setup.dir.write(format!("in/{number:03}"), message);
    }
    (setup.start(), receiver)
}

/// Answers what comes by these codes, one after the other; gives the control ids in the order in which they came.
fn dialogue(receiver: &Peer, codes: &str) -> String {
    let mut link = receiver.accept();
    let mut heard = Vec::new();
    for code in codes.split(' ') {
        let message = link.frame();
        heard.push(control_id(&message));
        match code {
            "NAK" => link.raw(b"\x0b\x15\x1c\r"),
            "ACK" => link.raw(b"\x0b\x06\x1c\r"),
            code => link.send(&acknowledgment(&message, code)),
        }
    }
    heard.join(" ")
}

/// The numbers of the dead letters, from the log.
fn dead(router: &Router) -> Vec<String> {
    let log = router.log();
    let lines = log.lines().filter(|line| line.contains("is a dead letter"));
    lines.map(|line| line.split("message ").nth(1).unwrap().split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn dead_is_at_once_for_ae_and_cr_and_after_retries_for_the_others() {
    for (code, tries) in [("AE", 1), ("CR", 1), ("AR", 2), ("CE", 2), ("NAK", 2)] {
        let (mut router, receiver) = waiting(2, "retries = 2");
        let codes = [vec![code; tries], vec!["AA"]].concat().join(" ");
        let heard = [vec!["A000"; tries], vec!["A001"]].concat().join(" ");
        assert_eq!(dialogue(&receiver, &codes), heard, "{code}");
        router.wait_for_log("message 2 delivered");
        assert_eq!(dead(&router), ["1"], "{code}");
        router.end();
    }
}

#[test]
fn retry_sends_again_until_it_is_taken() {
    for (option, code) in
        [("onae", "AE"), ("onar", "AR"), ("oncommiterror", "CE"), ("oncommitreject", "CR"), ("onnak", "NAK")]
    {
        let (mut router, receiver) = waiting(2, &format!("{option} = retry\nretries = 1"));
        let heard = dialogue(&receiver, &format!("{code} {code} AA AA"));
        assert_eq!(heard, "A000 A000 A000 A001", "{code}");
        router.wait_for_log("message 2 delivered");
        assert_eq!(dead(&router), Vec::<String>::new(), "{code}");
        router.end();
    }
}

#[test]
fn other_answers_keep_their_own_policy() {
    let (mut router, receiver) = waiting(2, "onar = retry\nretries = 1");
    assert_eq!(dialogue(&receiver, "AR CE AA"), "A000 A000 A001");
    router.wait_for_log("message 2 delivered");
    assert_eq!(dead(&router), ["1"]);
    router.end();
}

#[test]
fn stop_sends_nothing_more_also_after_a_restart() {
    for (option, code) in [("onae", "AE"), ("onnak", "NAK")] {
        let (mut router, receiver) = waiting(2, &format!("{option} = stop"));
        assert_eq!(dialogue(&receiver, code), "A000");
        let line = router.wait_for_log("stopped, message 1 was answered");
        assert!(line.contains(code) && line.contains("socketreader --resume out"), "{line}");
        router.wait("the pause on disk", || router.dir.join("state/pauses").exists());
        router.end();
        router.restart();
        let link = receiver.accept();
        // It would be sent at once.
        router.wait_for_log("out - INFO - 127.0.0.1:");
        router.end();
        let mut link = link;
        link.closed();
        assert_eq!(dead(&router), Vec::<String>::new());
    }
}

#[test]
fn a_breaker_of_another_size_and_none() {
    let (mut router, receiver) = waiting(3, "breaker = 1");
    assert_eq!(dialogue(&receiver, "AE AE AA AA"), "A000 A001 A001 A002");
    router.wait_for_log("message 3 delivered");
    assert_eq!(dead(&router), ["1"]);
    router.end();
    let (mut router, receiver) = waiting(6, "breaker = 0");
    assert_eq!(dialogue(&receiver, "AE AE AE AE AE AA"), "A000 A001 A002 A003 A004 A005");
    router.wait_for_log("message 6 delivered");
    assert_eq!(dead(&router), ["1", "2", "3", "4", "5"]);
    router.end();
}

#[test]
fn a_delivery_ends_the_row_of_dead_letters() {
    let (mut router, receiver) = waiting(6, "breaker = 2");
    assert_eq!(dialogue(&receiver, "AE AA AE AA AE AA"), "A000 A001 A002 A003 A004 A005");
    router.wait_for_log("message 6 delivered");
    assert_eq!(dead(&router), ["1", "3", "5"]);
    router.end();
}

#[test]
fn strict_asks_for_the_control_id_and_off_does_not_look() {
    let (router, receiver) = waiting(1, "matchack = strict");
    let mut link = receiver.accept();
    assert_eq!(link.frame(), adt("A000"));
    link.send(b"MSH|^~\\&|ADT\rMSA|AA\r");
    router.wait_for_log("MSA-2 is \"\", expected \"A000\": not credited");
    assert!(!router.log().contains("delivered"), "{}", router.log());
    link.send(&acknowledgment(&adt("A000"), "AA"));
    router.wait_for_log("message 1 delivered");

    let (router, receiver) = waiting(1, "matchack = off");
    let mut link = receiver.accept();
    assert_eq!(link.frame(), adt("A000"));
    link.send(&acknowledgment(&adt("OTHER"), "AA"));
    router.wait_for_log("message 1 delivered");
}

#[test]
fn senders_are_told_to_try_later_when_too_much_waits() {
    let receiver = Peer::listen();
    let mut router = Setup::new()
        .server_in("in", "usehl7 = True")
        .server_in("commits", "")
        .client_out("out", receiver.port(), "usehl7 = True\nmaxpending = 3")
        .file_out("files", "")
        .start();
    let mut link = router.connect("in");
    for message in adts("A", 3) {
        link.exchange(&message, &format!("AA {}", control_id(&message)));
    }
    link.send(&adt("A003"));
    let answer = link.answer();
    assert_eq!(verdict(answer.as_bytes()), "AR A003");
    assert!(answer.contains("try later: 3 messages wait for out"), "{answer}");
    let mut commits = router.connect("commits");
    commits.send(&adt("B"));
    assert_eq!(commits.frame(), b"\x15");
    // Its receiver takes them: there is room again.
    assert_eq!(dialogue(&receiver, "AA AA AA"), "A000 A001 A002");
    router.wait_for_log("in - WARNING - messages are taken again");
    link.exchange(&adt("A003"), "AA A003");
    // What was refused went nowhere.
    assert_eq!(router.files("files", 4).len(), 4);
    router.end();
}

#[test]
fn who_would_not_hear_it_is_not_read_and_files_stay_when_too_much_waits() {
    let receiver = Peer::listen();
    let mut router = Setup::new()
        .server_in("silent", "useack = False")
        .file_in("in", "settle = 0")
        .client_out("out", receiver.port(), "usehl7 = True\nmaxpending = 2")
        .start();
    let mut link = router.connect("silent");
    for message in adts("A", 4) {
        link.send(&message);
    }
    router.wait_for_log("silent - WARNING - nothing is taken: ");
    router.dir.write("in/1", adt("F"));
    router.wait_for_log("in - WARNING - no file is taken: ");
    assert_eq!(router.dir.list("in"), ["1"]);
    let mut link = receiver.accept();
    let mut heard: Vec<String> = (0..5).map(|_| control_id(&link.take())).collect();
    assert_eq!(heard.iter().filter(|id| id.starts_with('A')).count(), 4);
    heard.retain(|id| id.starts_with('A'));
    assert_eq!(heard, ["A000", "A001", "A002", "A003"]);
    router.wait("the file to be taken", || router.dir.list("in").is_empty());
    router.end();
}

#[test]
fn an_hour_of_refusals_costs_no_dead_letters_but_the_first() {
    // At the usual pauses of up to 30 s an hour has 120 attempts; here it is compressed by shorter ones.
    const ATTEMPTS: usize = 120;
    let (mut router, receiver) = waiting(50, "maxpause = 0.01\nretries = 2\nbreaker = 3");
    let mut link = receiver.accept();
    let mut heard = Vec::new();
    let mut next = |code: &str| {
        let message = link.frame();
        link.send(&acknowledgment(&message, code));
        heard.push(control_id(&message));
    };
    (0..3 * 2 + ATTEMPTS).for_each(|_| next("AR"));
    (3..50).for_each(|_| next("AA"));
    let expected = ["A000", "A001", "A002"].iter().flat_map(|id| [*id; 2]);
    let expected = expected.chain([["A003"; ATTEMPTS]].into_iter().flatten());
    let mut expected: Vec<String> = expected.map(str::to_owned).collect();
    expected.extend((3..50).map(|number| format!("A{number:03}")));
    assert_eq!(heard, expected);
    router.wait_for_log("message 50 delivered");
    assert_eq!(dead(&router), ["1", "2", "3"]);
    let out = router.out();
    assert_eq!((&out["delivered"], &out["dead"], &out["pending"]), (&47.into(), &3.into(), &0.into()));
    router.end();
}
