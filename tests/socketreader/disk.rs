//! A disk that is full: senders are told to try later, and it goes on by itself when there is room.

use std::io::{Read, Write};
use std::net::TcpStream;

use protogen_testkit::tmpfs::Tmpfs;
use protogen_testkit::{Daemon, Dir};

use crate::support::{free_port, socketreader, wait_until};

fn exchange(stream: &mut TcpStream, id: usize, size: usize) -> String {
    let text = "x".repeat(size);
    let message = format!("\x0BMSH|^~\\&|A|B|C|D|2026||ORU^R01|{id}|P|2.3\rNTE|1||{text}\r\x1C\r");
    stream.write_all(message.as_bytes()).unwrap();
    let (mut answer, mut buffer) = (Vec::new(), [0; 4096]);
    while !answer.ends_with(b"\x1C\r") {
        let count = stream.read(&mut buffer).unwrap();
        assert!(count > 0, "closed without an answer");
        answer.extend_from_slice(&buffer[..count]);
    }
    String::from_utf8(answer).unwrap()
}

#[test]
fn a_full_disk_answers_try_later_and_recovers_by_itself() {
    let (dir, port) = (Dir::new(), free_port());
    // Room for three segments of 64 MiB; a ballast takes that of the third.
    let disk = match Tmpfs::mount(&dir.join("disk"), 220 << 10) {
        Ok(disk) => disk,
        Err(why) => return println!("not tested: {why}"),
    };
    let out = dir.make("out");
    dir.write(
        "sr.cfg",
        format!(
            "[general]\nlogfile = {0}/log\nstatedir = {0}/disk/state\nuseconnections = in, out\n\
             [in]\ntranstech = socket\ntransdir = in\nusehl7 = True\nqueuename = q\nport = {port}\n\
             [out]\ntranstech = file\ntransdir = out\nqueuename = q\nmessagedir = {1}\n",
            dir.path().display(),
            out.display()
        ),
    );
    let mut daemon = Daemon::start(&socketreader().arg("-c").arg(dir.join("sr.cfg")));
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(protogen_testkit::TIMEOUT)).unwrap();
    let ballast = disk.fill();
    let files = || dir.list("out").iter().filter(|name| !name.starts_with('.')).count();
    // Nothing is delivered, so nothing can be given up.
    std::fs::rename(&out, dir.join("away")).unwrap();
    let mut accepted = 0;
    let refusal = loop {
        let answer = exchange(&mut stream, accepted, 1 << 20);
        if !answer.contains("MSA|AA|") {
            break answer;
        }
        accepted += 1;
        assert!(accepted < 200, "the disk does not get full");
    };
    assert!(refusal.contains(&format!("MSA|AR|{accepted}|try later: the disk is full")), "{refusal:?}");
    assert!(accepted > 40, "{accepted}");
    // What was accepted is delivered nevertheless: delivery records still fit. It makes room for more.
    std::fs::rename(dir.join("away"), &out).unwrap();
    wait_until(|| files() == accepted);
    for number in accepted..accepted + 100 {
        wait_until(|| exchange(&mut stream, number, 1 << 20).contains("MSA|AA|"));
    }
    wait_until(|| files() >= accepted + 100);
    // The same with room that somebody else makes.
    std::fs::rename(&out, dir.join("away")).unwrap();
    while exchange(&mut stream, accepted, 1 << 20).contains("MSA|AA|") {}
    std::fs::remove_file(ballast).unwrap();
    wait_until(|| exchange(&mut stream, accepted, 1 << 20).contains("MSA|AA|"));
    std::fs::rename(dir.join("away"), &out).unwrap();
    assert_eq!(daemon.terminate().code(), Some(0), "{daemon}");
}
