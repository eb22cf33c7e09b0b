//! A bare load: each connection has one message under way.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// When to stop.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many messages.
    Count(u64),
    /// After so long.
    Time(Duration),
}

/// What a load came to.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Messages that were answered AA.
    pub accepted: u64,
    /// Messages that were answered otherwise, to be sent again.
    pub held_back: u64,
    /// How long it took.
    pub time: Duration,
    /// The longest wait for one answer.
    pub longest: Duration,
}

impl Load {
    /// Accepted messages a second.
    pub fn rate(&self) -> f64 {
        self.accepted as f64 / self.time.as_secs_f64()
    }
}

/// Sends `message` over so many connections; calls `each` after every round with the number accepted.
///
/// # Errors
/// What the system says, also a peer that closes.
pub fn run(
    address: SocketAddr,
    connections: usize,
    message: &[u8],
    until: Until,
    mut each: impl FnMut(u64),
) -> io::Result<Load> {
    let mut streams = connect(address, connections)?;
    let frame = [b"\x0B", message, b"\x1C\r"].concat();
    let mut buffer = vec![0; 64 << 10];
    let mut load = Load { accepted: 0, held_back: 0, time: Duration::ZERO, longest: Duration::ZERO };
    let begun = Instant::now();
    loop {
        let over = match until {
            Until::Count(count) => load.accepted >= count,
            Until::Time(time) => begun.elapsed() >= time,
        };
        if over {
            break;
        }
        let round = Instant::now();
        for stream in &mut streams {
            stream.write_all(&frame)?;
        }
        for stream in &mut streams {
            match answer(stream, &mut buffer)? {
                true => load.accepted += 1,
                false => load.held_back += 1,
            }
        }
        load.longest = load.longest.max(round.elapsed());
        each(load.accepted);
    }
    load.time = begun.elapsed();
    Ok(load)
}

/// Opens so many connections.
///
/// # Errors
/// What the system says.
pub fn connect(address: SocketAddr, connections: usize) -> io::Result<Vec<TcpStream>> {
    let connection = |_| {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        Ok(stream)
    };
    (0..connections).map(connection).collect()
}

/// Sends `message` over a new connection each time, from so many threads: for servers that serve no connection twice.
///
/// # Errors
/// What the system says, also a peer that closes without an answer.
pub fn run_transient(
    address: SocketAddr,
    threads: usize,
    message: &[u8],
    time: Duration,
) -> io::Result<Load> {
    let frame = [b"\x0B", message, b"\x1C\r"].concat();
    let begun = Instant::now();
    let one = || -> io::Result<Load> {
        let mut load = Load { accepted: 0, held_back: 0, time, longest: Duration::ZERO };
        let mut buffer = vec![0; 64 << 10];
        while begun.elapsed() < time {
            let sent = Instant::now();
            for mut stream in connect(address, 1)? {
                stream.write_all(&frame)?;
                load.accepted += u64::from(answer(&mut stream, &mut buffer)?);
            }
            load.longest = load.longest.max(sent.elapsed());
        }
        Ok(load)
    };
    let loads: Vec<io::Result<Load>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(one)).collect();
        let gone = |_| io::Error::other("a thread of the load has ended");
        threads.into_iter().map(|thread| thread.join().map_err(gone).and_then(|load| load)).collect()
    });
    let mut whole = Load { accepted: 0, held_back: 0, time: begun.elapsed(), longest: Duration::ZERO };
    for load in loads {
        let load = load?;
        whole.accepted += load.accepted;
        whole.longest = whole.longest.max(load.longest);
    }
    Ok(whole)
}

/// Reads an answer: whether it is positive.
pub(super) fn answer(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    let mut got = 0;
    while !buffer[..got].ends_with(b"\x1C\r") {
        match stream.read(&mut buffer[got..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => got += count,
        }
    }
    Ok(memmem(&buffer[..got], b"MSA|AA"))
}

fn memmem(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}
