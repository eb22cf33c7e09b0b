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
    let mut streams = Vec::new();
    for _ in 0..connections {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(60)))?;
        streams.push(stream);
    }
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
            let mut got = 0;
            while !buffer[..got].ends_with(b"\x1C\r") {
                match stream.read(&mut buffer[got..])? {
                    0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                    count => got += count,
                }
            }
            match memmem(&buffer[..got], b"MSA|AA") {
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

fn memmem(text: &[u8], what: &[u8]) -> bool {
    text.windows(what.len()).any(|window| window == what)
}
