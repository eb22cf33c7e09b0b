use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getpgid, getsid};
use protogen_sys::lock::LockError;
use protogen_sys::pid_file::PidFile;
use protogen_testkit::{Daemon, Dir, TestCommand, pty::Pty};

use super::served;

fn command(dir: &Dir, kind: &str) -> TestCommand {
    TestCommand::new(served()).args([kind, "pid", "log"]).in_dir(dir.path())
}

fn is_alive(pid: i32) -> bool {
    // A zombie that nobody waits for is dead too.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Ends the server also when the test fails.
struct Server(i32);

impl Server {
    fn end(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.0), signal);
        while is_alive(self.0) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end(Signal::SIGKILL);
    }
}

#[test]
fn the_startup_process_prints_the_servers_pid_and_nothing_else() {
    let dir = Dir::new();
    let output = command(&dir, "daemon").run();
    output.success().stderr_is("");
    let pid: i32 = output.stdout().trim().parse().unwrap();
    let server = Server(pid);
    output.stdout_is(format!("{pid}\n"));
    assert!(is_alive(pid));
    assert_eq!(dir.text("pid"), format!("{pid}\n"));
    // A session of its own, and nothing left of the caller's streams.
    assert_eq!(getsid(Some(Pid::from_raw(pid))).unwrap().as_raw(), pid);
    assert_eq!(getpgid(Some(Pid::from_raw(pid))).unwrap().as_raw(), pid);
    for stream in 0..=2 {
        let target = std::fs::read_link(format!("/proc/{pid}/fd/{stream}")).unwrap();
        assert_eq!(target.to_str(), Some("/dev/null"), "stream {stream}");
    }
    server.end(Signal::SIGTERM);
    assert!(!dir.join("pid").exists(), "the pid file goes with its server");
    assert!(dir.text("log").contains("ending"));
}

#[test]
fn a_server_that_cannot_start_is_reported_by_the_startup_process() {
    let dir = Dir::new();
    let failed = command(&dir, "daemon").arg("fail").run();
    failed.code(2).stdout_is("").stderr_is("served: told to fail\n");

    let died = command(&dir, "daemon").arg("die").run();
    died.code(2).stdout_is("");
    died.stderr_contains("served: the server ended before it was ready: exit status 2; see the log");

    let slow = command(&dir, "daemon").arg("slow").run();
    slow.code(2).stderr_contains("was not ready after 1 s and was told to end");
    let pid = slow.stderr().split(['(', ')']).nth(1).unwrap().replace("process ", "");
    let server = Server(pid.parse().unwrap());
    server.end(Signal::SIGTERM);
}

#[test]
fn a_second_server_finds_the_first_by_its_pid_file() {
    let dir = Dir::new();
    let mut first = Daemon::start(&command(&dir, "serve"));
    let second = command(&dir, "serve").run();
    second.code(2).stderr_is(&format!("served: pid: held by process {}\n", first.pid()));
    assert_eq!(dir.text("pid"), format!("{}\n", first.pid()), "the second did not touch it");
    assert_eq!(dir.join("pid").metadata().unwrap().permissions().mode() & 0o777, 0o644);

    first.kill_9();
    assert!(dir.join("pid").exists(), "kill -9 leaves the file");
    let mut third = Daemon::start(&command(&dir, "serve"));
    assert_eq!(dir.text("pid"), format!("{}\n", third.pid()), "and the next one takes it over");
    assert!(third.terminate().success());
    assert!(!dir.join("pid").exists());
}

#[test]
fn a_pid_file_that_became_somebody_elses_is_not_removed() {
    let dir = Dir::new();
    let path = dir.join("pid");
    let first = PidFile::create(&path).unwrap();
    assert!(matches!(PidFile::create(&path), Err(LockError::Held { .. })));
    std::fs::remove_file(&path).unwrap();
    let second = PidFile::create(&path).unwrap();
    drop(first);
    assert!(path.exists());
    drop(second);
    assert!(!path.exists());
}

#[test]
fn signals_are_events_and_the_log_is_opened_again_on_sighup() {
    let dir = Dir::new();
    let mut server = Daemon::start(&command(&dir, "serve"));
    assert_eq!(dir.join("log").metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::rename(dir.join("log"), dir.join("log.1")).unwrap();
    server.signal(Signal::SIGHUP);
    server.wait_for_state("STATUS=opened again");
    assert!(dir.text("log.1").contains("serving"));
    assert!(!dir.text("log.1").contains("opened again"));
    assert!(dir.text("log").contains("served["), "{}", dir.text("log"));
    assert!(dir.text("log").ends_with(": info: opened again\n"));
    server.signal(Signal::SIGUSR1);
    server.wait_for_state("STATUS=signal 1");
    assert!(server.terminate().success());
    server.wait_for_state("STOPPING=1");
}

#[test]
fn the_terminal_is_left_without_a_fork() {
    let dir = Dir::new();
    let pty = Pty::terminal(24, 80).unwrap();
    // setsid(1) with -c makes the pseudo terminal the controlling one, as a login does; the shell in between makes
    // the program a plain member of the group, a group leader, or the session's leader.
    for (case, script) in [
        ("member", "\"$0\" leave & wait $!"),
        ("group leader", "set -m; \"$0\" leave & wait $!"),
        ("session leader", "exec \"$0\" leave"),
    ] {
        let mut child = std::process::Command::new("setsid")
            .args(["-c", "-w", "sh", "-c", script])
            .arg(served())
            .current_dir(dir.path())
            .stdin(pty.slave().unwrap())
            .stdout(pty.slave().unwrap())
            .stderr(pty.slave().unwrap())
            .spawn()
            .unwrap();
        assert!(child.wait().unwrap().success(), "{case}");
        assert_eq!(dir.text("terminal"), "no", "{case}");
        std::fs::remove_file(dir.join("terminal")).unwrap();
    }
}

#[test]
fn a_process_with_threads_cannot_fork() {
    let (stop, wait) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || wait.recv().is_err());
    let error = protogen_sys::daemon::detach().unwrap_err();
    assert!(error.to_string().contains("threads are running"), "{error}");
    drop(stop);
    assert!(thread.join().unwrap());
}

#[test]
fn a_server_under_no_service_manager_starts_too() {
    let dir = Dir::new();
    let command = command(&dir, "serve").env("NOTIFY_SOCKET", "").timeout(Duration::from_secs(30));
    let mut process = command.command().spawn().unwrap();
    let server = Server(i32::try_from(process.id()).unwrap());
    while !dir.join("log").exists() || !dir.text("log").contains("serving") {
        assert!(process.try_wait().unwrap().is_none());
        std::thread::yield_now();
    }
    let _ = kill(Pid::from_raw(server.0), Signal::SIGTERM);
    assert!(process.wait().unwrap().success());
}
