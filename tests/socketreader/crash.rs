//! kill -9 in mid-traffic: what was answered AA reaches every output, in order.
//!
//! strace(1) kills the program as it enters a certain system call, so that each phase of a message's life is met.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use protogen_testkit::random::Random;
use protogen_testkit::{Daemon, Dir, TestCommand};

use crate::support::{free_port, socketreader};

const CLIENTS: usize = 8;
const OUTPUTS: [&str; 3] = ["one", "two", "three"];
/// Each client lets so many messages wait for their answers.
const AHEAD: u64 = 4;
/// So many messages may wait for an output: senders are faster than files, and at the end all files are there.
const BACKLOG: u64 = 20_000;
/// What may be written and not yet recorded at a kill: the group in the making and the one before.
const IN_FLIGHT: usize = 2 * 64;

/// A moment to be killed at.
struct Phase {
    name: &'static str,
    /// The system call that stands for it.
    call: &'static str,
    /// The file or directory that it is about; `None` for a socket.
    about: Option<&'static str>,
    /// It is met more often than this, in every run.
    often: u64,
}

const SEGMENT: &str = "state/journal/00000000000000000001.seg";

const PHASES: [Phase; 5] = [
    Phase { name: "before the write", call: "pwrite64", about: Some(SEGMENT), often: 60 },
    Phase { name: "before the sync", call: "fdatasync", about: Some(SEGMENT), often: 60 },
    Phase { name: "before the acknowledgment", call: "sendto", about: None, often: 300 },
    Phase { name: "between rename and directory sync", call: "fsync", about: Some("one"), often: 12 },
    // The directory is closed when it is synced, and the record is next.
    Phase { name: "before the delivery record", call: "close", about: Some("one"), often: 12 },
];

/// The router with one input, two directories and a receiver out.
struct Site {
    dir: Dir,
    port: u16,
    /// The control ids that the receiver has answered.
    received: Arc<Mutex<Vec<String>>>,
}

impl Site {
    fn new() -> Site {
        let (dir, port) = (Dir::new(), free_port());
        let (one, two) = (dir.make("one"), dir.make("two"));
        let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
        let three = receiver.local_addr().unwrap().port();
        let received = Arc::<Mutex<Vec<String>>>::default();
        let ids = Arc::clone(&received);
        // It ends with the test's process.
        std::thread::spawn(move || {
            receiver.incoming().flatten().for_each(|stream| drop(receive(stream, &ids)));
        });
        dir.write(
            "sr.cfg",
            format!(
                "[general]\nlogfile = {0}/log\nstatedir = {0}/state\nuseconnections = in, one, two, three\n\
                 [in]\ntranstech = socket\ntransdir = in\nusehl7 = True\nqueuename = q\nport = {port}\n\
                 [one]\ntranstech = file\ntransdir = out\nqueuename = q\nmaxpending = {BACKLOG}\nmessagedir = {1}\n\
                 [two]\ntranstech = file\ntransdir = out\nqueuename = q\nmaxpending = {BACKLOG}\nmessagedir = {2}\n\
                 [three]\ntranstech = socket\ntransdir = out\nqueuename = q\nmaxpending = {BACKLOG}\n\
                 createserversocket = False\nipaddr = 127.0.0.1\nport = {three}\nusehl7 = True\nmaxpause = 0.1\n",
                dir.path().display(),
                one.display(),
                two.display()
            ),
        );
        Site { dir, port, received }
    }

    fn command(&self) -> TestCommand {
        socketreader().arg("-c").arg(self.dir.join("sr.cfg"))
    }

    /// The program, killed as it enters the phase's system call for the `when`th time.
    fn killed_at(&self, phase: &Phase, when: u64) -> TestCommand {
        let call = phase.call;
        let mut command = TestCommand::new("strace").args(["-f", "-qq", "-o", "/dev/null"]);
        if let Some(about) = phase.about {
            command = command.arg("-P").arg(self.dir.join(about));
        }
        command
            .arg(format!("--trace={call}"))
            .arg(format!("--inject={call}:signal=SIGKILL:when={when}"))
            .arg(env!("CARGO_BIN_EXE_socketreader"))
            .arg("-c")
            .arg(self.dir.join("sr.cfg"))
    }

    /// Asserts that every accepted message is delivered, dead, dropped or waiting, by the counts of the operator. Gives how
    /// many wait.
    fn accounts(&self, acknowledged: u64) -> u64 {
        let output = self.command().args(["--queues", "--json"]).run();
        let found: serde_json::Value = serde_json::from_slice(&output.success().stdout).unwrap();
        let mut all = 0;
        for queue in found["queues"].as_array().unwrap() {
            let count = |name: &str| queue[name].as_u64().unwrap();
            let ends = ["delivered", "dead", "dropped", "pending"].map(count);
            assert_eq!(count("accepted"), ends.iter().sum::<u64>(), "{queue}");
            // What waits is counted message by message too: the operator's number follows from the others.
            let name = queue["connection"].as_str().unwrap();
            let waiting = self.command().args(["--export", name, "waiting"]).run().stdout();
            assert_eq!(waiting.matches("MSH|").count() as u64, count("pending"), "{queue}");
            assert!(count("accepted") >= acknowledged, "{acknowledged} were acknowledged: {queue}");
            all += count("pending");
        }
        all
    }

    /// The names of an output's files, in order; not of those in the making.
    fn files(&self, output: &str) -> Vec<String> {
        self.dir.list(output).into_iter().filter(|name| !name.starts_with('.')).collect()
    }

    /// The control ids of an output's messages, in the order in which they came.
    fn delivered(&self, output: &str) -> Vec<String> {
        if output == "three" {
            return self.received.lock().unwrap().clone();
        }
        let names = self.files(output).into_iter();
        names.map(|name| control_id(&self.dir.read(Path::new(output).join(name)))).collect()
    }
}

fn control_id(message: &[u8]) -> String {
    String::from_utf8_lossy(message.split(|byte| *byte == b'|').nth(9).unwrap_or_default()).into_owned()
}

/// Answers AA to each message of a connection, and keeps its id.
fn receive(mut stream: TcpStream, ids: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let (mut received, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            count => received.extend_from_slice(&buffer[..count]),
        }
        while let Some(end) = received.windows(2).position(|two| two == b"\x1C\r") {
            let message: Vec<u8> = received.drain(..end + 2).collect();
            let id = control_id(&message);
            ids.lock().unwrap().push(id.clone());
            let answer = format!("\x0BMSH|^~\\&|C|D|A|B|2026||ACK|R|P|2.3\rMSA|AA|{id}\r\x1C\r");
            stream.write_all(answer.as_bytes())?;
        }
    }
}

/// A sender: it sends what was not answered again, and knows what was.
#[derive(Default)]
struct Client {
    number: usize,
    /// How many were answered AA, in order.
    answered: u64,
    /// How many were sent when the connection was lost.
    sent: u64,
    /// How many were sent again as they had no answer.
    resent: u64,
}

impl Client {
    /// Sends until the router is gone.
    fn send(&mut self, port: u16) {
        while self.is_sent_away(port) {}
    }

    /// Sends until the connection is lost; true if it was given up because the router has too much, as on a busy machine.
    fn is_sent_away(&mut self, port: u16) -> bool {
        self.resent += self.sent - self.answered;
        self.sent = self.answered;
        let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
        stream.set_read_timeout(Some(protogen_testkit::TIMEOUT)).unwrap();
        let mut received = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            while self.sent < self.answered + AHEAD {
                let id = format!("{}-{}", self.number, self.sent);
                let message = format!("\x0BMSH|^~\\&|A|B|C|D|2026||ADT^A01|{id}|P|2.3\rPID|1\r\x1C\r");
                if stream.write_all(message.as_bytes()).is_err() {
                    return false;
                }
                self.sent += 1;
            }
            match stream.read(&mut buffer) {
                Ok(0) | Err(_) => return false,
                Ok(count) => received.extend_from_slice(&buffer[..count]),
            }
            while let Some(end) = received.windows(2).position(|two| two == b"\x1C\r") {
                let answer: Vec<u8> = received.drain(..end + 2).collect();
                let expected = format!("MSA|AA|{}-{}\r", self.number, self.answered);
                let answer = String::from_utf8_lossy(&answer);
                if answer.contains("MSA|AR|") && answer.contains("|try later: ") {
                    return true;
                }
                assert!(answer.contains(&expected), "{answer:?}, expected {expected:?}");
                self.answered += 1;
            }
        }
    }
}

/// Each id's first place, and the places of the repeats.
fn first_places(ids: &[String]) -> (HashMap<&str, usize>, Vec<(usize, usize)>) {
    let (mut first, mut repeats) = (HashMap::new(), Vec::new());
    for (place, id) in ids.iter().enumerate() {
        match first.get(id.as_str()) {
            Some(before) => repeats.push((*before, place)),
            None => drop(first.insert(id.as_str(), place)),
        }
    }
    (first, repeats)
}

#[test]
fn what_was_acknowledged_is_delivered_after_kill_9() {
    let rounds = if std::env::var_os("PG_SOAK").is_some() { 100 } else { 10 };
    let seed = 20_261_123;
    println!("seed {seed}, {rounds} kills");
    let mut random = Random::seeded(seed);
    let site = Site::new();
    let mut clients: Vec<Client> =
        (0..CLIENTS).map(|number| Client { number, ..Client::default() }).collect();
    let mut kills = [0; PHASES.len()];
    // Where each output stood at each kill.
    let mut marks: Vec<[usize; 3]> = Vec::new();
    for round in 0..rounds {
        let phase = round % PHASES.len();
        let Phase { name, often, .. } = PHASES[phase];
        // Not among the first: those belong to the start.
        let mut daemon =
            Daemon::start(&site.killed_at(&PHASES[phase], often / 4 + random.below(often * 3 / 4)));
        std::thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(|| client.send(site.port));
            }
        });
        let status = daemon.wait_for_exit();
        assert_eq!(status.signal(), Some(9), "{name}: {status}");
        let unanswered: u64 = clients.iter().map(|client| client.sent - client.answered).sum();
        assert!(unanswered >= 8, "{name}: only {unanswered} messages were unanswered");
        kills[phase] += 1;
        site.accounts(clients.iter().map(|client| client.answered).sum());
        marks.push(OUTPUTS.map(|output| site.delivered(output).len()));
    }
    for (Phase { name, .. }, count) in PHASES.iter().zip(kills) {
        println!("{count} kills {name}");
        assert!(count > 0, "no kill {name}");
    }

    // What is left is delivered; a last message of each client shows that it is.
    let mut daemon = Daemon::start(&site.command());
    for client in &clients {
        let answer = crate::support::hl7()
            .args(["send", "127.0.0.1", &site.port.to_string()])
            .stdin(format!("MSH|^~\\&|A|B|C|D|2026||ADT^A01|{}-last|P|2.3\r", client.number))
            .run();
        answer.success();
    }
    for output in &OUTPUTS[..2] {
        // There may be a backlog: it may take its time, as long as it gets shorter.
        let (mut seen, mut last) = (0, 0);
        while last < CLIENTS {
            let names = site.files(output);
            let newest = names.iter().rev().take(4 * CLIENTS);
            let ids = newest.map(|name| control_id(&site.dir.read(Path::new(output).join(name))));
            last = ids.filter(|id| id.ends_with("-last")).count();
            seen = names.len();
            if last < CLIENTS {
                crate::support::wait_until(|| site.files(output).len() > seen);
            }
        }
        println!("{output}: {seen} files at the end");
    }
    let last = |ids: &[String]| ids.iter().filter(|id| id.ends_with("-last")).count();
    let mut seen = 0;
    while last(&site.delivered("three")) < CLIENTS {
        crate::support::wait_until(|| site.delivered("three").len() > seen);
        seen = site.delivered("three").len();
    }
    assert_eq!(daemon.terminate().code(), Some(0), "{daemon}");
    assert_eq!(site.accounts(clients.iter().map(|client| client.answered + 1).sum()), 0);

    let resent: u64 = clients.iter().map(|client| client.resent).sum();
    for (number, output) in OUTPUTS.into_iter().enumerate() {
        let ids = site.delivered(output);
        let (first, repeats) = first_places(&ids);
        for client in &clients {
            let places: Vec<Option<usize>> = (0..client.answered)
                .map(|sent| first.get(format!("{}-{sent}", client.number).as_str()).copied())
                .collect();
            let lost = places.iter().position(Option::is_none);
            assert_eq!(lost, None, "{output}: client {} has a message that is lost", client.number);
            assert!(places.is_sorted(), "{output}: client {}'s messages are out of order", client.number);
        }
        // Twice is only what was under way: to the output (its first file is among the last before the kill), or from
        // the sender, who had no answer and sent it again.
        let unexplained = repeats.iter().filter(|(before, _)| {
            !marks
                .iter()
                .any(|mark| (mark[number].saturating_sub(IN_FLIGHT)..mark[number] + 1).contains(before))
        });
        let unexplained = unexplained.count() as u64;
        assert!(unexplained <= resent, "{output}: {unexplained} repeats were not in flight at a kill");
        println!("{output}: {} messages, {} repeats, {resent} sent again", ids.len(), repeats.len());
    }
}
