use std::process::Command;
use std::time::Duration;

use protogen_sys::child::{Limits, run};
use protogen_testkit::Dir;

fn limits(seconds: u64) -> Limits {
    Limits { time: Duration::from_secs(seconds), output: 1000 }
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn input_output_and_status() {
    let finished = run(&mut sh("cat; echo oops >&2; exit 3"), b"hello", limits(30)).unwrap();
    assert_eq!((finished.status.code(), finished.timed_out), (Some(3), false));
    assert_eq!((finished.stdout.as_slice(), finished.stderr.as_slice()), (&b"hello"[..], &b"oops\n"[..]));
}

#[test]
fn more_than_pipes_hold_passes_and_output_is_bounded() {
    let input = vec![b'x'; 3 << 20];
    let finished = run(&mut sh("wc -c; head -c 100000 /dev/zero"), &input, limits(60)).unwrap();
    assert!(finished.stdout.starts_with(b"3145728\n"));
    assert_eq!(finished.stdout.len(), 1000);
    let deaf = run(&mut sh("exit 0"), &input, limits(30)).unwrap();
    assert!(deaf.status.success());
}

#[test]
fn a_program_and_its_children_are_killed_when_their_time_is_up() {
    let dir = Dir::new();
    let script = format!("sleep 600 & echo $! > {}; wait", dir.join("pid").display());
    let finished = run(&mut sh(&script), b"", limits(1)).unwrap();
    assert!(finished.timed_out && !finished.status.success());
    let sleeper = dir.text("pid");
    // Killed, it may still be on its way out.
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", sleeper.trim())).unwrap_or_default();
    while !state().is_empty() && !state().contains(") Z ") {
        std::thread::yield_now();
    }
    let endless = run(&mut sh("yes"), b"", limits(1)).unwrap();
    assert!(endless.timed_out);
}

#[test]
fn a_process_left_behind_with_the_output_open_is_not_waited_for() {
    let finished = run(&mut sh("sleep 60 & echo $!"), b"", limits(30)).unwrap();
    assert!(!finished.timed_out);
    let sleeper: i32 = String::from_utf8(finished.stdout).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(sleeper), nix::sys::signal::SIGKILL).unwrap();
    assert!(run(&mut Command::new("/nonexistent"), b"", limits(1)).is_err());
}
