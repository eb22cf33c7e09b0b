//! The X3.28 and HLLP machines against stations in Python that share nothing with them but the description of the
//! protocols: both roles, the variants, and the faults that the stations can make.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../examples/llp_pipe.rs"]
mod llp_pipe;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use llp_pipe::{Done, run};
use protogen_core::llp::{Link, hllp, x328};

/// Nothing here takes nearly as long; it only ends what hangs.
const LIMIT: Duration = Duration::from_secs(60);

fn request(from: &str, number: usize) -> Vec<u8> {
    let note = "NTE|1||a line of text to make the message longer than one block\r".repeat(3);
    format!("MSH|^~\\&|{from}||||19900314130405||NMD|{from}{number}|P|2.1\r{note}").into_bytes()
}

fn peers() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/peers")
}

/// Runs the station with these options against the machine: `theirs` messages go from the station to us, `ours` from
/// us to it, and each is answered. Checks that all went well, and returns what was noted.
fn talk(station: &str, options: &str, link: &mut dyn Link, theirs: usize, ours: usize) -> Done {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("python3");
    command.arg(peers().join(station)).args(options.split_whitespace());
    command.args(["--reply", "--deadline", "50", "--idle-exit", "0.3"]);
    // In X3.28 a reply is a message as any other; in HLLP it belongs to the request.
    let expect = if station.starts_with("x328") { ours + theirs } else { ours };
    command.args(["--expect", &expect.to_string()]);
    let mut sent = Vec::new();
    for number in 0..theirs {
        let file = directory.path().join(number.to_string());
        sent.push(request("THEIRS", number));
        std::fs::write(&file, &sent[number]).unwrap();
        command.arg("--send").arg(file);
    }
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("these tests need python3");
    let (mut to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let requests: Vec<_> = (0..ours).map(|n| request("OURS", n)).collect();
    let done = run(link, from, &mut to, &requests, true, LIMIT);
    drop(to);
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && !done.late, "{options}: {:?}\n{said}\n{done:?}", output.status);
    assert_eq!(done.failed, [], "{options}\n{said}\n{:?}", done.notes);
    assert_eq!(done.delivered.len(), ours + theirs, "{options}: our requests and our replies");
    let (replies, messages): (Vec<_>, Vec<_>) =
        done.received.iter().cloned().partition(|m| m.windows(4).any(|w| w == b"\rMSA"));
    assert_eq!(messages, sent, "{options}: once, in order, to the byte");
    for (reply, number) in replies.iter().zip(0..) {
        let id = format!("OURS{number}");
        assert!(String::from_utf8_lossy(reply).contains(&id), "{options}: a reply to {id}");
    }
    assert_eq!(replies.len(), ours, "{options}");
    done
}

// ---- X3.28 ----------------------------------------------------------------------------------------------------

const TIMERS: &str = "--timer-a 0.6 --timer-b 0.3 --timer-d 4 --turnaround 0.1";

fn x328_settings() -> x328::Settings {
    let milliseconds = Duration::from_millis;
    x328::Settings {
        timer_a: milliseconds(600),
        timer_b: milliseconds(300),
        timer_d: milliseconds(4_000),
        turnaround: milliseconds(100),
        pause: milliseconds(200),
        contention_spread: milliseconds(200),
        block_size: 40,
        ..x328::Settings::default()
    }
}

fn x328(options: &str, settings: x328::Settings, theirs: usize, ours: usize) -> Done {
    settings.check().unwrap();
    let mut station = x328::Station::new(settings, Instant::now());
    talk("x328_station.py", &format!("{TIMERS} --priority high {options}"), &mut station, theirs, ours)
}

#[test]
fn x328_both_roles() {
    x328("", x328_settings(), 2, 0);
    x328("", x328_settings(), 0, 2);
    x328("--block-size 0", x328::Settings { segment_per_block: true, ..x328_settings() }, 1, 1);
}

#[test]
fn x328_both_bid_at_once() {
    x328("", x328_settings(), 2, 2);
    let settings = x328::Settings { priority: x328::Priority::High, ..x328_settings() };
    x328("--priority low", settings, 2, 2);
}

#[test]
fn x328_variants() {
    use x328::{Ack, Bcc, Numbering, Settings, Term, TimeoutAction};
    let base = x328_settings;
    x328("--ack alternating", Settings { ack: Ack::Alternating, ..base() }, 1, 1);
    x328("--ack plain", Settings { ack: Ack::Plain, ..base() }, 1, 1);
    x328("--numbering none", Settings { numbering: Numbering::None, ..base() }, 1, 1);
    x328("--bcc raw-lrc", Settings { bcc: Bcc::RawLrc, ..base() }, 1, 1);
    x328("--bcc none", Settings { bcc: Bcc::None, ..base() }, 1, 1);
    x328("--term crlf", Settings { term: Term::CrLf, ..base() }, 1, 1);
    x328("--term none", Settings { term: Term::None, ..base() }, 1, 1);
    x328("--bits 7", Settings { seven_bit: true, ..base() }, 1, 1);
    let resend = Settings { timeout_action: TimeoutAction::Resend, ..base() };
    x328("--timeout-action resend --drop-reply 3", resend, 0, 1);
    let slow = Settings { reply_delay: Duration::from_millis(50), ..base() };
    x328("--reply-delay 0.05", slow, 1, 1);
}

#[test]
fn x328_faults_of_the_slave() {
    for options in ["--nak-block 1", "--nak-block 3", "--drop-reply 1", "--drop-reply 2", "--drop-reply 4"] {
        x328(options, x328_settings(), 0, 1);
    }
    for options in ["--rint-after 1", "--rint-after 3", "--eot-after 1", "--eot-after 3"] {
        x328(options, x328_settings(), 0, 1);
    }
}

#[test]
fn x328_faults_of_the_master() {
    for options in ["--abort-block 1", "--abort-block 3", "--abort-station 1", "--abort-station 3"] {
        x328(options, x328_settings(), 1, 0);
    }
}

// ---- HLLP -----------------------------------------------------------------------------------------------------

fn hllp(options: &str, settings: hllp::Settings, theirs: usize, ours: usize) -> Done {
    settings.check().unwrap();
    let times = "--receive-timeout 5 --byte-timeout 0.5 --eb-grace 0.1";
    let mut station = hllp::Station::new(settings);
    talk("hllp_station.py", &format!("{times} {options}"), &mut station, theirs, ours)
}

fn hllp_settings() -> hllp::Settings {
    let milliseconds = Duration::from_millis;
    hllp::Settings {
        receive_timeout: milliseconds(5_000),
        byte_timeout: milliseconds(500),
        eb_grace: milliseconds(100),
        ..hllp::Settings::default()
    }
}

#[test]
fn hllp_both_roles() {
    hllp("", hllp_settings(), 2, 0);
    hllp("", hllp_settings(), 0, 2);
    hllp("--version 23", hllp::Settings { version: *b"23", ..hllp_settings() }, 1, 0);
}

#[test]
fn hllp_variants() {
    use hllp::{Bcc, Settings};
    hllp("--no-checksum", Settings { bcc: Bcc::None, ..hllp_settings() }, 1, 0);
    for bcc in [Bcc::XorDataAndCount, Bcc::SumData] {
        hllp("--either", Settings { bcc, either: true, ..hllp_settings() }, 1, 0);
        hllp("--either", Settings { bcc, either: true, ..hllp_settings() }, 0, 1);
    }
}

#[test]
fn hllp_faults() {
    for options in ["--corrupt-count 1", "--corrupt-checksum 1"] {
        hllp(options, hllp_settings(), 1, 0);
    }
    for options in ["--nak 1:C", "--nak 1:X", "--nak 1:B", "--nak 1:G"] {
        hllp(options, hllp_settings(), 0, 1);
    }
    hllp("--corrupt-checksum 1", hllp_settings(), 0, 1);
}
