//! Reading and writing until it would block, as edge-triggered readiness asks for.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

/// Why [`drain`] stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Drained {
    /// There is nothing more for now; the loop will say when there is.
    WouldBlock,
    /// The peer closed its writing end.
    End,
    /// The receiver broke off or the limit was reached: there may be more, and the loop will not say so.
    /// Call [`EventLoop::revisit`](super::EventLoop::revisit) when more can be taken.
    Stopped,
}

/// Reads from a stream piece by piece until it has no more for now, ends, or `limit` bytes were read, so that one fast peer
/// cannot keep the others waiting. `take` gets each piece and may break off.
///
/// A read that does not fill the buffer has emptied the stream (epoll(7)): that it would block now is not asked. The
/// loop says when there is more, and that the peer has closed.
///
/// # Errors
/// What the system says; interruptions are retried.
pub fn drain(
    source: &mut impl Read,
    buffer: &mut [u8],
    limit: usize,
    mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
) -> io::Result<Drained> {
    let mut taken = 0;
    while taken < limit {
        let room = buffer.len().min(limit - taken);
        match source.read(&mut buffer[..room]) {
            Ok(0) => return Ok(Drained::End),
            Ok(count) => {
                taken += count;
                if take(&buffer[..count]).is_break() {
                    return Ok(Drained::Stopped);
                }
                if count < room {
                    return Ok(Drained::WouldBlock);
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::WouldBlock),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(Drained::Stopped)
}

/// Writes as much of `bytes` as `sink` takes, and gives the number written: less than all means that it would block,
/// and the loop says when there is room if [`Interest::WRITABLE`](super::Interest::WRITABLE) is registered.
///
/// # Errors
/// What the system says; interruptions are retried.
pub fn push(sink: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    let mut written = 0;
    while written < bytes.len() {
        match sink.write(&bytes[written..]) {
            Ok(0) => return Err(io::Error::from(io::ErrorKind::WriteZero)),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(written)
}
