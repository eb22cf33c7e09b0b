//! Receivers of an outgoing server that wait for their turn.

use std::collections::VecDeque;
use std::io;

use mio::net::TcpStream;

/// The most that wait.
pub(crate) const MAX_RECEIVERS: usize = 64;

/// Receivers that connected while another one is served, the longest connected first, each with its address. They are not
/// read: what they send waits in the system.
#[derive(Debug, Default)]
pub(super) struct Receivers {
    waiting: VecDeque<(TcpStream, String)>,
}

impl Receivers {
    /// Lets one more wait; false, and it is closed, if there are too many. Those that went away make room.
    pub(super) fn add(&mut self, stream: TcpStream, peer: String) -> bool {
        self.waiting.retain(|(stream, _)| !has_closed(stream));
        let has_room = self.waiting.len() < MAX_RECEIVERS;
        if has_room {
            self.waiting.push_back((stream, peer));
        }
        has_room
    }

    /// The one whose turn it is.
    pub(super) fn next(&mut self) -> Option<(TcpStream, String)> {
        self.waiting.retain(|(stream, _)| !has_closed(stream));
        self.waiting.pop_front()
    }
}

/// Whether the other side of a stream that is not read yet has closed it.
fn has_closed(stream: &TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}
