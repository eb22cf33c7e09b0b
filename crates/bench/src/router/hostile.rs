//! A peer that works, alone and beside a crowd that does not.

use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use protogen_testkit::raise_open_files;

use super::load::{answer, connect};

/// How many do not work.
pub const CROWD: usize = 10_000;
/// How many of them send frames that never end, as fast as they are read up to [`ENDLESS_RATE`].
const ENDLESS: usize = 4;
/// Bytes that one of those sends in each hundredth of a second.
const ENDLESS_RATE: usize = 16 << 10;

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

/// Does `work` while a crowd is connected at `address`: silent ones, half-closed ones, ones in the middle of a frame to which they
/// add a byte now and then, and some that never come to an end.
///
/// # Errors
/// What the system says.
pub fn beside_a_crowd<T>(
    address: SocketAddr,
    message: &[u8],
    work: impl FnOnce() -> io::Result<T>,
) -> io::Result<T> {
    raise_open_files(CROWD as u64 + 500).map_err(io::Error::other)?;
    let frame = [b"\x0B", message].concat();
    let mut crowd: Vec<TcpStream> = Vec::new();
    for number in 0..CROWD {
        let mut stream = TcpStream::connect(address)?;
        match number % 3 {
            0 => {}
            1 => stream.shutdown(Shutdown::Write)?,
            _ => stream.write_all(&frame[..frame.len() / 2])?,
        }
        stream.set_nonblocking(true)?;
        crowd.push(stream);
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let piece = vec![b'x'; ENDLESS_RATE];
            let mut turn = 0;
            while !over.load(Ordering::Relaxed) {
                // One that was closed takes nothing; what does not fit is not sent.
                for stream in crowd.iter().skip(2).step_by(3).take(ENDLESS) {
                    let _ = { stream }.write(&piece);
                }
                for stream in crowd.iter().skip(2 + 3 * (turn % (CROWD / 30)) * 10).step_by(3).take(10) {
                    let _ = { stream }.write(b"x");
                }
                turn += 1;
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })
}
