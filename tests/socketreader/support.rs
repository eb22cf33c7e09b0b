//! A running socketreader in a directory of its own, and the peers at its sockets.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use protogen_testkit::{Daemon, Dir, TestCommand};

use crate::support::socketreader;

/// How long anything may take before the test fails.
pub const LIMIT: Duration = protogen_testkit::TIMEOUT;

/// A port that nobody listens on. Below those that the system gives to clients, so that none of them takes it.
pub fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = u16::try_from(std::process::id() % 300).unwrap() * 40;
    loop {
        let port = 20_000 + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        // Asked by a connection: a socket bound here would live on for a moment in a child that another test just forked.
        if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            return port;
        }
    }
}

/// A configuration in the making. Options given as text win over those of the kind; every connection is on queue `q`
/// unless it says otherwise.
#[derive(Debug)]
pub struct Setup {
    pub dir: Dir,
    general: String,
    sections: Vec<(String, String)>,
    ports: HashMap<String, u16>,
}

impl Setup {
    pub fn new() -> Setup {
        let general = "loglvl = debug\nlogfile = log\nstatedir = state\n".to_owned();
        Setup { dir: Dir::new(), general, sections: Vec::new(), ports: HashMap::new() }
    }

    /// Options of `[general]`.
    pub fn general(mut self, options: &str) -> Setup {
        self.general = merged(&self.general, options);
        self
    }

    pub fn server_in(self, name: &str, options: &str) -> Setup {
        self.socket(name, port(), "in", "True", options)
    }

    pub fn server_out(self, name: &str, options: &str) -> Setup {
        self.socket(name, port(), "out", "True", options)
    }

    pub fn client_in(self, name: &str, port: u16, options: &str) -> Setup {
        self.socket(name, port, "in", "False\nipaddr = 127.0.0.1", options)
    }

    pub fn client_out(self, name: &str, port: u16, options: &str) -> Setup {
        self.socket(name, port, "out", "False\nipaddr = 127.0.0.1", options)
    }

    fn socket(mut self, name: &str, port: u16, direction: &str, server: &str, options: &str) -> Setup {
        self.ports.insert(name.to_owned(), port);
        let kind = format!(
            "transtech = socket\ntransdir = {direction}\ncreateserversocket = {server}\nport = {port}\n"
        );
        self.section(name, &kind, options)
    }

    /// A directory that files are taken from, called as the connection is.
    pub fn file_in(self, name: &str, options: &str) -> Setup {
        self.directory(name, "in\ncycletime = 0.1\nsettle = 0.2", options)
    }

    /// A directory that files are written to, called as the connection is.
    pub fn file_out(self, name: &str, options: &str) -> Setup {
        self.directory(name, "out", options)
    }

    fn directory(self, name: &str, direction: &str, options: &str) -> Setup {
        let path = self.dir.make(name);
        let kind = format!("transtech = file\ntransdir = {direction}\nmessagedir = {}\n", path.display());
        self.section(name, &kind, options)
    }

    fn section(mut self, name: &str, kind: &str, options: &str) -> Setup {
        self.sections.push((name.to_owned(), merged(&format!("queuename = q\n{kind}"), options)));
        self
    }

    pub fn port(&self, name: &str) -> u16 {
        self.ports[name]
    }

    /// Writes the configuration and gives the command that runs it.
    pub fn command(&self) -> TestCommand {
        let names: Vec<&str> = self.sections.iter().map(|(name, _)| name.as_str()).collect();
        let mut text = format!("[general]\nuseconnections = {}\n{}", names.join(", "), self.general);
        for (name, options) in &self.sections {
            text.push_str(&format!("\n[{name}]\n{options}"));
        }
        let file = self.dir.write("sr.cfg", text);
        socketreader().arg("--configfile").arg(file).in_dir(self.dir.path())
    }

    pub fn start(self) -> Router {
        let command = self.command();
        self.start_with(&command)
    }

    /// Starts it after making a directory.
    pub fn start_in(self, directory: &str) -> Router {
        self.dir.make(directory);
        self.start()
    }

    /// Starts it by a command made from that of [`command`](Setup::command).
    pub fn start_with(self, command: &TestCommand) -> Router {
        Router { daemon: Daemon::start(command), command: command.clone(), dir: self.dir, ports: self.ports }
    }
}

/// Options, one a line, where those of `more` take the place of others of the same name.
fn merged(options: &str, more: &str) -> String {
    let name = |line: &str| line.split('=').next().unwrap().trim().to_owned();
    let kept = options.lines().filter(|line| !more.lines().any(|other| name(other) == name(line)));
    kept.chain(more.lines()).flat_map(|line| [line, "\n"]).collect()
}

/// A running socketreader.
#[derive(Debug)]
pub struct Router {
    pub daemon: Daemon,
    pub command: TestCommand,
    pub dir: Dir,
    ports: HashMap<String, u16>,
}

impl Router {
    pub fn port(&self, name: &str) -> u16 {
        self.ports[name]
    }

    /// Connects to a listening connection.
    pub fn connect(&self, name: &str) -> Link {
        Link::connect((Ipv4Addr::LOCALHOST, self.port(name)).into())
    }

    /// The contents of `count` files in a directory, in name order: waits until there are so many.
    #[track_caller]
    pub fn files(&self, name: &str, count: usize) -> Vec<Vec<u8>> {
        self.names(name, count).iter().map(|file| self.dir.read(format!("{name}/{file}"))).collect()
    }

    /// The names of `count` files in a directory: waits until there are so many, and none that begins with a dot.
    #[track_caller]
    pub fn names(&self, name: &str, count: usize) -> Vec<String> {
        let mut found = Vec::new();
        self.wait(&format!("{count} files in {name}"), || {
            found = self.dir.list(name);
            assert!(found.len() <= count + 64, "{found:?}");
            found.len() == count && !found.iter().any(|name| name.starts_with('.'))
        });
        found
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.dir.text("log")
    }

    /// Waits until the log holds this text, and gives the first line that does.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) -> String {
        let mut line = None;
        self.wait(&format!("log line {text}"), || {
            line = self.log().lines().find(|line| line.contains(text)).map(str::to_owned);
            line.is_some()
        });
        line.unwrap()
    }

    #[track_caller]
    pub fn wait(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let end = Instant::now() + LIMIT;
        while !holds() {
            let log = self.dir.join("log");
            let log = std::fs::read_to_string(log).unwrap_or_default();
            assert!(Instant::now() < end, "not within {LIMIT:?}: {what}\n{log}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it again after its end.
    pub fn restart(&mut self) {
        self.daemon = Daemon::start(&self.command);
    }

    /// Ends it with SIGTERM and asserts status 0.
    #[track_caller]
    pub fn end(&mut self) {
        let status = self.daemon.terminate();
        assert_eq!(status.code(), Some(0), "{}", self.daemon);
    }
}

/// One end of a TCP connection that speaks MLLP.
#[derive(Debug)]
pub struct Link {
    pub stream: TcpStream,
}

impl Link {
    pub fn connect(address: SocketAddr) -> Link {
        let end = Instant::now() + LIMIT;
        loop {
            match TcpStream::connect_timeout(&address, LIMIT) {
                Ok(stream) => return Link::new(stream),
                Err(error) => assert!(Instant::now() < end, "{address}: {error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn new(stream: TcpStream) -> Link {
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        Link { stream }
    }

    /// Writes bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Writes a message in a frame.
    pub fn send(&mut self, message: &[u8]) {
        self.raw(&frame(message));
    }

    /// Reads a frame: what stands in it.
    #[track_caller]
    pub fn frame(&mut self) -> Vec<u8> {
        self.try_frame().unwrap_or_else(|heard| panic!("closed after {}", heard.escape_ascii()))
    }

    /// Reads a frame, or what came before the connection was closed.
    #[track_caller]
    pub fn try_frame(&mut self) -> Result<Vec<u8>, Vec<u8>> {
        let heard = self.until(b"\x1c\r")?;
        assert_eq!(heard[0], 0x0B, "{}", heard.escape_ascii());
        Ok(heard[1..heard.len() - 2].to_vec())
    }

    /// Reads up to and including these bytes; gives what there was if the connection was closed before.
    #[track_caller]
    pub fn until(&mut self, end: &[u8]) -> Result<Vec<u8>, Vec<u8>> {
        let (mut heard, mut byte) = (Vec::new(), [0]);
        while !heard.ends_with(end) {
            match self.stream.read(&mut byte) {
                Ok(1) => heard.push(byte[0]),
                Ok(_) => return Err(heard),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Err(heard),
                // A child of another test has ended.
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => panic!("{error} after {}", heard.escape_ascii()),
            }
        }
        Ok(heard)
    }

    /// Reads an answer as text.
    #[track_caller]
    pub fn answer(&mut self) -> String {
        String::from_utf8_lossy(&self.frame()).into_owned()
    }

    /// Sends a message and asserts its acknowledgment: `AA A1` and the like.
    #[track_caller]
    pub fn exchange(&mut self, message: &[u8], expected: &str) {
        self.send(message);
        assert_eq!(verdict(&self.frame()), expected);
    }

    /// Asserts that the connection is closed and nothing more came.
    #[track_caller]
    pub fn closed(&mut self) {
        assert_eq!(self.until(b"\0\0"), Err(Vec::new()));
    }

    /// Asserts that nothing comes for so long.
    #[track_caller]
    pub fn silent_for(&mut self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
        let heard = self.stream.read(&mut [0]);
        assert_eq!(heard.map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
        self.stream.set_read_timeout(Some(LIMIT)).unwrap();
    }

    pub fn half_close(&self) {
        self.stream.shutdown(Shutdown::Write).unwrap();
    }

    /// Reads a message and acknowledges it: gives the message.
    #[track_caller]
    pub fn take(&mut self) -> Vec<u8> {
        let message = self.frame();
        self.send(&acknowledgment(&message, "AA"));
        message
    }
}

/// A system that messages are brought to, or that we fetch them from.
#[derive(Debug)]
pub struct Peer {
    listener: TcpListener,
}

impl Peer {
    pub fn listen() -> Peer {
        Peer::listen_on(port())
    }

    pub fn listen_on(port: u16) -> Peer {
        Peer { listener: TcpListener::bind((Ipv4Addr::LOCALHOST, port)).unwrap() }
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    #[track_caller]
    pub fn accept(&self) -> Link {
        self.listener.set_nonblocking(true).unwrap();
        let end = Instant::now() + LIMIT;
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(false).unwrap();
                    return Link::new(stream);
                }
                Err(error) => assert!(Instant::now() < end, "nobody connected: {error}"),
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A message in the frame of MLLP.
pub fn frame(message: &[u8]) -> Vec<u8> {
    [b"\x0b", message, b"\x1c\r"].concat()
}

/// An admission with this control id.
pub fn adt(id: &str) -> Vec<u8> {
    format!("MSH|^~\\&|LAB|L|ADT|A|20260101||ADT^A01|{id}|P|2.3\rPID|1||{id}^^^KIS||Doe^Jane\r").into_bytes()
}

/// `count` admissions, `PREFIX000` on.
pub fn adts(prefix: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|number| adt(&format!("{prefix}{number:03}"))).collect()
}

/// The answer to a message.
pub fn acknowledgment(message: &[u8], code: &str) -> Vec<u8> {
    format!("MSH|^~\\&|ADT|A|LAB|L|20260101||ACK|R1|P|2.3\rMSA|{code}|{}\r", control_id(message)).into_bytes()
}

/// MSH-10.
pub fn control_id(message: &[u8]) -> String {
    let header = message.split(|byte| *byte == b'\r').next().unwrap();
    let id = header.split(|byte| *byte == b'|').nth(9).unwrap_or_default();
    String::from_utf8_lossy(id).into_owned()
}

/// MSA-1 and MSA-2 of an answer, or its bytes if it is no HL7.
pub fn verdict(answer: &[u8]) -> String {
    let text = answer.escape_ascii().to_string();
    let Some((_, msa)) = text.split_once("\\rMSA|") else { return text };
    let end = msa.find("\\r").unwrap_or(msa.len());
    let mut fields = msa[..end].split('|');
    format!("{} {}", fields.next().unwrap_or_default(), fields.next().unwrap_or_default())
}

/// A file in the temporary directory of the test, put in place by a rename.
pub fn put(path: PathBuf, bytes: &[u8]) {
    let hidden = path.with_file_name(format!(".{}", path.file_name().unwrap().display()));
    std::fs::write(&hidden, bytes).unwrap();
    std::fs::rename(hidden, path).unwrap();
}
