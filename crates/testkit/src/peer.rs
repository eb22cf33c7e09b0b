//! Scripted TCP peers: what one of them says and expects is a value.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::Duration;

use crate::TIMEOUT;

/// One step of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Reads exactly these bytes.
    Expect(Vec<u8>),
    /// Reads up to and including these bytes, whatever comes before them.
    ReadUntil(Vec<u8>),
    /// Reads until the other side closes its writing end.
    ExpectEnd,
    /// Sends these bytes in one write.
    Send(Vec<u8>),
    /// Sends these bytes one at a time, each in a packet of its own.
    SendSlowly(Vec<u8>),
    /// Closes our writing end; reading goes on.
    HalfClose,
    /// Closes the connection; a listening peer accepts the next one for the next step, a connecting one connects again.
    Close,
    /// Waits until the test calls [`Peer::go_on`].
    WaitForTest,
}

/// A peer that plays its script in a thread. Call [`finish`](Peer::finish) to learn how it went.
#[derive(Debug)]
pub struct Peer {
    address: SocketAddr,
    go_on: mpsc::Sender<()>,
    thread: JoinHandle<Result<Vec<u8>, String>>,
}

impl Peer {
    /// Listens on a free port of the loopback interface and plays `script` to those who connect, one at a time.
    ///
    /// # Panics
    /// When there is no port.
    #[must_use]
    pub fn listen(script: Vec<Step>) -> Peer {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        Peer::play(address, script, move || accept_within(&listener, TIMEOUT))
    }

    /// Connects to `address` and plays `script`.
    #[must_use]
    pub fn connect(address: SocketAddr, script: Vec<Step>) -> Peer {
        Peer::play(address, script, move || {
            TcpStream::connect_timeout(&address, TIMEOUT).map_err(|error| format!("connect: {error}"))
        })
    }

    fn play(
        address: SocketAddr,
        script: Vec<Step>,
        mut connection: impl FnMut() -> Result<TcpStream, String> + Send + 'static,
    ) -> Peer {
        let (go_on, wait) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut heard = Vec::new();
            let mut stream = None;
            for (number, step) in script.iter().enumerate() {
                if *step == Step::Close {
                    stream = None;
                    continue;
                }
                if stream.is_none() {
                    let new = connection().map_err(|why| format!("step {number}: {why}"))?;
                    new.set_read_timeout(Some(TIMEOUT))
                        .and_then(|()| new.set_nodelay(true))
                        .map_err(|e| e.to_string())?;
                    stream = Some(new);
                }
                if let Some(stream) = &mut stream {
                    take_step(step, stream, &wait, &mut heard)
                        .map_err(|why| format!("step {number}, {}: {why}", shown(step)))?;
                }
            }
            Ok(heard)
        });
        Peer { address, go_on, thread }
    }

    /// Where it listens, or what it connects to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets a script that waits go on.
    pub fn go_on(&self) {
        // A script that is over already says so in finish.
        let _ = self.go_on.send(());
    }

    /// Waits for the end of the script and gives all bytes read.
    ///
    /// # Panics
    /// When a step failed.
    #[track_caller]
    pub fn finish(self) -> Vec<u8> {
        match self.thread.join() {
            Ok(Ok(heard)) => heard,
            Ok(Err(why)) => panic!("scripted peer at {}: {why}", self.address),
            Err(_) => panic!("scripted peer at {}: panicked", self.address),
        }
    }
}

/// `TcpListener` has no time-out of its own.
fn accept_within(listener: &TcpListener, limit: Duration) -> Result<TcpStream, String> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    let timeout = PollTimeout::try_from(limit).unwrap_or(PollTimeout::MAX);
    match poll(&mut [PollFd::new(listener.as_fd(), PollFlags::POLLIN)], timeout) {
        Ok(0) => Err(format!("nobody connected within {limit:?}")),
        Ok(_) => listener.accept().map(|(stream, _)| stream).map_err(|error| format!("accept: {error}")),
        Err(error) => Err(format!("poll: {error}")),
    }
}

fn take_step(
    step: &Step,
    stream: &mut TcpStream,
    wait: &mpsc::Receiver<()>,
    heard: &mut Vec<u8>,
) -> Result<(), String> {
    let failed = |error: std::io::Error| error.to_string();
    match step {
        Step::Expect(expected) => {
            let got = read_while(stream, heard, |got| got.len() < expected.len())?;
            if got != *expected {
                return Err(format!("got {}", got.escape_ascii()));
            }
        }
        Step::ReadUntil(end) => {
            let got = read_while(stream, heard, |got| !got.ends_with(end))?;
            if !got.ends_with(end) {
                return Err(format!("the connection ended after {}", got.escape_ascii()));
            }
        }
        Step::ExpectEnd => {
            let got = read_while(stream, heard, <[u8]>::is_empty)?;
            if !got.is_empty() {
                return Err(format!("got {}", got.escape_ascii()));
            }
        }
        Step::Send(bytes) => stream.write_all(bytes).map_err(failed)?,
        Step::SendSlowly(bytes) => {
            for byte in bytes {
                stream.write_all(&[*byte]).map_err(failed)?;
            }
        }
        Step::HalfClose => stream.shutdown(Shutdown::Write).map_err(failed)?,
        Step::WaitForTest => wait.recv_timeout(TIMEOUT).map_err(|error| error.to_string())?,
        Step::Close => {}
    }
    Ok(())
}

/// Reads byte by byte, so that nothing that belongs to the next step is taken.
fn read_while(
    stream: &mut TcpStream,
    heard: &mut Vec<u8>,
    more: impl Fn(&[u8]) -> bool,
) -> Result<Vec<u8>, String> {
    let mut got = Vec::new();
    let mut byte = [0];
    while more(&got) {
        match stream.read(&mut byte) {
            Ok(0) => break,
            Ok(_) => got.push(byte[0]),
            Err(error) => return Err(format!("{error} after {}", got.escape_ascii())),
        }
    }
    heard.extend_from_slice(&got);
    Ok(got)
}

fn shown(step: &Step) -> String {
    match step {
        Step::Expect(bytes) => format!("expect {}", bytes.escape_ascii()),
        Step::ReadUntil(bytes) => format!("read until {}", bytes.escape_ascii()),
        Step::Send(bytes) | Step::SendSlowly(bytes) => format!("send {}", bytes.escape_ascii()),
        other => format!("{other:?}"),
    }
}
