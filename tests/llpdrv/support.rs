//! A driver, what it talks to on the line, and ILLP on its other side.

use crate::support::top;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use protogen_core::llp::{Event, Kind, Link, SendId, hllp, mllp, mllp2, x328};
use protogen_testkit::{Daemon, TestCommand};
use std::fs::{File, OpenOptions};
use std::io::{PipeReader, PipeWriter, Read, Write, pipe};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Nothing here takes nearly as long; it only ends what hangs.
pub const LIMIT: Duration = protogen_testkit::TIMEOUT;

/// The `llpdrv` program in the foreground.
pub fn llpdrv(arguments: &str) -> TestCommand {
    crate::support::llpdrv().arg("-Y").args(arguments.split_whitespace()).in_dir(top())
}

/// A running driver.
pub struct Driver {
    pub daemon: Daemon,
    places: String,
}

impl Driver {
    pub fn start(arguments: &str) -> Driver {
        Driver::of(&llpdrv(arguments))
    }

    pub fn of(command: &TestCommand) -> Driver {
        let daemon = Daemon::start(command);
        let places =
            daemon.states().iter().find_map(|state| state.strip_prefix("STATUS=")).unwrap().to_owned();
        Driver { daemon, places }
    }

    fn address(&self, what: &str) -> SocketAddr {
        let after = self.places.split(what).nth(1).unwrap_or_else(|| panic!("no {what} in {}", self.places));
        let text = after.split([',', ' ']).next().unwrap();
        // Not the wildcard, which is no place to connect to.
        format!("127.0.0.1:{}", text.rsplit(':').next().unwrap()).parse().unwrap()
    }

    /// Waits until the log has this text so many times.
    #[track_caller]
    pub fn wait_for(&self, text: &str, times: usize) {
        let end = Instant::now() + LIMIT;
        while self.daemon.stderr().matches(text).count() < times {
            assert!(Instant::now() < end, "not {times} times within {LIMIT:?}: {text}\n{}", self.daemon);
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Where the line listens.
    pub fn line(&self) -> SocketAddr {
        self.address("line ")
    }

    /// Where the distal server listens.
    pub fn distal(&self) -> SocketAddr {
        self.address("distal ")
    }
}

/// A message of this control id, two segments.
pub fn message(id: &str) -> Vec<u8> {
    format!("MSH|^~\\&|LAB|L|ADT|A|19960102||ORU^R01|{id}|P|2.1\rOBX|1|NM|1||7.4\r").into_bytes()
}

/// The AA to such a message.
pub fn accepted(id: &str) -> Vec<u8> {
    format!("MSH|^~\\&|ADT|A|LAB|L|19960102||ACK|A{id}|P|2.1\rMSA|AA|{id}\r").into_bytes()
}

/// MSH-10.
pub fn id_of(message: &[u8]) -> String {
    String::from_utf8_lossy(message.split(|b| *b == b'|').nth(9).unwrap_or_default()).into_owned()
}

/// MSA-1, MSA-2 and MSA-3.
pub fn verdict(answer: &[u8]) -> String {
    let text = String::from_utf8_lossy(answer);
    text.split("\rMSA|").nth(1).unwrap_or_default().trim_end_matches('\r').to_owned()
}

/// Short turns, so that X3.28 takes no seconds.
pub const FAST: &str = "--x328-turnaround 0.02 --x328-timer-a 0.3 --x328-timer-b 0.2 --x328-pause 0.05 \
    --x328-contention-spread 0.05 --hllp-turnaround 0.03 --x328-bids 4 --x328-session-retries 0";

pub fn mllp() -> Box<dyn Link + Send> {
    Box::new(mllp::Station::new(mllp::Settings::default()))
}

pub fn mllp2() -> Box<dyn Link + Send> {
    Box::new(mllp2::Station::new(mllp2::Settings::default()))
}

pub fn hllp() -> Box<dyn Link + Send> {
    let settings = hllp::Settings { send_retries: 1, ..hllp::Settings::default() };
    Box::new(hllp::Station::new(settings))
}

/// As [`FAST`] has it, and the one that does not give way.
pub fn x328() -> Box<dyn Link + Send> {
    let settings = x328::Settings {
        turnaround: Duration::from_millis(20),
        timer_a: Duration::from_millis(300),
        timer_b: Duration::from_millis(200),
        pause: Duration::from_millis(50),
        contention_spread: Duration::from_millis(50),
        session_retries: 0,
        priority: x328::Priority::High,
        ..x328::Settings::default()
    };
    Box::new(x328::Station::new(settings, Instant::now()))
}

pub type Machine = fn() -> Box<dyn Link + Send>;

/// Every protocol: the driver's options, and the peer's machine.
pub const MACHINES: [(&str, Machine); 4] =
    [("-m", mllp), ("-m --mllp-release 2", mllp2), ("-h", hllp), ("-a", x328)];

// ---- ILLP ----------------------------------------------------------------------------------------------------

/// One transaction.
pub fn illp(address: SocketAddr, request: &[u8]) -> Vec<u8> {
    let mut stream = illp_begin(address, request);
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).unwrap();
    reply
}

/// Sends the request and does not wait.
pub fn illp_begin(address: SocketAddr, request: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.write_all(request).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    stream
}

/// TO: answers every message with AA, or as told, and keeps them.
pub struct Destination {
    address: SocketAddr,
    received: Receiver<Vec<u8>>,
}

impl Destination {
    pub fn new() -> Destination {
        Destination::answering(|request| Some(accepted(&id_of(request))))
    }

    /// `None` closes the connection without an answer.
    pub fn answering(answer: impl Fn(&[u8]) -> Option<Vec<u8>> + Send + 'static) -> Destination {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (give, received) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = Vec::new();
                if stream.read_to_end(&mut request).is_err() {
                    continue;
                }
                let reply = answer(&request);
                if give.send(request).is_err() {
                    return;
                }
                // The driver may have given up.
                let _ = stream.write_all(&reply.unwrap_or_default());
            }
        });
        Destination { address, received }
    }

    /// The option that names it.
    pub fn to(&self) -> String {
        format!("-i {}%127.0.0.1", self.address.port())
    }

    #[track_caller]
    pub fn next(&self) -> Vec<u8> {
        self.received.recv_timeout(LIMIT).expect("a message at the destination")
    }

    /// All that came and was not taken yet.
    pub fn rest(&self) -> Vec<Vec<u8>> {
        self.received.try_iter().collect()
    }
}

// ---- the line ------------------------------------------------------------------------------------------------

/// Both directions of a line's end.
pub trait End: Read + Write + AsFd + Send + Sized + 'static {
    fn twin(&self) -> Self;
}

impl End for TcpStream {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }
}

impl End for UnixStream {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }
}

impl End for File {
    fn twin(&self) -> Self {
        self.try_clone().unwrap()
    }
}

/// Opens a device, blocking.
pub fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

enum Said {
    Bytes(Vec<u8>),
    End,
    Send(Vec<u8>),
    Close,
}

/// What a peer reports.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Message(Vec<u8>),
    Done(SendId),
    Failed(SendId),
    Closed,
}

/// The other end of the line: one of our protocol machines, in a thread. It answers each message that is no
/// acknowledgment with AA, unless it is to be silent.
pub struct Station {
    say: Sender<Said>,
    heard: Receiver<Heard>,
    /// Both threads, which have the line open, and what stops the reader.
    threads: Vec<JoinHandle<()>>,
    stop: Option<PipeWriter>,
}

impl Station {
    pub fn new(end: impl End, link: Box<dyn Link + Send>) -> Station {
        Station::with(end, link, true)
    }

    pub fn silent(end: impl End, link: Box<dyn Link + Send>) -> Station {
        Station::with(end, link, false)
    }

    fn with(end: impl End, mut link: Box<dyn Link + Send>, answers: bool) -> Station {
        let (say, said) = channel();
        let (tell, heard) = channel();
        let (mut input, mut output, from_line) = (end.twin(), end, say.clone());
        let (stopped, stop) = pipe().unwrap();
        let reader = std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while is_readable(&input, &stopped)
                && let Ok(count @ 1..) = input.read(&mut buffer)
            {
                if from_line.send(Said::Bytes(buffer[..count].to_vec())).is_err() {
                    return;
                }
            }
            let _ = from_line.send(Said::End);
        });
        let talker = std::thread::spawn(move || {
            loop {
                let now = Instant::now();
                let wait = link.poll_timeout().map_or(LIMIT, |due| due.saturating_duration_since(now));
                let said = said.recv_timeout(wait);
                let now = Instant::now();
                match said {
                    Ok(Said::Bytes(bytes)) => link.handle_input(&bytes, now),
                    Ok(Said::End) => link.handle_eof(now),
                    Ok(Said::Send(message)) => {
                        link.send(&message, Kind::Request, now).unwrap();
                    }
                    Ok(Said::Close) | Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => link.handle_timeout(now),
                }
                let mut closed = false;
                while let Some(event) = link.poll_event() {
                    let told = match event {
                        Event::Message { message, .. } => {
                            link.accept(now);
                            if answers && verdict(&message).is_empty() {
                                link.send(&accepted(&id_of(&message)), Kind::Reply, now).unwrap();
                            }
                            Heard::Message(message)
                        }
                        Event::Delivered(id) | Event::Sent(id) => Heard::Done(id),
                        Event::Failed(id, _) => Heard::Failed(id),
                        Event::Closed => {
                            closed = true;
                            Heard::Closed
                        }
                        _ => continue,
                    };
                    if tell.send(told).is_err() {
                        return;
                    }
                }
                let mut out = Vec::new();
                if link.poll_transmit(&mut out) && output.write_all(&out).is_err() || closed {
                    return;
                }
            }
        });
        Station { say, heard, threads: vec![reader, talker], stop: Some(stop) }
    }

    pub fn send(&self, message: &[u8]) {
        self.say.send(Said::Send(message.to_vec())).unwrap();
    }

    /// The next message that came.
    #[track_caller]
    pub fn next(&self) -> Vec<u8> {
        loop {
            if let Heard::Message(message) = self.next_event() {
                return message;
            }
        }
    }

    #[track_caller]
    pub fn next_event(&self) -> Heard {
        self.heard.recv_timeout(LIMIT).expect("something from the line")
    }

    #[track_caller]
    pub fn wait_for_close(&self) {
        while self.next_event() != Heard::Closed {}
    }
}

impl Drop for Station {
    /// Nobody has the line open any more when this has ended.
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.say.send(Said::Close);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Waits for something to read; false when the station is to end.
fn is_readable(input: &impl AsFd, stopped: &PipeReader) -> bool {
    let mut waiting = [input.as_fd(), stopped.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
    while poll(&mut waiting, PollTimeout::NONE).is_err() {}
    waiting[1].revents().is_none_or(|events| events.is_empty())
}
