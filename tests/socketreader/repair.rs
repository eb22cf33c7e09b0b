//! A damaged journal: refused, repaired, and served again.

use std::os::unix::fs::FileExt;

use super::alerts::{call, calling, paste};
use super::support::{Peer, Router, Setup, adt, put};
use crate::support::{data, hl7, socketreader};

#[test]
fn a_damaged_journal_is_refused_and_repaired() {
    let setup = Setup::new().server_in("in", "usehl7 = True").file_out("out", "");
    let port = setup.port("in").to_string();
    let mut router = setup.start();
    for _ in 0..3 {
        hl7().args(["send", "127.0.0.1", &port]).arg(data("hl7/adt.hl7")).run().success();
    }
    router.files("out", 3);
    router.end();

    let dir = &router.dir;
    let config = dir.join("sr.cfg");
    let repair = || socketreader().arg("--repair").arg("-c").arg(&config).in_dir(dir.path()).run();
    repair().success().stdout_contains("/state/journal: nothing is damaged\n");
    let segment = dir.join("state/journal/00000000000000000001.seg");
    let bytes = std::fs::read(&segment).unwrap();
    // In the middle of the second message.
    let places: Vec<usize> =
        bytes.windows(4).enumerate().filter(|(_, four)| four == b"MSH|").map(|(at, _)| at).collect();
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(b"????", places[1] as u64 + 20).unwrap();

    let refused = socketreader().arg("-c").arg(&config).in_dir(dir.path()).run();
    refused.code(75).stderr_contains("00000000000000000001.seg: damaged at byte ");
    let output = repair();
    output.success().stdout_contains("are passed by from now on, message 2 may be lost; they are kept in ");
    router.restart();
    // The other messages are delivered already, as far as the journal still knows.
    hl7().args(["send", "127.0.0.1", &port]).arg(data("hl7/adt.hl7")).run().success();
}

#[test]
fn a_damaged_older_segment_stops_its_outputs_and_somebody_is_told() {
    let port = super::support::port();
    let mut router = calling("mailinterval = 1", |setup| {
        setup.client_out("out", port, "usehl7 = True").file_out("files", "maxage = 3600")
    });
    let given = |router: &Router, ids: &[&str]| {
        ids.iter().for_each(|id| put(router.dir.join(format!("in/{id}")), &adt(id)));
        router.wait("all files read", || router.dir.list("in").is_empty());
    };
    router.ask(&["--pause", "files"]).success();
    given(&router, &["A1", "A2", "A3"]);
    router.end();
    // With another input a further segment begins.
    let text = router.dir.text("sr.cfg").replacen("useconnections = ", "useconnections = more, ", 1);
    let more = router.dir.make("more");
    let section = "[more]\ntranstech = file\ntransdir = in\nqueuename = q";
    router.dir.write("sr.cfg", format!("{text}\n{section}\nmessagedir = {}\n", more.display()));
    router.restart();
    given(&router, &["A4"]);
    router.end();
    let segment = router.dir.join("state/journal/00000000000000000001.seg");
    let bytes = std::fs::read(&segment).unwrap();
    let place = bytes.windows(6).position(|six| six == b"|A1^^^").unwrap();
    let file = std::fs::OpenOptions::new().write(true).open(&segment).unwrap();
    file.write_all_at(b"????", place as u64).unwrap();

    router.restart();
    let receiver = Peer::listen_on(port);
    let told = call(&router, "out: cannot read the journal; ");
    let repair = told.lines().find(|line| line.ends_with(" --repair")).unwrap_or_else(|| panic!("{told}"));
    assert!(told.contains("00000000000000000001.seg: damaged at byte "), "{told}");
    router.wait("the state", || router.out()["state"] == "cannot read");
    assert_eq!(router.out()["troubles"][0]["trouble"], "unreadable");
    // It is paused and reads nothing, but how old its messages are is to be known.
    call(&router, "files: cannot read the journal; ");
    router.ask(&["--resume", "files"]).success();
    let files = || router.json(&["--queues", "--json"])["queues"][1].clone();
    router.wait("the state", || files()["connection"] == "files" && files()["state"] == "cannot read");

    router.end();
    paste(&router, repair);
    router.restart();
    let mut link = receiver.accept();
    while link.try_frame().map(|message| super::support::control_id(&message)) != Ok("A2".to_owned()) {
        link = receiver.accept();
    }
    link.send(&super::support::acknowledgment(&adt("A2"), "AA"));
    assert_eq!([link.take(), link.take()], [adt("A3"), adt("A4")]);
    assert_eq!(router.files("files", 3), [adt("A2"), adt("A3"), adt("A4")]);
    router.end();
}
