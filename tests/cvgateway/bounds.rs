//! What the gateway does at its bounds: too many senders, too long or unfinished messages, a journal that cannot be
//! written, and who may send what.

use super::life::discharge;
use super::oru::oru;
use super::support::{Manner, Site, address, told, transact};
use protogen_testkit::Daemon;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

/// What comes of a connection; one that is reset brings nothing.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    stream.set_read_timeout(Some(protogen_testkit::TIMEOUT)).unwrap();
    if let Err(error) = stream.read_to_end(&mut answer) {
        assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn one_sender_too_many_is_closed_at_once() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "[limit]\nconnections = 1\n");
    let mut site = site.start();
    site.census(&[7]);
    let place = address(site.daemon());
    let mut first = TcpStream::connect(place).unwrap();
    let mut second = TcpStream::connect(place).unwrap();
    assert_eq!(rest(&mut second), "");
    site.daemon().wait_for_stderr("1 connections are in work already (limit.connections); closed");
    first.write_all(discharge("1").as_bytes()).unwrap();
    first.shutdown(Shutdown::Write).unwrap();
    assert_eq!(told(&rest(&mut first)).1, "discharged");
}

/// A message that does not end, and one that is too long, are none.
#[test]
fn an_unfinished_or_too_long_message_is_closed_and_not_taken() {
    let site = Site::new();
    site.dir.write("etc/cvgateway.toml", "[time]\nidle = 1\n[limit]\nmessage = 1024\n");
    let mut site = site.start();
    site.census(&[7]);
    let mut stream = TcpStream::connect(address(site.daemon())).unwrap();
    stream.write_all(discharge("1").as_bytes()).unwrap();
    assert_eq!(rest(&mut stream), "", "its end was not told");
    let long = discharge("2") + &"x".repeat(1024);
    let mut stream = TcpStream::connect(address(site.daemon())).unwrap();
    // It may be closed before all is written.
    let _ = stream.write_all(long.as_bytes());
    let _ = stream.shutdown(Shutdown::Write);
    assert_eq!(rest(&mut stream), "");
    assert!(site.journal("REQ").is_empty() && site.fsi.take().is_empty() && site.asked().is_empty());
}

/// Neither the message itself nor what goes on can be written: nothing goes on.
#[test]
fn without_a_journal_nothing_is_sent() {
    let site = Site::new().start();
    site.census(&[7]);
    let top = site.dir.join("var/log/CVGATEWAY/060_IOP");
    let day = top.join(&site.dir.list("var/log/CVGATEWAY/060_IOP")[0]);
    let away = top.join("away");
    let no_journal = ("AR".to_owned(), "the journal cannot be written".to_owned());
    std::fs::rename(&day, &away).unwrap();
    assert_eq!(told(&site.send(discharge("1").as_bytes())), no_journal);
    assert!(site.asked().is_empty());
    std::fs::rename(&away, &day).unwrap();
    // It goes while the census is asked.
    site.dir.script("etc/idb_direct", &format!("mv {} {}\nexit 7\n", day.display(), away.display()));
    assert_eq!(told(&site.send(discharge("2").as_bytes())), no_journal);
    assert!(site.fsi.take().is_empty());
}

/// HL7 v2.1 may leave the event to EVN-1, which the access list then looks at.
#[test]
fn the_access_list_knows_an_event_that_only_evn_has() {
    let site = Site::new();
    site.dir.write("etc/hl7hosts", "127.0.0.1 * * * * * ADT^A03\n");
    let site = site.start();
    site.census(&[7]);
    let message = discharge("1").replace("ADT^A03", "ADT");
    assert_eq!(told(&site.send(message.as_bytes())).1, "discharged");
    let admission = message.replace("EVN|A03", "EVN|A01");
    assert_eq!(told(&site.send(admission.as_bytes())).1, "not allowed");
}

#[test]
fn with_x_the_access_list_is_compared_exactly() {
    let site = Site::new();
    site.dir.write("etc/hl7hosts", "127.0.0.1 * adm * * *\n");
    for (exact, said) in [(false, "discharged"), (true, "not allowed")] {
        site.census(&[7]);
        let program = if exact { site.program().arg("-x") } else { site.program() };
        let daemon = Daemon::start(&program.args(site.arguments()));
        let id = format!("{exact}");
        let answer = transact(address(&daemon), discharge(&id).as_bytes()).unwrap();
        assert_eq!(told(&String::from_utf8(answer).unwrap()).1, said);
    }
}

/// An admission that CareVue refused is none: the same message of a patient who is known by then is an update.
#[test]
fn an_admission_that_was_refused_is_not_finished_by_its_repeat() {
    let site = Site::new().start();
    let admission = discharge("1").replace("A03", "A01");
    site.census(&[0]);
    site.fsi.answers(Manner::Answer("AE", "no"));
    assert_eq!(told(&site.send(admission.as_bytes())).0, "AE");
    site.fsi.answers(Manner::Answer("AA", ""));
    site.census(&[2]);
    let (code, text) = told(&site.send(admission.as_bytes()));
    assert_eq!((code.as_str(), text.contains("known already")), ("AA", true), "{text}");
    assert_eq!(site.asked().len(), 2, "no commit: {:?}", site.asked());
}

/// A part that may be sent again makes the whole so, whatever became of the others.
#[test]
fn an_oru_with_a_part_that_was_not_reached_is_ar() {
    let site = Site::new().with_tables().start();
    let bad = "OBX|1|NM|XXXX||4|mmol/l\r";
    let good = "OBX|1|NM|2947-0||140|mmol/l\r";
    site.fsi.answers(Manner::Close);
    for (id, (first, second)) in [(bad, good), (good, bad)].into_iter().enumerate() {
        let message = oru(id, "", &[]) + first + "OBR|2\r" + second;
        let (code, text) = told(&site.send(message.as_bytes()));
        assert_eq!(code, "AR", "{text}");
        assert!(text.contains("CareVue unreachable") && text.contains("no result is left"), "{text}");
    }
}
