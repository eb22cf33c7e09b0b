//! Outgoing connections whose receivers come late, hang, close or refuse: nothing is lost, and the order is kept.

use super::support::{Link, Peer, Router, Setup, acknowledgment, adt, adts, control_id, frame};

const HL7: &str = "usehl7 = True";

/// A router from files to a receiver that we are, with messages `A000` on waiting.
fn waiting(count: usize, options: &str) -> (Router, Peer) {
    let receiver = Peer::listen();
    let options = format!("{HL7}\n{options}");
    let setup = Setup::new().file_in("in", "settle = 0").client_out("out", receiver.port(), &options);
    for (number, message) in adts("A", count).iter().enumerate() {
        setup.dir.write(format!("in/{number:03}"), message);
    }
    (setup.start(), receiver)
}

#[test]
fn a_receiver_that_closes_or_breaks_off_gets_the_message_again() {
    let (mut router, receiver) = waiting(10, "timeout = 20");
    let messages = adts("A", 10);
    // Before anything was read, and within the frame.
    drop(receiver.accept());
    let mut link = receiver.accept();
    assert!(link.until(b"PID").is_ok());
    drop(link);
    // After it, within an answer; and its writing end only.
    let mut link = receiver.accept();
    assert_eq!(link.take(), messages[0]);
    assert_eq!(link.frame(), messages[1]);
    drop(link);
    let mut link = receiver.accept();
    assert_eq!(link.frame(), messages[1]);
    link.raw(b"\x0bMSH|^~\\&|ADT\rMSA|AA|A00");
    drop(link);
    let mut link = receiver.accept();
    assert_eq!(link.frame(), messages[1]);
    link.half_close();
    link.closed();
    // Now it works, for two messages.
    let mut link = receiver.accept();
    assert_eq!([link.take(), link.take()], messages[1..3]);
    assert_eq!(link.frame(), messages[3]);
    drop(link);
    let mut link = receiver.accept();
    for message in &messages[3..] {
        assert_eq!(link.take(), *message);
    }
    router.wait_for_log("message 10 delivered");
    assert!(router.log().contains("closed by the receiver; message 2 is sent again"), "{}", router.log());
    router.end();
}

#[test]
fn a_receiver_that_hangs_is_dropped_and_gets_the_message_again() {
    let (router, receiver) = waiting(3, "timeout = 0.3");
    let mut link = receiver.accept();
    assert_eq!(link.frame(), adt("A000"));
    // Its connection is closed, so that a late answer counts for nothing.
    link.closed();
    router.wait_for_log("no answer within 0.3 s; message 1 is sent again");
    let mut link = receiver.accept();
    for message in adts("A", 3) {
        assert_eq!(link.take(), message);
    }
    router.wait_for_log("message 3 delivered");
}

#[test]
fn a_slow_receiver_is_not_one_that_hangs() {
    // 200 bytes at 400 a second take longer than the receiver may owe an answer.
    let receiver = Peer::listen();
    let router = Setup::new()
        .file_in("in", "settle = 0")
        .client_out("out", receiver.port(), "usehl7 = True\ntimeout = 0.4\ndebug = {\"slow\":200}")
        .start();
    let message = [adt("A"), vec![b'x'; 200]].concat();
    router.dir.write("in/1", &message);
    let mut link = receiver.accept();
    assert_eq!(link.take(), message);
    router.wait_for_log("message 1 delivered");
    assert!(!router.log().contains("sent again"), "{}", router.log());
}

#[test]
fn a_receiver_that_comes_late_gets_all() {
    let port = super::support::port();
    let mut router =
        Setup::new().server_in("in", HL7).client_out("out", port, HL7).file_out("files", "").start();
    let messages = adts("A", 100);
    let mut input = router.connect("in");
    for message in &messages {
        input.exchange(message, &format!("AA {}", control_id(message)));
    }
    router.files("files", 100);
    router.wait_for_log("cannot connect: Connection refused");
    let mut link = Peer::listen_on(port).accept();
    for message in &messages {
        assert_eq!(link.take(), *message);
    }
    router.wait_for_log("message 100 delivered");
    router.end();
}

#[test]
fn the_longest_connected_receiver_is_served_and_the_next_takes_over() {
    let router =
        Setup::new().server_in("in", HL7).server_out("out", &format!("{HL7}\ntimeout = 0.5")).start();
    let mut input = router.connect("in");
    // Each is known to have connected before the next one does.
    let connect = |count: usize| -> Link {
        let link = router.connect("out");
        router.wait("a connection", || router.log().matches("out - INFO - 127.0.0.1:").count() >= count);
        link
    };
    let mut first = connect(1);
    let mut second = connect(2);
    let gone = connect(3);
    let mut third = connect(4);
    input.exchange(&adt("A1"), "AA A1");
    input.exchange(&adt("A2"), "AA A2");
    assert_eq!(first.take(), adt("A1"));
    assert_eq!(first.frame(), adt("A2"));
    // It goes with a message unanswered: the next one gets it.
    drop(first);
    assert_eq!(second.take(), adt("A2"));
    // One that went away while it waited is passed over; one that does not answer is dropped.
    drop(gone);
    input.exchange(&adt("A3"), "AA A3");
    assert_eq!(second.frame(), adt("A3"));
    second.closed();
    assert_eq!(third.take(), adt("A3"));
    router.wait_for_log("message 3 delivered");
}

#[test]
fn receivers_that_only_look_in_keep_no_place() {
    let router = Setup::new().server_in("in", HL7).server_out("out", HL7).start();
    let mut input = router.connect("in");
    let mut served = router.connect("out");
    input.exchange(&adt("A1"), "AA A1");
    assert_eq!(served.take(), adt("A1"));
    // A monitor that connects and goes, more often than receivers may wait.
    for _ in 0..100 {
        router.connect("out");
    }
    let mut standby = router.connect("out");
    drop(served);
    input.exchange(&adt("A2"), "AA A2");
    assert_eq!(standby.take(), adt("A2"));
    assert!(!router.log().contains("refused"), "{}", router.log());
}

#[test]
fn an_answer_counts_only_for_the_message_it_names() {
    let (router, receiver) = waiting(2, "");
    let mut link = receiver.accept();
    assert_eq!(link.frame(), adt("A000"));
    // Another message's, none at all, one without MSA, an unknown code; then one that names no message.
    link.send(&acknowledgment(&adt("OTHER"), "AA"));
    link.send(b"AA");
    link.send(b"MSH|^~\\&|ADT\r");
    link.send(b"MSH|^~\\&|ADT\rMSA|OK|A000\r");
    for why in ["MSA-2 is \"OTHER\", expected \"A000\"", "no MSH segment", "MSA-1 is \"\"", "MSA-1 is \"OK\""]
    {
        let line = router.wait_for_log(why);
        assert!(line.contains("out - ERROR - ") && line.contains("not credited"), "{line}");
    }
    assert!(!router.log().contains("delivered"), "{}", router.log());
    link.send(b"MSH|^~\\&|ADT\rMSA|AA\r");
    assert_eq!(link.take(), adt("A001"));
    router.wait_for_log("message 2 delivered");
}

#[test]
fn refusals_of_content_are_dead_letters_and_others_are_tried_again() {
    let (mut router, receiver) = waiting(5, "");
    let mut link = receiver.accept();
    let mut answer = |expected: &str, code: &str| {
        assert_eq!(link.frame(), adt(expected));
        link.send(&acknowledgment(&adt(expected), code));
    };
    answer("A000", "AE");
    answer("A001", "AR");
    answer("A001", "AR");
    answer("A001", "AA");
    answer("A002", "CR");
    answer("A003", "CE");
    answer("A003", "CA");
    answer("A004", "AA");
    router.wait_for_log("message 5 delivered");
    let dead: Vec<String> =
        router.log().lines().filter(|line| line.contains("dead letter")).map(str::to_owned).collect();
    assert_eq!(dead.len(), 2, "{dead:?}");
    assert!(dead[0].contains("message 1 ") && dead[1].contains("message 3 "), "{dead:?}");
    router.end();
}

#[test]
fn a_receiver_that_refuses_everything_does_not_empty_the_queue() {
    let (mut router, receiver) = waiting(5, "");
    let mut link = receiver.accept();
    for number in 0..3 {
        let message = adt(&format!("A{number:03}"));
        assert_eq!(link.frame(), message);
        link.send(&acknowledgment(&message, "AE"));
    }
    // The fourth is tried until it is taken.
    for code in ["AE", "AE", "AA"] {
        assert_eq!(link.frame(), adt("A003"));
        link.send(&acknowledgment(&adt("A003"), code));
    }
    assert_eq!(link.take(), adt("A004"));
    router.wait_for_log("message 5 delivered");
    assert!(router.log().contains("3 dead letters in a row: the queue is held"), "{}", router.log());
    router.end();
}

#[test]
fn a_message_that_no_frame_can_hold_does_not_block_the_queue() {
    let (router, receiver) = waiting(0, "");
    router.dir.write("in/1", b"MSH|^~\\&|LAB\rOBX|1\x1c\r");
    let line = router.wait_for_log("cannot be framed");
    assert!(line.contains("out - ERROR - message 1: "), "{line}");
    router.dir.write("in/2", adt("A"));
    assert_eq!(receiver.accept().take(), adt("A"));
}

#[test]
fn messages_of_any_length_arrive_whole() {
    let receiver = Peer::listen();
    let router = Setup::new()
        .server_in("in", HL7)
        .client_out("out", receiver.port(), HL7)
        .file_out("files", "")
        .start();
    let mut input = router.connect("in");
    let message = [adt("BIG"), b"OBX|1|ED|".to_vec(), vec![b'Q'; 5 << 20], b"\r".to_vec()].concat();
    let bytes = frame(&message);
    let mut stream = input.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stream, &bytes).unwrap());
    assert_eq!(super::support::verdict(&input.frame()), "AA BIG");
    writer.join().unwrap();
    let mut link = receiver.accept();
    let mut heard = vec![0; message.len() + 3];
    std::io::Read::read_exact(&mut link.stream, &mut heard).unwrap();
    assert!(heard == frame(&message));
    link.send(&acknowledgment(&adt("BIG"), "AA"));
    assert!(router.files("files", 1)[0] == message);
    router.wait_for_log("out - INFO - message 1 delivered");
}
