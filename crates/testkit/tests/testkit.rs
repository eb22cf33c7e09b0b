//! The test helpers themselves: a helper that lets a wrong program pass is worse than none.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // helpers of tests are tests too

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use protogen_testkit::daemon::Signal;
use protogen_testkit::peer::{Peer, Step};
use protogen_testkit::pty::Pty;
use protogen_testkit::tmpfs::Tmpfs;
use protogen_testkit::{Daemon, Dir, TestCommand};

fn sh(script: &str) -> TestCommand {
    TestCommand::new("/bin/sh").args(["-c", script])
}

/// What the panic of `f` says.
fn panics<T>(f: impl FnOnce() -> T) -> String {
    let panic = catch_unwind(AssertUnwindSafe(|| drop(f()))).expect_err("it should have panicked");
    panic.downcast_ref::<String>().cloned().expect("a panic with a text")
}

#[test]
fn a_failed_assertion_shows_command_directory_status_and_both_streams() {
    let dir = Dir::new();
    let command = sh("cat; pwd; echo oops >&2; exit 3").env("X", "y").stdin("fed ").in_dir(dir.path());
    let output = command.run();
    let place = dir.path().display();
    output
        .code(3)
        .stdout_is(format!("fed {place}\n"))
        .stdout_contains("fed")
        .stderr_is("oops\n")
        .stderr_contains("oop");
    let told = [
        "X=\"y\" /bin/sh \"-c\"",
        &format!("\n  in {place}\n"),
        "exit status: 3\n",
        &format!("standard output:\nfed {place}\n"),
        "standard error:\noops\n",
    ];
    for said in [
        panics(|| output.success().clone()),
        panics(|| output.stdout_is("other").clone()),
        panics(|| output.stdout_contains("other").clone()),
        panics(|| output.stderr_is("other").clone()),
        panics(|| output.stderr_contains("other").clone()),
    ] {
        for part in told {
            assert!(said.contains(part), "{part} in\n{said}");
        }
    }
    let late = panics(|| sh("echo begun; sleep 600").timeout(Duration::from_secs(1)).run());
    assert!(late.starts_with("it was killed after 1s\ncommand: /bin/sh"), "{late}");
    assert!(late.contains("standard output:\nbegun\n"), "{late}");
    assert!(panics(|| TestCommand::new("/nonexistent").run()).contains("/nonexistent: cannot run: "));
}

#[test]
fn a_directory_is_kept_when_its_test_fails() {
    let dir = Dir::new();
    let path = dir.path().to_owned();
    assert!(dir.write("a/b", "text").starts_with(&path));
    assert_eq!((dir.text("a/b").as_str(), dir.list("a")), ("text", vec!["b".to_owned()]));
    drop(dir);
    assert!(!path.exists(), "a passing test cleans up");
    let mut kept = std::path::PathBuf::new();
    panics(|| {
        let dir = Dir::new();
        kept = dir.path().to_owned();
        assert!(dir.path().as_os_str().is_empty(), "{}", "no");
    });
    assert!(kept.is_dir());
    std::fs::remove_dir(kept).unwrap();
}

#[test]
fn a_server_that_does_not_get_ready_is_shown_and_killed() {
    let said = panics(|| Daemon::start(&sh("echo cannot bind >&2; exit 2")));
    assert!(said.contains("before READY=1"), "{said}");
    let mut running =
        Daemon::launch(&sh("trap 'echo bye >&2; exit 7' TERM; echo up >&2; while :; do sleep 0.01; done"));
    running.wait_for_stderr("up\n");
    running.signal(Signal::SIGTERM);
    assert_eq!(running.wait_for_exit().code(), Some(7));
    running.wait_for_stderr("bye\n");
    let left = Daemon::launch(&sh("sleep 600"));
    let pid = left.pid();
    drop(left);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
}

#[test]
fn a_scripted_peer_plays_its_part_and_names_the_step_that_failed() {
    let server = Peer::listen(vec![
        Step::Expect(b"hello".to_vec()),
        Step::SendSlowly(b"hi\n".to_vec()),
        Step::WaitForTest,
        Step::HalfClose,
        Step::ReadUntil(b"\r".to_vec()),
        Step::ExpectEnd,
        Step::Close,
        Step::Send(b"again".to_vec()),
    ]);
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"hello").unwrap();
    let mut got = [0; 3];
    stream.read_exact(&mut got).unwrap();
    server.go_on();
    assert_eq!(stream.read(&mut got).unwrap(), 0, "half closed");
    stream.write_all(b"the rest\r").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut again = String::new();
    TcpStream::connect(server.address()).unwrap().read_to_string(&mut again).unwrap();
    assert_eq!(again, "again");
    assert_eq!(server.finish(), b"hellothe rest\r");

    let first = Peer::listen(vec![Step::Send(b"x".to_vec())]);
    let second = Peer::connect(first.address(), vec![Step::Expect(b"y".to_vec())]);
    first.finish();
    let said = panics(|| second.finish());
    assert!(said.ends_with("step 0, expect y: got x"), "{said}");
}

#[test]
fn a_terminal_echoes_and_hangs_up() {
    let pty = Pty::terminal(24, 80).unwrap();
    let mut child = std::process::Command::new("/bin/sh")
        .args(["-c", "stty size; read line; echo got $line"])
        .stdin(pty.slave().unwrap())
        .stdout(pty.slave().unwrap())
        .spawn()
        .unwrap();
    let mut master = pty.master();
    master.write_all(b"word\r").unwrap();
    assert!(child.wait().unwrap().success());
    let mut text = String::new();
    let mut piece = [0; 256];
    while !text.ends_with("got word\r\n") {
        let count = master.read(&mut piece).unwrap();
        text.push_str(&String::from_utf8_lossy(&piece[..count]));
    }
    assert!(text.contains("24 80\r\n") && text.contains("word\r\n"), "{text:?}");
    pty.hang_up();
}

#[test]
fn a_small_file_system_gets_full_and_goes_away() {
    let dir = Dir::new();
    let small = match Tmpfs::mount(&dir.join("small"), 64) {
        Ok(small) => small,
        Err(why) => return protogen_testkit::not_tested(why),
    };
    let filler = small.fill();
    let error = std::fs::write(small.path().join("x"), "x").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    std::fs::remove_file(filler).unwrap();
    std::fs::write(small.path().join("x"), "x").unwrap();
    drop(small);
    assert_eq!(dir.list("small"), [""; 0]);
}

/// The child of the test below, which asks for it: not a test of its own.
#[test]
fn what_is_not_tested() {
    if std::env::var_os("PG_NOT_TESTED").is_some() {
        protogen_testkit::not_tested("no room");
    }
}

#[test]
fn what_is_not_tested_fails_in_continuous_integration_only() {
    for (ci, passes) in [(Some("true"), false), (None, true)] {
        let mut child = std::process::Command::new(std::env::current_exe().unwrap());
        child.args(["--exact", "what_is_not_tested"]).env("PG_NOT_TESTED", "1").env_remove("CI");
        let output = child.envs(ci.map(|ci| ("CI", ci))).output().unwrap();
        assert_eq!(output.status.success(), passes, "{}", String::from_utf8_lossy(&output.stdout));
    }
}
