//! A disk that is full: senders are told to try later, and it goes on by itself when there is room.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use protogen_testkit::daemon::Signal;
use protogen_testkit::tmpfs::Tmpfs;
use protogen_testkit::{Daemon, Dir, not_tested};

use super::support::{adt, put};
use crate::support::{free_port, socketreader, wait_until};

/// A message of so many bytes.
fn long(id: &str, size: usize) -> Vec<u8> {
    [&adt(id)[..], b"NTE|1||", &vec![b'x'; size], b"\r"].concat()
}

/// A router whose journal has no room, from the sockets `in` and, without answers, `quiet`, and the directory `files`.
struct Full {
    daemon: Daemon,
    stream: TcpStream,
    quiet: TcpStream,
    /// How many messages it has taken.
    accepted: usize,
    /// What the first one got that it has not.
    refusal: String,
    ballast: PathBuf,
    dir: Dir,
    _disk: Tmpfs,
}

impl Full {
    /// `None` where nothing can be mounted.
    fn start() -> Option<Full> {
        let (dir, port, quiet) = (Dir::new(), free_port(), free_port());
        // Room for three segments of 64 MiB; a ballast takes that of the third.
        let disk = match Tmpfs::mount(&dir.join("disk"), 220 << 10) {
            Ok(disk) => disk,
            Err(why) => {
                not_tested(why);
                return None;
            }
        };
        dir.make("out");
        dir.make("files");
        dir.write(
            "sr.cfg",
            format!(
                "[general]\nlogfile = {0}/log\nstatedir = {0}/disk/state\nuseconnections = in, quiet, files, out\n\
                 [in]\ntranstech = socket\ntransdir = in\nusehl7 = True\nqueuename = q\nport = {port}\n\
                 [quiet]\ntranstech = socket\ntransdir = in\nuseack = False\nqueuename = q\nport = {quiet}\n\
                 [files]\ntranstech = file\ntransdir = in\nqueuename = q\nmessagedir = {0}/files\n\
                 cycletime = 0.1\nsettle = 0\n\
                 [out]\ntranstech = file\ntransdir = out\nqueuename = q\nmessagedir = {0}/out\n",
                dir.path().display(),
            ),
        );
        let daemon = Daemon::start(&socketreader().arg("-c").arg(dir.join("sr.cfg")));
        let connect = |port| {
            let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
            stream.set_read_timeout(Some(protogen_testkit::TIMEOUT)).unwrap();
            stream
        };
        let (stream, quiet, ballast) = (connect(port), connect(quiet), disk.fill());
        let (accepted, refusal) = (0, String::new());
        // Nothing is delivered, so nothing can be given up to make room.
        std::fs::rename(dir.join("out"), dir.join("away")).unwrap();
        let mut full = Full { daemon, stream, quiet, accepted, refusal, ballast, dir, _disk: disk };
        full.refusal = loop {
            let answer = full.exchange();
            if !answer.contains("MSA|AA|") {
                break answer;
            }
            full.accepted += 1;
            assert!(full.accepted < 200, "the disk does not get full");
        };
        Some(full)
    }

    fn send(&mut self, message: &[u8]) -> String {
        self.stream.write_all(&super::support::frame(message)).unwrap();
        let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
        while !answer.ends_with(b"\x1C\r") {
            let count = self.stream.read(&mut buffer).unwrap();
            assert!(count > 0, "closed without an answer");
            answer.extend_from_slice(&buffer[..count]);
        }
        String::from_utf8(answer).unwrap()
    }

    fn exchange(&mut self) -> String {
        self.send(&long(&self.accepted.to_string(), 1 << 20))
    }

    fn make_room(&self) {
        std::fs::remove_file(&self.ballast).unwrap();
    }

    /// Lets what waits be delivered.
    fn deliver(&self) {
        std::fs::rename(self.dir.join("away"), self.dir.join("out")).unwrap();
    }

    fn delivered(&self) -> Vec<String> {
        self.dir.list("out").into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    /// Waits until so many messages came out, and gives the last.
    fn last(&self, count: usize) -> Vec<u8> {
        wait_until(|| self.delivered().len() >= count);
        let names = self.delivered();
        assert_eq!(names.len(), count);
        self.dir.read(format!("out/{}", names[count - 1]))
    }
}

#[test]
fn a_full_disk_answers_try_later_and_recovers_by_itself() {
    let Some(mut full) = Full::start() else { return };
    let (accepted, refusal) = (full.accepted, &full.refusal);
    assert!(refusal.contains(&format!("MSA|AR|{accepted}|try later: the disk is full")), "{refusal:?}");
    assert!(accepted > 40, "{accepted}");
    // What was accepted is delivered nevertheless: delivery records still fit. It makes room for more.
    full.deliver();
    wait_until(|| full.delivered().len() == accepted);
    for _ in 0..100 {
        wait_until(|| full.exchange().contains("MSA|AA|"));
    }
    wait_until(|| full.delivered().len() >= accepted + 100);
    // The same with room that somebody else makes.
    std::fs::rename(full.dir.join("out"), full.dir.join("away")).unwrap();
    while full.exchange().contains("MSA|AA|") {}
    full.make_room();
    wait_until(|| full.exchange().contains("MSA|AA|"));
    full.deliver();
    assert_eq!(full.daemon.terminate().code(), Some(0), "{}", full.daemon);
}

#[test]
fn a_file_whose_message_cannot_be_stored_stays_until_it_can() {
    let Some(mut full) = Full::start() else { return };
    let message = long("F1", 1 << 20);
    put(full.dir.join("files/1"), &message);
    let refused = || full.dir.text("log").contains("files - ERROR - not stored: the disk is full");
    wait_until(refused);
    assert_eq!(full.dir.read("files/1"), message, "it is there, whole");
    full.make_room();
    wait_until(|| full.dir.list("files").is_empty());
    full.deliver();
    assert_eq!(full.last(full.accepted + 1), message);
    assert_eq!(full.daemon.terminate().code(), Some(0), "{}", full.daemon);
}

#[test]
fn a_message_of_a_sender_that_hears_nothing_is_kept_and_that_is_said_once() {
    let Some(mut full) = Full::start() else { return };
    let message = long("Q1", 1 << 20);
    full.quiet.write_all(&super::support::frame(&message)).unwrap();
    let log = full.dir.join("log");
    let log = || std::fs::read_to_string(&log).unwrap();
    let said = |text: &str| log().matches(&format!("quiet - ERROR - {text}")).count();
    wait_until(|| said("not stored: the disk is full") > 0);
    // It is tried again and again while others are refused.
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(500) {
        assert!(full.exchange().contains("try later"));
    }
    full.make_room();
    wait_until(|| said("stored at last; messages are read again") > 0);
    assert_eq!(said("not stored"), 1, "{}", log());
    full.deliver();
    assert_eq!(full.last(full.accepted + 1), message);
    full.quiet.write_all(&super::support::frame(&adt("Q2"))).unwrap();
    assert_eq!(full.last(full.accepted + 2), adt("Q2"));
    assert_eq!(full.daemon.terminate().code(), Some(0), "{}", full.daemon);
}

#[test]
fn a_reload_without_room() {
    let Some(full) = Full::start() else { return };
    let text = full.dir.text("sr.cfg");
    let changed =
        text.replacen("out\n", "out, more\n", 1).replacen("[general]\n", "[general]\nloglvl = debug\n", 1);
    let changed = changed.replacen("cycletime = 0.1", "cycletime = 0.2", 1);
    let changed = changed.replacen("useack = False", "useack = False\ntimeout = 50", 1);
    // Where there is a directory; what is in force names one that is not there just now.
    let changed = changed.replacen("/out\n", "/away\n", 1);
    let more = full.dir.make("more");
    let changed = format!(
        "{changed}[more]\ntranstech = file\ntransdir = out\nqueuename = q\nmessagedir = {}\n",
        more.display()
    );
    full.dir.write("sr.cfg", changed);
    full.daemon.signal(Signal::SIGHUP);
    wait_until(|| full.dir.text("log").contains("; the configuration before stays in force"));
    assert!(full.dir.text("log").contains("cannot begin a segment"), "{}", full.dir.text("log"));
    // Those that were to change are there, as they were.
    let message = long("F1", 1 << 20);
    put(full.dir.join("files/1"), &message);
    let address = full.quiet.peer_addr().unwrap();
    let mut quiet = TcpStream::connect(address).unwrap();
    quiet.write_all(&super::support::frame(&adt("Q1"))).unwrap();
    full.make_room();
    wait_until(|| full.dir.list("files").is_empty());
    full.deliver();
    wait_until(|| full.delivered().len() == full.accepted + 2);
    let log = full.dir.text("log");
    assert!(!log.contains("DEBUG"), "{log}");
    assert_eq!(full.dir.list("more"), [""; 0]);
    // And then it can be done.
    full.dir.make("away");
    full.daemon.signal(Signal::SIGHUP);
    wait_until(|| full.dir.text("log").contains("is read again: new: more; altered: quiet, files, out"));
    TcpStream::connect(address).unwrap().write_all(&super::support::frame(&adt("Q2"))).unwrap();
    wait_until(|| full.dir.list("more").iter().any(|name| !name.starts_with('.')));
    drop(quiet);
}
