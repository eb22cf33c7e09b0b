//! MLLP release 2 with HL7 acknowledgments (`mllp2`): messages are committed, then answered, and the answers are committed.

use std::time::{Duration, Instant};

use super::support::{
    Link, Peer, Router, Setup, acknowledgment, adt, adts, control_id, frame, port, verdict,
};
use crate::support::{hl7, listen};

const HL7: &str = "usehl7 = True\nmllp2 = True";
const ACK: &[u8] = b"\x06";
const NAK: &[u8] = b"\x15";

/// A router that takes messages, and writes them to files.
fn taking(options: &str) -> Router {
    Setup::new().server_in("in", &format!("{HL7}\n{options}")).file_out("out", "").start()
}

/// Reads the commit block and the acknowledgment of a message, and commits that.
#[track_caller]
fn committed(link: &mut Link, expected: &str) {
    assert_eq!(link.frame(), ACK);
    assert_eq!(verdict(&link.frame()), expected);
    link.send(ACK);
}

#[test]
fn a_message_is_committed_and_answered() {
    let mut router = taking("");
    let mut link = router.connect("in");
    for message in adts("A", 20) {
        link.send(&message);
        committed(&mut link, &format!("AA {}", control_id(&message)));
    }
    // No acknowledgment is asked for, and an acknowledgment itself: each is committed all the same.
    link.send(b"MSH|^~\\&|LAB|L|ADT|A|20260101||ADT^A01|NE|P|2.3|||NE|NE\r");
    assert_eq!(link.frame(), ACK);
    link.send(&acknowledgment(&adt("X"), "AA"));
    assert_eq!(link.frame(), ACK);
    link.half_close();
    link.closed();
    assert_eq!(router.files("out", 22)[..20], adts("A", 20)[..]);
    assert!(!router.log().contains(" - ERROR - "), "{}", router.log());
    router.end();
}

#[test]
fn acknowledgments_leave_one_at_a_time() {
    let router = taking("");
    let mut link = router.connect("in");
    link.raw(&adts("A", 3).iter().flat_map(|message| frame(message)).collect::<Vec<u8>>());
    // Each message has its commit block at once, the first acknowledgment comes between or behind them.
    let heard: Vec<Vec<u8>> = (0..4).map(|_| link.frame()).collect();
    assert_eq!(heard.iter().filter(|block| *block == ACK).count(), 3, "{heard:?}");
    let reply = heard.iter().find(|block| *block != ACK).unwrap();
    assert_eq!(verdict(reply), "AA A000");
    // It is refused, and comes again; the others wait.
    link.send(NAK);
    assert_eq!(link.frame(), *reply);
    link.send(ACK);
    assert_eq!(verdict(&link.frame()), "AA A001");
    for _ in 0..2 {
        link.send(NAK);
        assert_eq!(verdict(&link.frame()), "AA A001");
    }
    link.send(NAK);
    router.wait_for_log("our acknowledgment was answered NAK too often");
    assert_eq!(verdict(&link.frame()), "AA A002");
    link.send(ACK);
    // One more than was sent.
    link.send(ACK);
    router.wait_for_log("framing error 1: ");
    router.files("out", 3);
}

#[test]
fn a_peer_that_commits_nothing_is_closed() {
    let router = taking("timeout = 0.5");
    let mut link = router.connect("in");
    link.send(&adt("A"));
    assert_eq!(link.frame(), ACK);
    assert_eq!(verdict(&link.frame()), "AA A");
    link.closed();
    router.wait_for_log("no commit block for our acknowledgment within 0.5 s, closed");
    assert_eq!(router.files("out", 1), [adt("A")]);
}

#[test]
fn a_peer_may_be_far_ahead_of_its_commit_blocks() {
    let router = taking("");
    let mut link = router.connect("in");
    let messages: Vec<Vec<u8>> = (0..3000).map(|number| adt(&format!("A{number}"))).collect();
    let bytes: Vec<u8> = messages.iter().flat_map(|message| frame(message)).collect();
    let mut stream = link.stream.try_clone().unwrap();
    let writer = std::thread::spawn(move || std::io::Write::write_all(&mut stream, &bytes).unwrap());
    let (mut commits, mut replies) = (0, 0);
    while commits + replies < 6000 {
        let block = link.frame();
        if block == ACK {
            commits += 1;
        } else {
            assert_eq!(verdict(&block), format!("AA A{replies}"));
            replies += 1;
            link.send(ACK);
        }
    }
    writer.join().unwrap();
    assert_eq!((commits, replies), (3000, 3000));
}

#[test]
fn acknowledgments_that_nobody_commits_are_bounded() {
    let router = taking("");
    let mut link = router.connect("in");
    // The acknowledgment repeats the name of the sender, which is long.
    let long = "L".repeat(64 << 10);
    let message = format!("MSH|^~\\&|{long}|L|ADT|A|20260101||ADT^A01|X|P|2.3\r").into_bytes();
    for number in 0.. {
        assert!(number < 100, "not closed");
        link.send(&message);
        match link.try_frame() {
            Ok(block) if block != ACK => assert_eq!(link.frame(), ACK),
            Ok(_) => {}
            Err(_) => break,
        }
    }
    router.wait_for_log("closed, more than 4194304 bytes of acknowledgments wait for its commit blocks");
}

#[test]
fn whoever_half_closes_gets_all_answers() {
    let router = taking("");
    let mut link = router.connect("in");
    link.raw(&adts("A", 3).iter().flat_map(|message| frame(message)).collect::<Vec<u8>>());
    link.half_close();
    let heard: Vec<Vec<u8>> = (0..6).map(|_| link.frame()).collect();
    let replies: Vec<String> =
        heard.iter().filter(|block| *block != ACK).map(|reply| verdict(reply)).collect();
    assert_eq!(replies, ["AA A000", "AA A001", "AA A002"]);
    link.closed();
}

#[test]
fn the_end_of_the_router_waits_for_no_commit_block() {
    let mut router = taking("");
    let mut link = router.connect("in");
    link.raw(&adts("A", 3).iter().flat_map(|message| frame(message)).collect::<Vec<u8>>());
    let mut heard: Vec<Vec<u8>> = (0..4).map(|_| link.frame()).collect();
    router.end();
    while let Ok(block) = link.try_frame() {
        heard.push(block);
    }
    assert_eq!(heard.iter().filter(|block| *block != ACK).count(), 3, "{heard:?}");
}

#[test]
fn what_is_not_stored_is_refused_without_an_answer() {
    let router = taking("maxsize = 1K");
    let mut link = router.connect("in");
    link.send(b"PID|1||no message\r");
    assert_eq!(link.frame(), NAK);
    link.send(&[adt("LONG"), vec![b'x'; 2000]].concat());
    assert_eq!(link.frame(), NAK);
    link.send(&adt("A"));
    committed(&mut link, "AA A");
    assert_eq!(router.files("out", 1), [adt("A")]);

    // Nobody takes what goes out: the second is to be sent later.
    let full = Setup::new()
        .server_in("in", HL7)
        .client_out("out", port(), &format!("{HL7}\nmaxpending = 1"))
        .server_in("no", &format!("{HL7}\ndebug = {{\"nack\":True}}\nqueuename = no"))
        .file_out("files", "queuename = no")
        .start();
    let mut link = full.connect("in");
    link.send(&adt("A"));
    committed(&mut link, "AA A");
    link.send(&adt("B"));
    assert_eq!(link.frame(), NAK);
    // It asks for no acknowledgment, and hears it all the same.
    link.send(b"MSH|^~\\&|LAB|L|ADT|A|20260101||ADT^A01|NE|P|2.3|||NE|NE\r");
    assert_eq!(link.frame(), NAK);
    let mut link = full.connect("no");
    link.send(&adt("C"));
    assert_eq!(link.frame(), NAK);
}

/// A router from files to a receiver that we are, with these messages waiting.
fn bringing(messages: &[Vec<u8>], options: &str) -> (Router, Peer) {
    let receiver = Peer::listen();
    let options = format!("{HL7}\n{options}");
    let setup = Setup::new().file_in("in", "settle = 0").client_out("out", receiver.port(), &options);
    for (number, message) in messages.iter().enumerate() {
        setup.dir.write(format!("in/{number:03}"), message);
    }
    (setup.start(), receiver)
}

/// Commits and acknowledges a message, and reads the commit block of that.
#[track_caller]
fn accept(link: &mut Link, message: &[u8]) {
    link.send(ACK);
    link.send(&acknowledgment(message, "AA"));
    assert_eq!(link.frame(), ACK);
}

#[test]
fn the_answer_delivers_and_is_committed() {
    let messages = adts("A", 3);
    let (mut router, receiver) = bringing(&messages, "timeout = 1");
    let mut link = receiver.accept();
    assert_eq!(link.frame(), messages[0]);
    accept(&mut link, &messages[0]);
    assert_eq!(link.frame(), messages[1]);
    // Committed at half time, but never answered: it is not delivered, and the time begins anew.
    link.silent_for(Duration::from_millis(500));
    link.send(ACK);
    let committed = Instant::now();
    link.closed();
    assert!(committed.elapsed() > Duration::from_millis(900), "{:?}", committed.elapsed());
    router.wait_for_log("no answer within 1 s; message 2 is sent again");
    let mut link = receiver.accept();
    for message in &messages[1..] {
        assert_eq!(link.frame(), *message);
        accept(&mut link, message);
    }
    router.wait_for_log("message 3 delivered");
    router.end();
}

#[test]
fn a_negative_commit_block_is_a_matter_of_onnak() {
    let messages = adts("A", 2);
    let (router, receiver) = bringing(&messages, "retries = 2\nmaxpause = 0.01");
    let mut link = receiver.accept();
    for _ in 0..2 {
        assert_eq!(link.frame(), messages[0]);
        link.send(NAK);
    }
    let line = router.wait_for_log("message 1 is a dead letter");
    assert!(line.contains(" - ERROR - "), "{line}");
    // The other one is judged by its answer.
    assert_eq!(link.frame(), messages[1]);
    link.send(ACK);
    link.send(&acknowledgment(&messages[1], "AE"));
    assert_eq!(link.frame(), ACK);
    router.wait_for_log("message 2 is a dead letter");
}

#[test]
fn where_no_answer_is_asked_for_the_commit_block_delivers() {
    let silent = |id: &str| format!("MSH|^~\\&|A|B|C|D|1||ADT^A01|{id}|P|2.3|||NE|NE\r").into_bytes();
    let messages = [adt("A"), silent("B"), silent("C")];
    let (router, receiver) = bringing(&messages, "timeout = 0.5");
    let mut link = receiver.accept();
    assert_eq!(link.frame(), messages[0]);
    // The answer comes before the commit block, which says nothing of the next message.
    link.send(&acknowledgment(&messages[0], "AA"));
    assert_eq!(link.frame(), ACK);
    assert_eq!(link.frame(), messages[1]);
    link.send(ACK);
    link.closed();
    assert!(!router.log().contains("message 2 delivered"), "{}", router.log());
    let mut link = receiver.accept();
    for message in &messages[1..] {
        assert_eq!(link.frame(), *message);
        link.send(ACK);
    }
    router.wait_for_log("message 3 delivered");
}

#[test]
fn from_router_to_router() {
    let to = taking("");
    let from = Setup::new().server_in("in", "usehl7 = True").client_out("out", to.port("in"), HL7).start();
    let mut link = from.connect("in");
    let messages = adts("A", 100);
    link.raw(&messages.iter().flat_map(|message| frame(message)).collect::<Vec<u8>>());
    for message in &messages {
        assert_eq!(verdict(&link.frame()), format!("AA {}", control_id(message)));
    }
    assert_eq!(to.files("out", 100), messages);
    from.wait_for_log("message 100 delivered");
    for router in [&from, &to] {
        assert!(!router.log().contains(" - ERROR - "), "{}", router.log());
    }
}

#[test]
fn with_hl7_at_the_other_ends() {
    let (listener, port) = listen(&["--mllp2"]);
    let router = Setup::new().server_in("in", HL7).client_out("out", port, HL7).start();
    let file = router.dir.write("message", [adt("A"), adt("B")].concat());
    let port = router.port("in").to_string();
    let sent = hl7().args(["send", "--mllp2", "127.0.0.1", &port]).arg(file).run();
    sent.success().stdout_contains("MSA|AA|A").stdout_contains("MSA|AA|B");
    router.wait_for_log("message 2 delivered");
    listener.wait_for_stdout("ADT^A01|B|");
    assert!(!router.log().contains(" - ERROR - "), "{}", router.log());
}

#[test]
fn it_needs_acknowledgments() {
    let setup =
        Setup::new().server_in("in", "usehl7 = True\nmllp2 = True\nuseack = False").file_out("out", "");
    setup.command().arg("--check").run().code(2).stderr_contains("mllp2 = True needs useack = True");
}
