//! A gateway's life: who may send, repeats, the journal, kill -9, SIGHUP, many senders at once.

use super::support::{Manner, Site, address, told, transact};
use protogen_testkit::daemon::Signal;
use std::io::Read;

pub fn discharge(id: &str) -> String {
    format!(
        "MSH|^~\\&|ADM|HOSP|CVGATEWAY|060_IOP|||ADT^A03|{id}|P|2.3\rEVN|A03|\rPID|1||1\rPV1|1|I|IOP^601^1||||||||||||||||77\r"
    )
}

#[test]
fn only_who_is_allowed_is_served() {
    let site = Site::new();
    site.dir.write("etc/hl7hosts", "127.0.0.1 abl * * * * ADT^A03\n");
    let site = site.start();
    site.census(&[7]);
    assert_eq!(told(&site.send(discharge("1").as_bytes())), ("AR".into(), "not allowed".into()));
    let with_token = [b"abl\x02", discharge("1").as_bytes()].concat();
    assert_eq!(told(&site.send(&with_token)).0, "AA");
    let other = [b"abl\x02", discharge("1").replace("A03", "A01").as_bytes()].concat();
    assert_eq!(told(&site.send(&other)).0, "AR");
    assert_eq!(site.journal("REQ").len(), 1, "what was refused takes no room");
}

#[test]
fn a_broken_access_list_refuses_everyone() {
    let site = Site::new();
    site.dir.write("etc/hl7hosts", "127.0.0.1 *\n");
    let site = site.start();
    assert_eq!(told(&site.send(discharge("1").as_bytes())), ("AR".into(), "not allowed".into()));
}

#[test]
fn what_is_no_service_of_the_gateway_is_ar_with_its_name() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "ignore = [\"ADT^A31\"]\n");
    let site = site.start();
    for (kind, code, said) in [
        ("ADT^A04", "AR", "message type ADT A04 is not supported"),
        ("ORM^O01", "AR", "message type ORM O01 is not supported"),
        ("NMQ", "AR", "message type NMQ is not supported"),
        ("ADT^A31", "AA", "ignored by profile"),
        ("NMD", "AA", ""),
        ("ORU^R01", "AR", "no LabEventInfo or units table"),
    ] {
        let (answer, text) = told(&site.send(discharge("1").replace("ADT^A03", kind).as_bytes()));
        assert_eq!((answer.as_str(), text.contains(said)), (code, true), "{kind}: {text}");
    }
    assert!(site.fsi.take().is_empty());
    let nmd = "MSH|^~\\&|ADM|HOSP|OTHER^x|UNIT|||NMD|5|P|2.3\rNCK|2026\r";
    assert_eq!(told(&site.send(nmd.as_bytes())), ("AA".into(), "forwarded".into()));
    let sent = site.fsi.take().remove(0);
    assert!(
        sent.contains("|CVGATEWAY|060_IOP|OTHER^x|UNIT|") && sent.ends_with("|NMD|5|P|2.1\rNCK|2026\r"),
        "{sent:?}"
    );
    assert_eq!(site.send(b"GET / HTTP/1.0\r\n\r\n"), "");
    assert_eq!(told(&site.send(b"MSH|")).0, "AR");
}

#[test]
fn enhanced_mode_is_answered_by_its_rules() {
    let site = Site::new().start();
    site.census(&[7]);
    for (n, (fields, code)) in
        [("|||AL|NE", Some("CA")), ("|||NE|AL", Some("AA")), ("|||NE|NE", None)].iter().enumerate()
    {
        let message = discharge(&n.to_string()).replace("|2.3\r", &format!("|2.3{fields}\r"));
        let answer = site.send(message.as_bytes());
        match code {
            Some(code) => assert_eq!(told(&answer).0, *code),
            None => assert_eq!(answer, ""),
        }
    }
    assert_eq!(site.fsi.take().len(), 3);
}

#[test]
fn a_repeat_is_answered_and_not_forwarded_also_after_kill_9() {
    let mut site = Site::new().start();
    site.census(&[7]);
    site.fsi.answers(Manner::Close);
    assert_eq!(told(&site.send(discharge("1").as_bytes())), ("AR".into(), "CareVue unreachable".into()));
    site.fsi.answers(Manner::Answer("AA", ""));
    assert_eq!(
        told(&site.send(discharge("1").as_bytes())).1,
        "discharged",
        "what was not AA is handled anew"
    );
    assert_eq!(site.fsi.take().len(), 2);
    let repeat =
        ("AA".to_owned(), "a repeat: it was answered AA before, and is not forwarded again".to_owned());
    assert_eq!(told(&site.send(discharge("1").as_bytes())), repeat);
    site.daemon().kill_9();
    site.restart();
    assert_eq!(told(&site.send(discharge("1").as_bytes())), repeat);
    assert!(site.fsi.take().is_empty());
    let other = discharge("1").replace("601^1", "601^2");
    assert_eq!(told(&site.send(other.as_bytes())).1, "discharged");
    assert_eq!(site.fsi.take().len(), 1);
    site.daemon().wait_for_stderr("this control id was used for other bytes before");
}

/// Other bytes under a used id do not make the first ones forgotten.
#[test]
fn a_repeat_is_known_also_after_other_bytes_with_its_id() {
    let site = Site::new().start();
    site.census(&[7]);
    let other = discharge("1").replace("601^1", "601^2");
    for (message, said) in [(discharge("1"), "discharged"), (other.clone(), "discharged")] {
        assert_eq!(told(&site.send(message.as_bytes())).1, said);
    }
    for message in [discharge("1"), other] {
        assert!(told(&site.send(message.as_bytes())).1.starts_with("a repeat: "));
    }
    assert_eq!(site.fsi.take().len(), 2);
}

/// CareVue took an admission and its answer was lost: the repeat finds the patient known, and what belongs to an
/// admission, the message of the waiting list, is done then; also after a restart.
#[test]
fn an_admission_whose_answer_was_lost_is_finished_by_its_repeat() {
    // There was none, or one that says nothing.
    for (is_restarted, lost) in [(false, Manner::Close), (true, Manner::Close), (true, Manner::Bytes("junk"))]
    {
        let mut site = Site::new().start();
        let admission = discharge("1").replace("A03", "A01");
        site.census(&[1]);
        site.fsi.answers(lost);
        assert_eq!(told(&site.send(admission.as_bytes())).0, "AR");
        if is_restarted {
            site.daemon().kill_9();
            site.restart();
        }
        site.fsi.answers(Manner::Answer("AA", ""));
        site.census(&[3, 3, 3]);
        let (code, text) = told(&site.send(admission.as_bytes()));
        assert_eq!((code.as_str(), text.contains("known already")), ("AA", true), "{text}");
        let asked = site.asked();
        assert_eq!(asked[2], "-e 1 -r 77 -l 601-1 -c", "{asked:?}");
        // Another message of a known patient is an update and no more.
        site.census(&[3, 3, 3]);
        assert_eq!(told(&site.send(admission.replace("|1|P|", "|2|P|").as_bytes())).0, "AA");
        assert_eq!(site.asked().len(), 2);
        // As a transfer of an unknown patient to a bed that is taken.
        let transfer = admission.replace("A01", "A02").replace("|1|P|", "|3|P|");
        site.census(&[0o10, 1]);
        site.fsi.answers(Manner::Close);
        assert_eq!(told(&site.send(transfer.as_bytes())).0, "AR");
        site.fsi.answers(Manner::Answer("AA", ""));
        site.fsi.take();
        site.census(&[0o32, 3]);
        let (code, text) = told(&site.send(transfer.as_bytes()));
        assert_eq!((code.as_str(), text.contains("took it as A01 before")), ("AA", true), "{text}");
        assert_eq!(site.asked()[1], "-e 1 -r 77 -l 601-1 -c");
        assert!(site.fsi.take().is_empty());
    }
}

/// What CareVue took of an ORU is not sent again: a part beside one that was not taken, and all before a kill.
#[test]
fn parts_that_carevue_took_are_not_sent_again() {
    use super::oru::oru;
    for is_restarted in [false, true] {
        let mut site = Site::new().with_tables().start();
        let two = oru(1, "", &["NM|6298-4||4|mmol/l"]) + "OBR|2\rOBX|1|NM|2947-0||140|mmol/l\r";
        site.fsi.answers(Manner::Judge(|id| (id == "1.1").then_some(("AA", ""))));
        let (code, text) = told(&site.send(two.as_bytes()));
        assert_eq!((code.as_str(), site.fsi.take().len()), ("AR", 2), "{text}");
        if is_restarted {
            site.daemon().kill_9();
            site.restart();
        }
        site.fsi.answers(Manner::Answer("AA", ""));
        let (code, text) = told(&site.send(two.as_bytes()));
        let said = "part 1: 1 result taken before, and not sent again; part 2: 1 result forwarded";
        assert_eq!((code.as_str(), text.as_str()), ("AA", said));
        assert!(site.fsi.take().iter().all(|sent| sent.contains("|1.2|")));
        assert!(told(&site.send(two.as_bytes())).1.starts_with("a repeat: "));
        // Killed before its answer.
        let one = oru(2, "", &["NM|6298-4||4|mmol/l"]);
        assert_eq!(told(&site.send(one.as_bytes())).1, "1 result forwarded");
        site.daemon().kill_9();
        forget_answers(&site);
        site.restart();
        site.fsi.take();
        let (code, text) = told(&site.send(one.as_bytes()));
        assert_eq!((code.as_str(), text.as_str()), ("AA", "1 result taken before, and not sent again"));
        assert!(site.fsi.take().is_empty());
    }
}

/// Mails that wait at SIGTERM are sent before the end; those that cannot be in time are counted.
#[test]
fn what_people_are_to_be_told_is_sent_before_the_end() {
    for is_let in [true, false] {
        let site = Site::new();
        let script =
            "cd \"$(dirname \"$0\")\"\necho >began\nwhile ! test -e go; do sleep 0.01; done\ncat >>mails\n";
        site.dir.script("sendmail", script);
        let mut site = site.start();
        site.census(&[0, 192, 0, 192, 0, 192]);
        for id in ["m1", "m2", "m3"] {
            let admission = discharge(id).replace("A03", "A01");
            assert!(told(&site.send(admission.as_bytes())).1.contains("idb_direct -c failed"));
        }
        crate::support::wait_until(|| site.dir.join("began").exists());
        site.daemon().signal(Signal::SIGTERM);
        site.daemon().wait_for_stderr("3 mails and system messages are still to be sent");
        if is_let {
            site.dir.write("go", "");
        }
        site.daemon().wait_for_exit();
        site.dir.write("go", "");
        if is_let {
            let mails = site.dir.text("mails");
            assert!(["m1", "m2", "m3"].iter().all(|id| mails.contains(&format!("message {id}"))), "{mails}");
        } else {
            assert!(site.daemon_log().contains("ended with 3 mails and system messages that were not sent"));
        }
    }
}

#[test]
fn repeats_can_be_switched_off() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "[limit]\nrepeat-hours = 0\n");
    let site = site.start();
    site.census(&[7]);
    for _ in 0..2 {
        assert_eq!(told(&site.send(discharge("1").as_bytes())).1, "discharged");
    }
    assert_eq!(site.fsi.take().len(), 2);
}

#[test]
fn the_journal_has_both_messages_and_both_answers() {
    let site = Site::new().start();
    site.census(&[7]);
    let answer = site.send(discharge("1").as_bytes());
    let [req, ack, fwd, fak] = ["REQ", "ACK", "FWD", "FAK"].map(|kind| site.journal(kind).remove(0));
    assert_eq!((req.1, &ack.1), (discharge("1"), &answer));
    assert_eq!(fwd.1, site.fsi.take()[0]);
    assert!(fak.1.contains("\rMSA|AA|1|"));
    for (name, kind) in [(&ack.0, "ACK"), (&fwd.0, "FWD"), (&fak.0, "FAK")] {
        assert_eq!(name.replace(kind, "REQ"), req.0);
    }
    assert!(!site.daemon_log().contains("Muster"));
    // The next one sorts behind it.
    site.send(discharge("2").as_bytes());
    assert!(site.journal("REQ")[1].0 > req.0);
    use std::os::unix::fs::PermissionsExt;
    let day = site.dir.list("var/log/CVGATEWAY/060_IOP").remove(0);
    let path = site.dir.join(format!("var/log/CVGATEWAY/060_IOP/{day}/{}", req.0));
    assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn old_days_are_removed() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "[limit]\njournal-days = 2\n");
    site.dir.write("var/log/CVGATEWAY/060_IOP/20200101/REQ1", "x");
    site.dir.write("var/log/CVGATEWAY/060_IOP/notes/kept", "x");
    let site = site.start();
    site.census(&[7]);
    site.send(discharge("1").as_bytes());
    let days = site.dir.list("var/log/CVGATEWAY/060_IOP");
    assert!(days.len() == 2 && days.contains(&"notes".to_owned()), "{days:?}");
}

/// An idb_direct that waits for the file `go`, and writes "overlap" if another one runs meanwhile.
const ONE_AT_A_TIME: &str = "cd \"$(dirname \"$0\")/..\"\nmkdir busy || { echo overlap >>asked; exit 192; }\n\
     echo in >>asked\nwhile ! test -e go; do sleep 0.01; done\nrmdir busy\nexit 7\n";

/// While one admission waits for the census, no other message asks it; results do not wait.
#[test]
fn adt_is_one_at_a_time() {
    let site = Site::new().start();
    site.dir.script("etc/idb_direct", ONE_AT_A_TIME);
    let mut streams: Vec<_> = (0..4).map(|n| site.begin(discharge(&n.to_string()).as_bytes())).collect();
    while site.asked().is_empty() {
        std::thread::yield_now();
    }
    let nmd = "MSH|^~\\&|ADM|HOSP|OTHER|UNIT|||NMD|5|P|2.3\r";
    assert_eq!(told(&site.send(nmd.as_bytes())).0, "AA");
    site.dir.write("go", "");
    for stream in &mut streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(told(&answer).1, "discharged");
    }
    assert_eq!(site.asked(), ["in"; 4]);
}

/// What is finished after a kill writes into the census as well, and no other message may overtake it.
#[test]
fn what_is_finished_after_a_kill_is_one_at_a_time_too() {
    let mut site = Site::new().start();
    site.census(&[0, 7]);
    let admission = discharge("1").replace("A03", "A01");
    assert_eq!(told(&site.send(admission.as_bytes())).1, "admitted to 601-1");
    site.daemon().kill_9();
    forget_answers(&site);
    site.restart();
    site.dir.write("asked", "");
    site.dir.script("etc/idb_direct", ONE_AT_A_TIME);
    let mut streams = vec![site.begin(admission.as_bytes())];
    while site.asked().is_empty() {
        std::thread::yield_now();
    }
    streams.extend((2..5).map(|n| site.begin(discharge(&n.to_string()).as_bytes())));
    while site.journal("REQ").len() < 5 {
        std::thread::yield_now();
    }
    let nmd = "MSH|^~\\&|ADM|HOSP|OTHER|UNIT|||NMD|5|P|2.3\r";
    assert_eq!(told(&site.send(nmd.as_bytes())).0, "AA");
    site.dir.write("go", "");
    for stream in &mut streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(told(&answer).0, "AA");
    }
    assert_eq!(site.asked(), ["in"; 4]);
}

/// Removes the gateway's answers from its journal, as if it had been killed before each.
fn forget_answers(site: &Site) {
    let top = "var/log/CVGATEWAY/060_IOP";
    for day in site.dir.list(top) {
        for name in site.dir.list(format!("{top}/{day}")) {
            if name.starts_with("ACK") {
                std::fs::remove_file(site.dir.join(format!("{top}/{day}/{name}"))).unwrap();
            }
        }
    }
}

/// A sender that gives up waiting, and sends again while its first message is in work.
#[test]
fn a_repeat_waits_for_the_first() {
    let site = Site::new().start();
    site.dir.script(
        "etc/idb_direct",
        "cd \"$(dirname \"$0\")/..\"\necho in >>asked\nwhile ! test -e go; do sleep 0.01; done\nexit 7\n",
    );
    let mut streams: Vec<_> = (0..3).map(|_| site.begin(discharge("1").as_bytes())).collect();
    while site.journal("REQ").len() < 3 {
        std::thread::yield_now();
    }
    site.dir.write("go", "");
    let mut told_all = Vec::new();
    for stream in &mut streams {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(told(&answer).0, "AA");
        told_all.push(told(&answer).1);
    }
    assert_eq!(told_all.iter().filter(|text| *text == "discharged").count(), 1, "{told_all:?}");
    assert_eq!((site.asked().len(), site.fsi.take().len()), (1, 1));
}

/// Each of the three by itself: what is new is in force, what is broken leaves the old of its own kind.
#[test]
fn sighup_reads_everything_again_and_what_is_broken_leaves_the_old() {
    let mut site = Site::new().with_tables().start();
    site.census(&[7]);
    let oru = super::oru::oru(1, "", &["NM|1-8||4|mmol/l", "NM|2339-0||5|mmol/l"]);
    assert_eq!(
        told(&site.send(oru.as_bytes())).1,
        "1 result forwarded; left out: 1-8: it has no row in LabEventInfo"
    );
    // A broken profile, a new list, a new table.
    site.dir.write("etc/cvgateway.toml", "colour = 1\n");
    site.dir.write("etc/hl7hosts", "127.0.0.1 * ADM * * *\n127.0.0.1 * LAB * * *\n");
    let table =
        site.dir.write("own.tab", "\"1-8\":\"X\":\"value1\":\"M\":\"mmol/l\":\"\":0:0:0:0:0:0:9:0.1:1\n");
    let manager = protogen_testkit::TestCommand::new(env!("CARGO_BIN_EXE_labeventinfomgr"));
    manager.env("PG_CODELIB", site.dir.join("lib/codes")).arg("-c").arg(table).run().success();
    site.daemon().signal(Signal::SIGHUP);
    site.daemon().wait_for_stderr(
        "cvgateway.toml:1: colour: is no key of cvgateway.toml(5); the old profile stays in force",
    );
    site.daemon().wait_for_stderr("were read again");
    assert_eq!(told(&site.send(discharge("1").as_bytes())).1, "discharged");
    assert_eq!(told(&site.send(discharge("2").replace("|ADM|", "|X|").as_bytes())).1, "not allowed");
    let oru = oru.replace("^R01|1|", "^R01|2|");
    assert_eq!(
        told(&site.send(oru.as_bytes())).1,
        "1 result forwarded; left out: 2339-0: it has no row in LabEventInfo"
    );
    // A new profile, a broken list, broken tables.
    site.dir.write("etc/cvgateway.toml", "ignore = [\"ADT^A31\"]\n");
    site.dir.write("etc/hl7hosts", "broken\n");
    for table in ["LabEventInfo.db", "units.db", "LOINC.db"] {
        std::fs::remove_dir_all(site.dir.join("lib/codes").join(table)).unwrap();
    }
    site.daemon().signal(Signal::SIGHUP);
    site.daemon().wait_for_stderr("the old list stays in force");
    site.daemon().wait_for_stderr(
        "units.db: no such table; make it with the manager's -c; the old table stays in force",
    );
    while told(&site.send(discharge("3").replace("A03", "A31").as_bytes())).1 != "ignored by profile" {}
    assert_eq!(told(&site.send(discharge("4").replace("|ADM|", "|X|").as_bytes())).1, "not allowed");
    let oru = oru.replace("^R01|2|", "^R01|3|");
    assert_eq!(
        told(&site.send(oru.as_bytes())).1,
        "1 result forwarded; left out: 2339-0: it has no row in LabEventInfo"
    );
    assert!(site.daemon().terminate().success());
}

/// Nobody listens there, or somebody who never answers: the sender is told within the profile's times.
#[test]
fn a_carevue_that_cannot_be_reached_is_told_in_bounded_time() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "[time]\nanswer = 1\nconnect = 1\n");
    let mut site = site.start();
    site.census(&[7]);
    site.fsi.answers(Manner::Hang);
    let unreachable = ("AR".to_owned(), "CareVue unreachable".to_owned());
    assert_eq!(told(&site.send(discharge("1").as_bytes())), unreachable);
    site.daemon().wait_for_stderr("no answer within 1 s");
    let mut arguments = site.arguments();
    arguments[1] = crate::support::free_port().to_string();
    let daemon = protogen_testkit::Daemon::start(&site.program().args(arguments));
    let answer = transact(address(&daemon), discharge("2").as_bytes()).unwrap();
    assert_eq!(told(&String::from_utf8(answer).unwrap()), unreachable);
    // The journal has the message, and no answer of CareVue.
    assert_eq!((site.journal("FWD").len(), site.journal("FAK").len()), (2, 0));
}

/// ORU and NMD run beside each other, at most as many as the profile says.
#[test]
fn results_are_bounded() {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};
    let interface = TcpListener::bind("127.0.0.1:0").unwrap();
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "[limit]\nresults = 2\n");
    let mut arguments = site.arguments();
    arguments[1] = interface.local_addr().unwrap().port().to_string();
    let daemon = protogen_testkit::Daemon::start(&site.program().args(arguments));
    let nmd = |n: usize| format!("MSH|^~\\&|ADM|HOSP|OTHER|UNIT|||NMD|{n}|P|2.3\r");
    let address = address(&daemon);
    let mut senders: Vec<TcpStream> =
        (0..5).map(|n| super::support::begin(address, nmd(n).as_bytes()).unwrap()).collect();
    let mut in_work: Vec<TcpStream> = (0..2).map(|_| interface.accept().unwrap().0).collect();
    while site.journal("REQ").len() < 5 {
        std::thread::yield_now();
    }
    interface.set_nonblocking(true).unwrap();
    for _ in 0..3 {
        assert!(interface.accept().is_err(), "a third one is in work");
        let mut first = in_work.remove(0);
        let mut message = String::new();
        first.read_to_string(&mut message).unwrap();
        let id = message.split('|').nth(9).unwrap().to_owned();
        write!(first, "MSH|^~\\&|\rMSA|AA|{id}\r").unwrap();
        drop(first);
        interface.set_nonblocking(false).unwrap();
        in_work.push(interface.accept().unwrap().0);
        interface.set_nonblocking(true).unwrap();
    }
    drop((in_work, interface));
    let mut taken = 0;
    for sender in &mut senders {
        let mut answer = String::new();
        sender.read_to_string(&mut answer).unwrap();
        taken += usize::from(told(&answer).0 == "AA");
    }
    assert_eq!(taken, 3);
}

/// CareVue took it, and the gateway was killed before its commit, or before its answer.
#[test]
fn what_carevue_took_before_a_kill_is_finished_and_not_sent_again() {
    // The waiting-list message belongs to the commit: the gateway dies as it asks for it.
    let mut site = Site::new().start();
    let dying = "cd \"$(dirname \"$0\")/..\"\nfor word; do printf '%s ' \"${word:-''}\"; done >>asked\necho >>asked\n\
                 case \"$*\" in *-c*) test -e killed || { echo >killed; kill -9 $PPID; }; exit 2;; esac\nexit 0\n";
    site.dir.script("etc/idb_direct", dying);
    let admission = discharge("1").replace("A03", "A01").replace("601^1", "");
    let cut_off = transact(address(site.daemon()), admission.as_bytes());
    assert!(cut_off.is_err() || cut_off.is_ok_and(|answer| answer.is_empty()));
    site.daemon().wait_for_exit();
    assert_eq!(site.fsi.take().len(), 1);
    site.restart();
    let finished = |event: &str| {
        let text =
            format!("CareVue took it as {event} before the gateway was interrupted; it is not sent again");
        ("AA".to_owned(), text)
    };
    assert_eq!(told(&site.send(admission.as_bytes())), finished("A01"));
    let asked = site.asked();
    let commits = asked.iter().filter(|line| line.contains("-e 1 ") && line.contains("-c")).count();
    assert_eq!(commits, 2, "{asked:?}");
    assert!(told(&site.send(admission.as_bytes())).1.starts_with("a repeat: "), "once is enough");
    assert!(site.fsi.take().is_empty());

    // A discharge whose answer was never written: the patient is unknown by now.
    let mut site = Site::new().start();
    site.census(&[7]);
    assert_eq!(told(&site.send(discharge("2").as_bytes())).1, "discharged");
    site.daemon().kill_9();
    forget_answers(&site);
    site.restart();
    site.census(&[0]);
    site.fsi.take();
    assert_eq!(told(&site.send(discharge("2").as_bytes())), finished("A03"));
    assert!(site.fsi.take().is_empty());
    // Other bytes are another message.
    let other = discharge("2").replace("601^1", "601^2");
    assert!(told(&site.send(other.as_bytes())).1 != finished("A03").1);
}
