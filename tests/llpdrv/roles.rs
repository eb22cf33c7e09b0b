//! Starting and ending: what is printed, what is found before the fork, what is cleaned up.

use super::support::{
    Destination, Driver, LIMIT, Station, accepted, illp, llpdrv, message, mllp, open, verdict,
};
use crate::support::{free_port, top};
use protogen_testkit::daemon::Signal;
use protogen_testkit::pty::Pty;
use protogen_testkit::{Daemon, Dir, TestCommand};
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Instant;

/// Without `-Y`.
fn detached(arguments: &str) -> TestCommand {
    TestCommand::new(env!("CARGO_BIN_EXE_llpdrv")).args(arguments.split_whitespace()).in_dir(top())
}

#[test]
fn the_startup_process_prints_the_servers_process_id_and_nothing_else() {
    let (destination, directory) = (Destination::new(), Dir::new());
    let log = directory.join("log");
    let mut daemon = Daemon::start(&detached(&format!(
        "-m -u {} {} --log {}",
        directory.join("line").display(),
        destination.to(),
        log.display()
    )));
    daemon.wait_for_stdout("\n");
    assert_eq!((daemon.stdout(), daemon.stderr()), (format!("{}\n", daemon.pid()), String::new()));
    let station = Station::new(UnixStream::connect(directory.join("line")).unwrap(), mllp());
    station.send(&message("1"));
    assert_eq!(station.next(), accepted("1"));
    assert_eq!(log.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let terminal = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let fields: Vec<&str> = terminal.rsplit(") ").next().unwrap().split(' ').collect();
    assert_eq!(
        (fields[3], fields[4]),
        (daemon.pid().to_string().as_str(), "0"),
        "a session without a terminal"
    );
    assert!(daemon.terminate().success(), "the startup process ended with 0");
    assert_eq!(directory.list(""), ["log"], "socket and lock are removed");
}

#[test]
fn what_cannot_be_is_told_before_the_fork() {
    let (directory, busy) = (Dir::new(), TcpListener::bind("127.0.0.1:0").unwrap());
    let (port, free) = (busy.local_addr().unwrap().port(), free_port());
    let taken = directory.join("taken");
    let _listener = std::os::unix::net::UnixListener::bind(&taken).unwrap();
    let file = directory.write("file", "");
    let (taken, file) = (taken.display(), file.display());
    for (arguments, told) in [
        (format!("-m -i {port}%127.0.0.1"), "another program listens here already".to_owned()),
        (format!("-m -i {free}%127.0.0.1 -i {port}"), "another program listens here already".into()),
        ("-m -i nosuchservice".into(), "nosuchservice: ".into()),
        ("-m -i 0 -i 1%no.such.host.invalid".into(), "1%no.such.host.invalid: ".into()),
        ("-a -t /dev/nosuchtty".into(), "llpdrv: /dev/nosuchtty: No such file".into()),
        ("-a -t /dev/null".into(), "llpdrv: /dev/null: ".into()),
        (format!("-a -p {file}"), "exists and is no terminal; remove it".into()),
        (format!("-a -u {taken}"), "another program listens here already".into()),
        (format!("-a -u {file}"), "exists and is no socket; remove it".into()),
        ("-m -i 0 --log /nosuch/log".into(), "/nosuch/log: cannot open the log".into()),
        ("-m -i 0 --profile /nosuch".into(), "llpdrv: /nosuch: ".into()),
    ] {
        let output = detached(&arguments).run();
        output.code(2).stdout_is("").stderr_contains(&told);
        assert_eq!(output.stderr().lines().count(), 1, "{output}");
    }
    assert_eq!(directory.list(""), ["file", "taken"], "nothing is left behind");
}

#[test]
fn a_pty_that_was_made_before_a_failure_is_removed() {
    let directory = Dir::new();
    let line = directory.join("line");
    let output = detached(&format!("-m -p {} --log /nosuch/log", line.display())).run();
    output.code(2);
    assert_eq!(directory.list(""), Vec::<String>::new());
}

#[test]
fn y_leaves_the_terminal_without_forking_and_capital_y_stays() {
    for (flag, keeps) in [("-y", false), ("-Y", true)] {
        let terminal = Pty::terminal(24, 80).unwrap();
        let directory = Dir::new();
        let log = directory.join("log");
        let mut command = Command::new("setsid");
        command
            .args(["--ctty", env!("CARGO_BIN_EXE_llpdrv"), flag, "-m", "-i", "0%127.0.0.1", "--log"])
            .arg(&log);
        command.stdin(terminal.slave().unwrap());
        command.stdout(terminal.slave().unwrap()).stderr(terminal.slave().unwrap());
        let mut child = command.spawn().unwrap();
        let end = Instant::now() + LIMIT;
        let shown = |name: &str| std::fs::read_to_string(name).unwrap_or_default();
        while !shown(log.to_str().unwrap()).contains("line 127.0.0.1:") {
            assert!(Instant::now() < end, "{}", shown(log.to_str().unwrap()));
            std::thread::yield_now();
        }
        // The same process: setsid(1) became the driver, and it did not fork.
        let stat = shown(&format!("/proc/{}/stat", child.id()));
        let on_terminal = stat.rsplit(") ").next().unwrap().split(' ').nth(4).unwrap() != "0";
        assert_eq!(on_terminal, keeps, "{flag}: {stat}");
        let input = std::fs::read_link(format!("/proc/{}/fd/0", child.id())).unwrap();
        assert_eq!(input == std::path::Path::new("/dev/null"), !keeps, "{flag}: {}", input.display());
        child.kill().unwrap();
        child.wait().unwrap();
        let _ = terminal.master().as_raw_fd();
    }
}

#[test]
fn what_is_left_behind_by_a_crash_is_replaced() {
    let (destination, directory) = (Destination::new(), Dir::new());
    let path = directory.join("line");
    for medium in ["-u", "-p"] {
        for round in ["1", "2"] {
            let mut driver = Driver::start(&format!("-m {medium} {} {}", path.display(), destination.to()));
            let station = match medium {
                "-u" => Station::new(UnixStream::connect(&path).unwrap(), mllp()),
                _ => Station::new(open(&path), mllp()),
            };
            station.send(&message(round));
            assert_eq!(station.next(), accepted(round));
            let second = llpdrv(&format!("-m {medium} {}", path.display())).run();
            second.code(2).stderr_contains("in use by another program");
            if round == "1" {
                driver.daemon.kill_9();
                assert!(path.symlink_metadata().is_ok(), "a crash leaves it");
            } else {
                assert!(driver.daemon.terminate().success());
                assert_eq!(directory.list(""), Vec::<String>::new(), "an orderly end does not");
            }
        }
    }
}

#[test]
fn the_unix_socket_has_the_mode_that_was_asked_for() {
    let directory = Dir::new();
    let path = directory.join("line");
    for (options, mode) in [("", 0o600), ("--socket-mode 660", 0o660)] {
        let _driver = Driver::start(&format!("-m {options} -u {}", path.display()));
        let data = path.symlink_metadata().unwrap();
        assert!(data.file_type().is_socket());
        assert_eq!(data.permissions().mode() & 0o777, mode);
    }
}

#[test]
fn sigterm_restores_the_terminals_settings() {
    let pty = Pty::terminal(24, 80).unwrap();
    let settings = |_: ()| {
        let output = Command::new("stty").arg("-g").stdin(pty.slave().unwrap()).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let before = settings(());
    let mut driver = Driver::start(&format!("-a -t {}", pty.path().display()));
    assert_ne!(settings(()), before);
    assert!(driver.daemon.terminate().success());
    assert_eq!(settings(()), before);
}

#[test]
fn sigterm_lets_what_is_under_way_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut driver = Driver::start(&format!("-m -i 0%127.0.0.1 -i {port}%127.0.0.1 -I -i 0"));
    let station = Station::new(std::net::TcpStream::connect(driver.line()).unwrap(), mllp());
    station.send(&message("1"));
    let (mut stream, _) = listener.accept().unwrap();
    let mut request = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut request).unwrap();
    // It waits for the line, which is the message's.
    let waiting = super::support::illp_begin(driver.distal(), &message("2"));
    // A query is answered at once, so the request before it has been read.
    illp(driver.distal(), b"MSH|^~\\&|W||LLPDRV||1||NMQ|9|P|2.1\rNCK\rNST\r");
    driver.daemon.signal(Signal::SIGTERM);
    driver.daemon.wait_for_state("STOPPING=1");
    let mut answer = Vec::new();
    std::io::Read::read_to_end(&mut &waiting, &mut answer).unwrap();
    assert_eq!(verdict(&answer), "AR|2|the driver is shutting down");
    std::io::Write::write_all(&mut stream, &accepted("1")).unwrap();
    drop(stream);
    assert_eq!(station.next(), accepted("1"));
    assert!(driver.daemon.wait_for_exit().success());
}

#[test]
fn sigusr1_tells_the_counters_and_sighup_opens_the_log_again() {
    let (destination, directory) = (Destination::new(), Dir::new());
    let log = directory.join("log");
    let options = format!("-m -i 0%127.0.0.1 {} --log {}", destination.to(), log.display());
    let driver = Driver::start(&options);
    let station = Station::new(std::net::TcpStream::connect(driver.line()).unwrap(), mllp());
    station.send(&message("1"));
    assert_eq!(station.next(), accepted("1"));
    let wait_for = |text: &str| {
        let end = Instant::now() + LIMIT;
        while !std::fs::read_to_string(&log).unwrap_or_default().contains(text) {
            assert!(Instant::now() < end, "{text}\n{}", std::fs::read_to_string(&log).unwrap_or_default());
            std::thread::yield_now();
        }
    };
    std::fs::rename(&log, directory.join("old")).unwrap();
    driver.daemon.signal(Signal::SIGHUP);
    wait_for("");
    driver.daemon.signal(Signal::SIGUSR1);
    wait_for(
        "messages in 1 out 1, bytes in 66 out 56, blocks in 1 out 1, NAKs in 0 out 0, retries 0, sessions 0",
    );
    assert!(!directory.text("old").contains("7.4"), "nothing of a message is logged");
}

#[test]
fn the_dialogue_is_logged_when_asked_for() {
    let destination = Destination::new();
    let driver = Driver::start(&format!("-m -d -i 0%127.0.0.1 {}", destination.to()));
    let station = Station::new(std::net::TcpStream::connect(driver.line()).unwrap(), mllp());
    station.send(&message("1"));
    assert_eq!(station.next(), accepted("1"));
    driver.daemon.wait_for_stderr("< <VT>MSH|^~\\&|LAB|");
    driver.daemon.wait_for_stderr("MSA|AA|1<CR><FS><CR>");
}

#[test]
fn check_and_settings() {
    let directory = Dir::new();
    let profile = directory.write("profile", "priority = \"high\"\n[x328]\ntimer-a = 0.5\n");
    let profile = profile.display();
    llpdrv(&format!("--check -a -i 0 --profile {profile}")).run().success().stdout_is("").stderr_is("");
    let shown = llpdrv(&format!("--settings --profile {profile} --x328-timer-b 2")).run();
    shown.success().stdout_contains("priority = \"high\"").stdout_contains("timer-a = 0.5 ");
    shown.stdout_contains("timer-b = 2 ");
    // What it prints is a profile.
    let written = directory.write("written", &shown.stdout);
    let again = llpdrv(&format!("--settings --profile {}", written.display())).run();
    again.success().stdout_is(&shown.stdout);
    let bad = directory.write("bad", "\n[x328]\ntimer-q = 1\n");
    llpdrv(&format!("--check -a -i 0 --profile {}", bad.display())).run().code(2).stderr_is(&format!(
        "llpdrv: {}:3: x328-timer-q: is no setting; llpdrv-profile(5) has them all\n",
        bad.display()
    ));
}

#[test]
fn help_fits_a_screen() {
    let help = llpdrv("--help").run();
    help.success();
    let lines = help.stdout().lines().count();
    assert!(lines <= 24, "{lines} lines\n{help}");
    assert!(help.stdout().lines().all(|line| line.len() <= 100), "{help}");
    llpdrv("--version").run().success().stdout_contains("llpdrv ");
    TestCommand::new(env!("CARGO_BIN_EXE_llpdrv")).run().code(2).stderr_contains("-a, -h or -m is needed");
}

#[test]
fn the_shipped_examples_are_sound() {
    let profile = top().join("etc/llpdrv-profile.example");
    llpdrv(&format!("--check -a -i 0 --profile {}", profile.display())).run().success();
    let inittab = std::fs::read_to_string(top().join("etc/inittab.example")).unwrap();
    let is_entry = |line: &&str| line.contains(":respawn:");
    let lines: Vec<&str> = inittab
        .lines()
        .filter(is_entry)
        .filter_map(|line| Some(line.split_once(" -- /usr/hl7/bin/llpdrv ")?.1))
        .collect();
    assert_eq!(lines.len(), 3);
    let pty = Pty::raw().unwrap();
    for line in lines {
        // The names are those of a site; all the rest is as it stands.
        let line = line
            .replace("/dev/ttyS0", pty.path().to_str().unwrap())
            .replace("/dev/ttyS1", pty.path().to_str().unwrap())
            .replace("/usr/hl7/etc/lab.toml", profile.to_str().unwrap())
            .replace("carevuehl7%", "9%")
            .replace("discard%", "9%")
            .replace("carevuefsi", "0");
        crate::support::llpdrv().args(line.split_whitespace()).arg("--check").run().success();
    }
}
