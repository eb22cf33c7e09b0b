//! A damaged journal: refused, repaired, and served again.

use std::os::unix::fs::FileExt;

use super::support::Setup;
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
