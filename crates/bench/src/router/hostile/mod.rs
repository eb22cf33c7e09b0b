//! A peer that works, alone and beside a crowd that does not.

mod crowd;
mod tls;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use protogen_testkit::raise_open_files;

use super::load::{answer, connect};
use crowd::Crowd;

/// How many do not work; besides, some come and go.
pub const CROWD: usize = 10_000;
/// How long the router may take until it has accepted them all.
const PATIENCE: Duration = Duration::from_secs(60);

/// The 99th percentile of the time to an answer, over `count` messages on one connection.
///
/// # Errors
/// What the system says, also a peer that closes.
pub fn p99(address: SocketAddr, message: &[u8], count: usize) -> io::Result<Duration> {
    let mut stream = connect(address, 1)?.pop().ok_or_else(|| io::Error::other("no connection"))?;
    let frame = [b"\x0B", message, b"\x1C\r"].concat();
    let (mut buffer, mut times) = (vec![0; 64 << 10], Vec::with_capacity(count));
    for _ in 0..count {
        let sent = Instant::now();
        stream.write_all(&frame)?;
        answer(&mut stream, &mut buffer)?;
        times.push(sent.elapsed());
    }
    times.sort_unstable();
    Ok(times[(times.len() * 99 / 100).min(times.len() - 1)])
}

/// Where a crowd goes.
#[derive(Debug)]
pub struct Place<'a> {
    /// Where the router listens without TLS.
    pub plain: SocketAddr,
    /// Where it listens with TLS, and asks for a certificate.
    pub tls: SocketAddr,
    /// Where it tells its figures.
    pub figures: SocketAddr,
    /// What [`certificate`](super::tls::certificate) has made: the router's, which it also takes from a peer.
    pub certificates: &'a Path,
}

impl Place<'_> {
    /// How many peers the router says that it has.
    fn peers(&self) -> io::Result<usize> {
        let mut stream = TcpStream::connect(self.figures)?;
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n")?;
        let mut page = String::new();
        stream.read_to_string(&mut page)?;
        let incoming = page
            .lines()
            .filter(|line| line.starts_with("socketreader_peers{") && line.contains("direction=\"in\""));
        let counts =
            incoming.map(|line| line.rsplit(' ').next().and_then(|count| count.parse::<usize>().ok()));
        let all: Option<usize> = counts.sum();
        all.ok_or_else(|| io::Error::other("the router's figures cannot be read"))
    }

    /// Waits until all are there.
    fn wait_for_the_crowd(&self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            let there = self.peers()?;
            if there >= CROWD {
                return Ok(());
            }
            if begun.elapsed() > PATIENCE {
                return Err(io::Error::other(format!("only {there} of {CROWD} peers are there")));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What was done beside a crowd, and what became of the crowd.
#[derive(Debug)]
pub struct Beside<T> {
    /// What the work came to.
    pub done: T,
    /// How many peers the router had when it began, and when it was over.
    pub peers: (usize, usize),
    /// How many were cut off and came again meanwhile.
    pub again: usize,
    /// How many came with a certificate of 1 MB, and were refused.
    pub refused: usize,
}

/// Does `work` while a crowd of [`CROWD`] is connected: idle, slow, half-open, and with TLS.
///
/// # Errors
/// What the system says, also a crowd that is not there from the beginning to the end.
pub fn beside_a_crowd<T>(
    place: &Place<'_>,
    message: &[u8],
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<Beside<T>> {
    raise_open_files(CROWD as u64 + 500).map_err(io::Error::other)?;
    let long = tls::Long::make(place)?;
    let mut crowd = Crowd::gather(place, message)?;
    place.wait_for_the_crowd()?;
    let before = place.peers()?;
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let again = scope.spawn(|| crowd.annoy(&over));
        let refused = scope.spawn(|| long.come_again(&over));
        let done = work();
        let after = place.peers();
        over.store(true, Ordering::Relaxed);
        let ended = |_| io::Error::other("a thread of the crowd has ended");
        let (again, refused) = (again.join().map_err(ended)??, refused.join().map_err(ended)??);
        let (done, after) = (done?, after?);
        if after < CROWD {
            return Err(io::Error::other(format!("only {after} of {CROWD} peers were there at the end")));
        }
        Ok(Beside { done, peers: (before, after), again, refused })
    })
}
