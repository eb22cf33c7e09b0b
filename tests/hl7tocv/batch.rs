//! Batch runs: order, answers, failures, and what is told to whom.

use super::support::{QUEUE, Site, message};
use crate::cvgateway::support::Manner;

#[test]
fn what_waits_is_sent_in_order_and_moves_to_the_log_with_its_answer() {
    let site = Site::new();
    for name in ["b", "a", "C"] {
        site.put(name);
    }
    site.put("locked");
    site.dir.write(site.spooled("locked.lock"), "");
    site.dir.write(site.spooled(".d.tmp"), "half a mess");
    site.batch().success().stdout_is("").stderr_is("");
    assert_eq!(site.sent(), ["C", "a", "b"]);
    let (spool, log) = site.state();
    assert_eq!(spool, [".d.tmp", "locked", "locked.lock"]);
    assert_eq!(log, ["C", "C.ack", "a", "a.ack", "b", "b.ack"]);
    assert_eq!(site.dir.read(site.logged("a")), message("a"));
    assert!(site.dir.text(site.logged("a.ack")).contains("MSA|AA|a|"));
    let log = site.log();
    assert!(
        log.contains("ANAE_IOP: a ORU^R01 (") && log.contains("ANAE_IOP: 3 delivered, 0 refused"),
        "{log}"
    );
    assert!(!log.contains("Mustermann") && !log.contains("4711"), "{log}");
    // Unlocked, it is sent; a message is sent byte for byte.
    std::fs::remove_file(site.dir.join(site.spooled("locked.lock"))).unwrap();
    site.batch().success();
    let sent = site.gateway.take();
    assert_eq!(sent.iter().map(|one| one.as_bytes().to_vec()).collect::<Vec<_>>(), [message("locked")]);
    assert!(site.mails.try_mail().is_none());
}

#[test]
fn a_refused_message_is_reported_once_and_passed_over() {
    let site = Site::new();
    for name in ["1", "2", "3"] {
        site.put(name);
    }
    site.gateway.answers(Manner::Judge(|id| match id {
        "2" => Some(("AE", "unknown bed")),
        _ => Some(("AA", "")),
    }));
    site.batch().code(1).stderr_is("");
    assert_eq!(site.sent(), ["1", "2", "3"]);
    assert_eq!(site.state().0, [".2.neg", "2"]);
    let mark = site.dir.text(site.spooled(".2.neg"));
    assert!(mark.contains("MSA|AE|2|unknown bed\r") && mark.starts_with("20"), "{mark}");
    let mail = site.mails.next_mail();
    assert_eq!(
        (mail.from.as_str(), &mail.to[..]),
        ("hl7@example.org", &["admin@example.org".to_owned()][..])
    );
    let text = &mail.data;
    assert!(text.contains("Subject: HL7 queue ANAE_IOP: 1 report\r\n"), "{text}");
    assert!(
        text.contains("refused: 2 ORU^R01 (") && text.contains("AE unknown bed; the message is /"),
        "{text}"
    );
    assert!(text.contains(&format!("var/spool/{QUEUE}/2,")) && text.contains("/.2.neg\r\n"), "{text}");
    assert!(text.contains("hl7tocv --queue ANAE_IOP\r\n"), "{text}");
    assert!(!text.contains("Mustermann") && !text.contains("4711"), "{text}");

    // Passed over, and not mailed again.
    site.put("4");
    site.batch().success();
    assert_eq!(site.sent(), ["4"]);
    assert!(site.mails.try_mail().is_none());

    // A queue may have it sent again; then the mark goes with the message.
    site.queues("retry-negative = true");
    site.batch().code(1);
    assert_eq!(site.sent(), ["2"]);
    site.gateway.answers(Manner::Answer("AA", ""));
    site.batch().success();
    assert_eq!(site.sent(), ["2"]);
    assert_eq!(site.state().0, Vec::<String>::new());
    assert!(site.mails.try_mail().is_none());
    assert_eq!(site.shown(), "");
}

#[test]
fn a_site_may_have_refused_messages_mailed() {
    let site = Site::with("mail-message = true");
    site.put("1");
    site.gateway.answers(Manner::Answer("CR", "no"));
    site.batch().code(1);
    let text = site.mails.next_mail().data;
    assert!(text.contains("CR no;") && text.contains("\r\nPID|||4711||Mustermann^Max\r\n"), "{text}");
}

#[test]
fn a_file_that_is_no_message_is_refused_without_asking() {
    let site = Site::new();
    site.dir.write(site.spooled("1"), "hello");
    site.dir.write(site.spooled("2"), "");
    site.put("3");
    site.batch().code(1);
    assert_eq!(site.sent(), ["3"]);
    assert_eq!(site.state().0, [".1.neg", ".2.neg", "1", "2"]);
    let text = site.mails.next_mail().data;
    assert!(
        text.contains("HL7 queue ANAE_IOP: 2 reports") && text.contains("not sent, for it is no HL7 message"),
        "{text}"
    );
}

#[test]
fn a_queue_may_stop_at_a_refused_message() {
    let site = Site::with("on-negative = \"stop\"");
    site.put("1");
    site.put("2");
    site.gateway.answers(Manner::Answer("AE", "no"));
    site.batch().code(75);
    assert_eq!(site.sent(), ["1"]);
    assert_eq!(site.state().0, [".1.neg", ".error", "1", "2"]);
    site.batch().success();
    assert_eq!(site.sent(), Vec::<String>::new());
}

#[test]
fn a_graver_failure_is_told_once_and_blocks_the_queue() {
    let site = Site::with("system-message = \"HL7 is down, it's known\"");
    site.put("1");
    site.put("2");
    site.gateway.answers(Manner::Answer("AR", "try later"));
    site.batch().code(75).stderr_is("");
    // Tried once and three times more; nothing overtakes it.
    assert_eq!(site.sent(), ["1", "1", "1", "1"]);
    assert_eq!(site.state().0, [".error", "1", "2"]);
    let mark = site.dir.text(site.spooled(".error"));
    assert!(mark.contains("/1: 1 ORU^R01") && mark.contains("AR try later (tried 4 times)"), "{mark}");
    let text = site.mails.next_mail().data;
    assert!(
        text.contains("Subject: HL7 queue ANAE_IOP is blocked\r\n") && text.contains("AR try later"),
        "{text}"
    );
    assert!(text.contains("Nothing is sent until an operator has seen to it.\r\n"), "{text}");
    assert_eq!(site.shown(), "cv@sim sysMsg 'HL7 is down, it?s known'\n");
    // Blocked, though all is well again.
    site.gateway.answers(Manner::Answer("AA", ""));
    site.batch().success().stderr_is("");
    assert_eq!(site.sent(), Vec::<String>::new());
    // Cleared, and it fails again within the quarter of an hour: the system message and the mail wait.
    std::fs::remove_file(site.dir.join(site.spooled(".error"))).unwrap();
    site.gateway.answers(Manner::Close);
    site.batch().code(75);
    assert!(site.mails.try_mail().is_none());
    assert_eq!(site.shown().lines().count(), 1);
    // Then it is mailed, by a run that finds the queue blocked.
    let state = format!("var/spool/.hl7tocv.{QUEUE}");
    let text = site.dir.text(&state);
    let (_, rest) = text.split_once('\t').unwrap();
    site.dir.write(&state, format!("1\t{rest}"));
    site.batch().success();
    let text = site.mails.next_mail().data;
    assert!(text.contains("it closed the connection without an answer (tried 4 times)"), "{text}");
    site.batch().success();
    assert!(site.mails.try_mail().is_none());
}

#[test]
fn a_gateway_that_is_not_there_is_a_graver_failure() {
    let site = Site::new();
    site.put("1");
    let command = site.program().args(["--gateway", &format!("{}%127.0.0.1", crate::support::free_port())]);
    command.arg("batch").run().code(75);
    assert!(site.dir.text(site.spooled(".error")).contains("cannot connect: Connection refused"));
    assert!(site.mails.next_mail().data.contains("Connection refused"));
}

#[test]
fn mails_and_system_messages_that_fail_change_nothing() {
    let site = Site::new();
    site.put("1");
    site.gateway.answers(Manner::Close);
    let nobody = crate::support::free_port();
    let command = site.program().env("PG_SMTP", format!("127.0.0.1:{nobody}")).env("PG_RSH", "/nowhere/rsh");
    command.arg("batch").run().code(75);
    assert_eq!(site.state().0, [".error", "1"]);
    let log = site.log();
    assert!(
        log.contains("no mail to the administrator: mail server") && log.contains("no system message"),
        "{log}"
    );
    // Whoever can, mails it later.
    site.batch().success();
    assert!(site.mails.next_mail().data.contains("is blocked"));
}

#[test]
fn a_mail_may_go_by_the_sendmail_command() {
    let site = Site::new();
    let sendmail =
        site.dir.script("sendmail", "printf '%s ' \"$@\" >\"$PG_HOME/to\"; cat >\"$PG_HOME/mail\"\n");
    site.put("1");
    site.gateway.answers(Manner::Answer("AE", "unknown bed"));
    site.program().env("PG_SMTP", "").env("PG_SENDMAIL", sendmail).arg("batch").run().code(1);
    assert_eq!(site.dir.text("to"), "-i -f hl7@example.org -- admin@example.org ");
    let mail = site.dir.text("mail");
    assert!(mail.contains("\nrefused: ") || mail.contains("refused: 1 ORU^R01"), "{mail}");
}

#[test]
fn an_answer_to_another_message_is_none() {
    let site = Site::with("retries = 0");
    site.put("1");
    site.gateway.answers(Manner::Bytes("MSH|^~\\&|||||||ACK|1|P|2.1\rMSA|AA|other|\r"));
    site.batch().code(75);
    assert!(site.dir.text(site.spooled(".error")).contains("an answer to other (MSA-2), where 1 was sent"));
}

#[test]
fn a_spool_that_cannot_be_read_is_told_once() {
    let site = Site::new();
    std::fs::remove_dir_all(site.dir.join(site.spooled(""))).unwrap();
    site.batch().code(75);
    assert!(site.mails.next_mail().data.contains("no such directory"));
    site.batch().code(75);
    assert!(site.mails.try_mail().is_none());
    assert_eq!(site.shown().lines().count(), 1);
}

#[test]
fn the_connection_id_goes_before_the_message() {
    let site = Site::new();
    site.put("1");
    site.program().args(["--cid", "abl1", "batch"]).run().success();
    assert!(site.gateway.take()[0].starts_with("abl1\u{2}MSH|"));
    site.program().args(["--cid", "a b", "batch"]).run().code(2).stderr_contains("--cid \"a b\": expected");
}

#[test]
fn every_queue_is_worked_on_where_one_is_dead() {
    let site = Site::new();
    site.put("1");
    site.dir.write("var/spool/ABL/060_IOP/2", message("2"));
    let text = site.dir.text("etc/queues");
    let dead = format!("[\"ABL/060_IOP\"]\ngateway = \"{}%127.0.0.1\"\n", crate::support::free_port());
    site.dir.write("etc/queues", text.replace("[\"ABL/060_IOP\"]\n", &dead));
    site.program().args(["--all", "batch"]).run().code(75);
    assert_eq!(site.sent(), ["1"]);
    assert_eq!(site.dir.list("var/spool/ABL/060_IOP"), [".error", "2"]);
}

#[test]
fn a_gateway_that_accepts_and_serves_nobody_is_dead() {
    let site = Site::with("retries = 0\nprobe = 0.1");
    site.put("1");
    // The system accepts for it.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("{}%127.0.0.1", silent.local_addr().unwrap().port());
    site.program().args(["--gateway", &place, "batch"]).run().code(75);
    assert!(site.dir.text(site.spooled(".error")).contains(" s, and it serves nobody else"));
    // Its one message, and the question.
    let _first = silent.accept().unwrap();
    let _second = silent.accept().unwrap();
}

#[test]
fn a_gateway_that_is_slow_and_serves_others_is_waited_for() {
    let site = Site::with("retries = 0\nprobe = 0.05");
    site.put("1");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let place = format!("{}%127.0.0.1", listener.local_addr().unwrap().port());
    let gateway = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut first, _) = listener.accept().unwrap();
        first.read_to_end(&mut Vec::new()).unwrap();
        // Answers after it was asked three times whether it is there.
        for _ in 0..3 {
            let (mut asked, _) = listener.accept().unwrap();
            let mut bytes = Vec::new();
            asked.read_to_end(&mut bytes).unwrap();
            assert!(bytes.is_empty());
        }
        first.write_all(b"MSH|^~\\&|||||||ACK|1|P|2.1\rMSA|AA|1|\r").unwrap();
    });
    site.program().args(["--gateway", &place, "batch"]).run().success();
    gateway.join().unwrap();
    assert_eq!(site.state().1, ["1", "1.ack"]);
}

#[test]
fn a_mail_server_that_says_nothing_holds_nothing_up() {
    let site = Site::with("retries = 0");
    site.put("1");
    site.gateway.answers(Manner::Close);
    let silent = protogen_testkit::smtp::SmtpServer::start(protogen_testkit::smtp::Manner::Silent);
    site.program().env("PG_SMTP", silent.address().to_string()).arg("batch").run().code(75);
    assert_eq!(site.state().0, [".error", "1"]);
    // Tried once in a run.
    assert_eq!(site.log().matches("no mail to the administrator: ").count(), 1, "{}", site.log());
}
