use std::io::Read;
use std::ops::ControlFlow;
use std::process::Command;
use std::time::Duration;

use protogen_sys::coprocess::{Coprocess, ExchangeError};
use protogen_testkit::Dir;

const LIMIT: Duration = protogen_testkit::TIMEOUT;

fn start(script: &str) -> Coprocess {
    Coprocess::start(Command::new("sh").args(["-c", script])).unwrap().0
}

/// Sends bytes and reads as many back.
fn echo(
    program: &mut Coprocess,
    bytes: &[u8],
    limit: Duration,
    stop: bool,
) -> Result<Vec<u8>, ExchangeError> {
    let mut heard = Vec::new();
    program.exchange(bytes, limit, &|| stop, |piece| {
        heard.extend_from_slice(piece);
        if heard.len() >= bytes.len() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(heard)
}

#[test]
fn one_exchange_after_the_other_however_long() {
    let mut program = start("cat");
    for size in [1, 1000, 3 << 20, 5] {
        let bytes: Vec<u8> = (0..size).map(|number| (number % 251) as u8).collect();
        assert_eq!(echo(&mut program, &bytes, LIMIT, false).unwrap(), bytes);
        program.hear(|bytes| panic!("{} bytes unasked", bytes.len())).unwrap();
    }
}

#[test]
fn why_an_exchange_fails() {
    let ended = echo(&mut start("read x; exit 3"), b"x\n", LIMIT, false).unwrap_err();
    assert_eq!(ended.to_string(), "it ended, exit status: 3");
    let ended = echo(&mut start("exec true"), b"x\n", LIMIT, false).unwrap_err();
    assert_eq!(ended.to_string(), "it ended, exit status: 0");
    let error = echo(&mut start("exec sleep 600"), b"x", Duration::from_millis(150), false).unwrap_err();
    assert!(matches!(error, ExchangeError::TimedOut), "{error}");
    let error = echo(&mut start("exec sleep 600"), b"x", LIMIT, true).unwrap_err();
    assert!(matches!(error, ExchangeError::Stopped), "{error}");
    // One that writes without end.
    let mut program = start("exec yes");
    let error = program.exchange(b"", Duration::from_millis(150), &|| false, |_| ControlFlow::Continue(()));
    assert!(matches!(error, Err(ExchangeError::TimedOut)));
    // One that does not read.
    let error =
        echo(&mut start("exec sleep 600"), &vec![0; 1 << 20], Duration::from_millis(150), false).unwrap_err();
    assert!(matches!(error, ExchangeError::TimedOut), "{error}");
}

#[test]
fn it_ends_with_all_that_it_started() {
    let dir = Dir::new();
    let pid = dir.join("pid");
    let script = format!("trap '' TERM; sleep 600 & echo $! >{}; echo; wait; sleep 600", pid.display());
    let mut program = start(&script);
    program
        .exchange(b"", LIMIT, &|| false, |bytes| match bytes {
            [] => ControlFlow::Continue(()),
            _ => ControlFlow::Break(()),
        })
        .unwrap();
    let child: i32 = dir.text("pid").trim().parse().unwrap();
    drop(program);
    // Reparented to somebody who may take a moment to notice.
    let state = || std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    let gone = || state().is_empty() || state().contains(") Z ");
    let end = std::time::Instant::now() + LIMIT;
    while !gone() {
        assert!(std::time::Instant::now() < end, "{}", state());
        std::thread::yield_now();
    }
}

#[test]
fn what_it_says_unasked_and_on_standard_error() {
    let (mut program, mut stderr) =
        Coprocess::start(Command::new("sh").args(["-c", "echo oops >&2; echo hello; cat >/dev/null"]))
            .unwrap();
    let mut text = [0; 5];
    stderr.read_exact(&mut text).unwrap();
    assert_eq!(&text, b"oops\n");
    let mut heard = Vec::new();
    while heard != b"hello\n" {
        program.hear(|bytes| heard.extend_from_slice(bytes)).unwrap();
    }
    let mut gone = start("exit 0");
    let error = loop {
        if let Err(error) = gone.hear(|_| panic!("it says nothing")) {
            break error;
        }
    };
    assert!(matches!(error, ExchangeError::Ended(_)));
}
