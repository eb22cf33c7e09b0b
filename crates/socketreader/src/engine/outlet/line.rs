//! The connection to a receiver, from its beginning to its end.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use protogen_core::llp::mllp::Decoder;
use protogen_sys::event_loop::EventLoop;

use super::Outlet;
use crate::board::Trouble;
use crate::engine::token::Owner;
use crate::engine::wire::Wire;
use crate::log;
use crate::tls::is_of_tls;

/// So many closes without an answer to the same message are told to somebody.
const CLOSES: u32 = 2;

/// An open connection to a receiver.
pub(super) struct Line {
    pub(super) wire: Wire,
    pub(super) decoder: Decoder,
    pub(super) peer: String,
    /// Messages can cross.
    pub(super) is_open: bool,
    /// A message was delivered here.
    pub(super) was_of_use: bool,
    /// Messages sent for which no commit block has come.
    pub(super) owed: u32,
}

impl Outlet {
    pub(super) fn take_line(&mut self, events: &EventLoop) -> bool {
        while let Some((stream, peer)) = self.receivers.next() {
            match Wire::new(stream, Owner::Outlet(self.number).token(), self.manners, &self.guard, events) {
                Ok(wire) => {
                    let decoder = Decoder::new(self.socket.mllp.clone());
                    self.line =
                        Some(Line { wire, decoder, peer, is_open: false, was_of_use: false, owed: 0 });
                    return true;
                }
                Err(error) => log::error!(&self.name, "{peer}: {error}"),
            }
        }
        false
    }

    /// Whether messages can cross the line. While TLS begins, what it has to say is written.
    pub(super) fn is_open(&mut self, events: &mut EventLoop, now: Instant) -> bool {
        let Some(line) = &mut self.line else { return false };
        // A message on its way is written, and its receiver's silence measured, by `send`.
        if (self.current.is_none() || !line.is_open)
            && let Err(error) = line.wire.flush(events, now)
        {
            self.hang_up(events, &error.to_string());
            return false;
        }
        if line.wire.is_late(now) {
            self.hang_up(events, "TLS: the handshake takes too long");
            return false;
        }
        if line.wire.is_open() && !line.is_open {
            line.is_open = true;
            log::info!(&self.name, "{}: connected", line.peer);
            self.outbox.clear(Trouble::Down);
            self.outbox.connected(Some(line.peer.clone()));
            self.meter.peers.store(1, Ordering::Relaxed);
        }
        line.is_open
    }

    /// The connection is of no more use; the message is sent again on the next one.
    pub(super) fn hang_up(&mut self, events: &mut EventLoop, why: &str) {
        if let Some(line) = self.line.take() {
            // A receiver that only closes is not called again at once.
            self.next_dial = if line.was_of_use { Duration::ZERO } else { self.redial.pause() };
            if let Some(current) = self.current.as_mut().filter(|current| current.sent.is_some()) {
                current.sent = None;
                self.meter.tries_again();
                current.closes += 1;
                if current.closes == CLOSES {
                    let named = log::Named(&current.stored.bytes);
                    let sequence = current.stored.sequence;
                    self.outbox.raise_about(Trouble::Unanswered, Some(sequence), || {
                        format!("no answer to message {sequence}, {CLOSES} times: {named}; at last {why}")
                    });
                }
                log::error!(
                    &self.name,
                    "{}: {why}; message {} is sent again: {}",
                    line.peer,
                    current.stored.sequence,
                    log::Named(&current.stored.bytes)
                );
                log::prod!(&self.name, "not delivered: {}", current.stored.bytes.escape_ascii());
            // With TLS 1.3 our certificate is refused when the handshake is over on our side.
            } else if line.is_open && !is_of_tls(why) {
                log::info!(&self.name, "{}: {why}", line.peer);
            } else {
                self.guard.failed.fetch_add(1, Ordering::Relaxed);
                log::error!(&self.name, "{}: {why}; tried again", line.peer);
            }
            self.outbox.connected(None);
            self.meter.peers.store(0, Ordering::Relaxed);
            self.outbox.failed(format!("{}: {why}", line.peer));
            self.outbox.raise(Trouble::Down, || format!("{}: {why}", line.peer));
            line.wire.close(events);
        }
    }
}
