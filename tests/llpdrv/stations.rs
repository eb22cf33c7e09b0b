//! The stations in Python, which share nothing with us but the description of the protocols, at the other end of a line.

use super::support::{Destination, Driver, FAST, id_of, illp, message, verdict};
use crate::support::peer;
use protogen_testkit::Dir;
use protogen_testkit::pty::Pty;
use std::process::{Child, Command, Stdio};

/// A station on the line, in a process of its own.
struct Python {
    child: Child,
    directory: Dir,
}

impl Python {
    /// One that sends `theirs` messages, and ends when it has received `expect` and the line was idle for a while.
    fn start(script: &str, options: &str, pty: &Pty, theirs: usize, expect: usize) -> Python {
        let directory = Dir::new();
        let mut command = Command::new("python3");
        command.arg(peer(script)).args(options.split_whitespace());
        command.args(["--reply", "--deadline", "50", "--idle-exit", "0.3", "--expect", &expect.to_string()]);
        for n in 0..theirs {
            command.arg("--send").arg(directory.write(n.to_string(), long_message(&format!("T{n}"))));
        }
        command.arg("--log").arg(directory.join("log"));
        command.stdin(pty.master().try_clone().unwrap()).stdout(pty.master().try_clone().unwrap());
        let child = command.stderr(Stdio::piped()).spawn().expect("these tests need python3");
        Python { child, directory }
    }

    fn finish(mut self, told: &str) {
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{told}: {status}\n{}", self.directory.text("log"));
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Longer than a block.
fn long_message(id: &str) -> Vec<u8> {
    let note = "NTE|1||a line of text to make the message longer than one block\r".repeat(3);
    [message(id), note.into_bytes()].concat()
}

/// `theirs` messages from the station, `ours` to it, each answered.
fn talk(script: &str, station: &str, driver: &str, theirs: usize, ours: usize) {
    let (pty, destination) = (Pty::raw().unwrap(), Destination::new());
    let told = format!("{station} {driver} {theirs} {ours}");
    let driver =
        Driver::start(&format!("{FAST} {driver} -t {} {} -I -i 0", pty.path().display(), destination.to()));
    // In X3.28 a reply is a message as any other; in HLLP it belongs to the request.
    let expect = if script.starts_with("x328") { ours + theirs } else { ours };
    let python = Python::start(script, station, &pty, theirs, expect);
    for n in 0..ours {
        let id = format!("O{n}");
        assert_eq!(verdict(&illp(driver.distal(), &long_message(&id))), format!("AA|{id}"), "{told}");
    }
    for n in 0..theirs {
        assert_eq!(destination.next(), long_message(&format!("T{n}")), "{told}: byte for byte");
    }
    python.finish(&told);
    assert!(destination.rest().iter().map(|m| id_of(m)).next().is_none(), "{told}: nothing came twice");
}

const X328: &str = "--timer-a 0.6 --timer-b 0.3 --timer-d 4 --turnaround 0.05 --priority high";
const HLLP: &str = "--receive-timeout 5 --byte-timeout 0.5 --eb-grace 0.1";

fn x328(station: &str, driver: &str, theirs: usize, ours: usize) {
    let driver = format!("-a --x328-block-size 40 --x328-timer-a 0.6 --x328-session-retries 2 {driver}");
    talk("x328_station.py", &format!("{X328} {station}"), &driver, theirs, ours);
}

#[test]
fn x328_as_master_and_as_slave() {
    x328("", "", 2, 0);
    x328("", "", 0, 2);
    x328("", "", 2, 2);
    x328("--priority low", "--priority high", 2, 2);
}

#[test]
fn x328_variants_are_set_at_run_time() {
    x328("--ack alternating", "--x328-ack alternating", 1, 1);
    x328("--ack plain", "--x328-ack plain", 1, 1);
    x328("--numbering none", "--x328-numbering none", 1, 1);
    x328("--bcc raw-lrc", "--x328-bcc raw-lrc", 1, 1);
    x328("--bcc none", "--x328-bcc none", 1, 1);
    x328("--term crlf", "--x328-term crlf", 1, 1);
    x328("--term none", "--x328-term none", 1, 1);
    x328("--bits 7", "--x328-seven-bit yes", 1, 1);
    x328("--block-size 0", "--x328-segment-per-block yes", 1, 1);
}

#[test]
fn x328_hasty_peers_are_served() {
    // Timers well under the second that the old program needed.
    x328("--timer-a 0.4 --timer-b 0.2 --turnaround 0.02", "--x328-timer-a 0.4 --x328-timer-b 0.2", 3, 3);
}

#[test]
fn x328_faults_of_the_peer() {
    for fault in ["--nak-block 1", "--drop-reply 2", "--rint-after 1", "--eot-after 1"] {
        x328(fault, "", 0, 1);
    }
    for fault in ["--abort-block 1", "--abort-station 1"] {
        x328(fault, "", 1, 0);
    }
}

#[test]
fn hllp_as_initiator_and_as_responder() {
    let hllp = |station: &str, driver: &str, theirs, ours| {
        talk("hllp_station.py", &format!("{HLLP} {station}"), &format!("-h {driver}"), theirs, ours);
    };
    hllp("", "", 2, 0);
    hllp("", "", 0, 2);
    hllp("--version 23", "--hllp-version 23", 1, 1);
    hllp("--no-checksum", "--hllp-bcc none", 1, 1);
    hllp("--either", "--hllp-bcc sum --hllp-either yes", 1, 1);
    hllp("--corrupt-checksum 1", "", 1, 0);
    hllp("--nak 1:C", "", 0, 1);
}
