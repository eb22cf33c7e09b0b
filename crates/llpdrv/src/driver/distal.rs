//! Messages for the line: one transaction at a time, in order, each waiting its time for the line.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::time::Instant;

use anyhow::Result;
use mio::net::TcpListener;
use protogen_core::hl7::Message;
use protogen_core::llp::{Kind, SendId};
use protogen_sys::event_loop::{Interest, Token};
use protogen_sys::services::Reserved;

use super::{DISTAL, Driver};
use crate::answer::about;

/// How many requests without an answer are remembered, to know their answers when they come too late.
const REMEMBERED: usize = 16;

/// The distal server.
pub(super) struct Distal {
    reserved: Option<Reserved>,
    listeners: Vec<TcpListener>,
    /// Requests that wait for the line, oldest first.
    queue: VecDeque<usize>,
    active: Option<Active>,
    given_up: VecDeque<Vec<u8>>,
    /// Connections wait to be accepted until one of ours ends.
    full: bool,
}

/// The request that is on the line.
struct Active {
    client: usize,
    requester: usize,
    id: SendId,
    control_id: Vec<u8>,
}

impl Distal {
    pub(super) fn new(reserved: Option<Reserved>) -> Distal {
        Distal {
            reserved,
            listeners: Vec::new(),
            queue: VecDeque::new(),
            active: None,
            given_up: VecDeque::new(),
            full: false,
        }
    }

    /// Where it listens or will listen.
    pub(super) fn addresses(&self) -> Vec<std::net::SocketAddr> {
        match &self.reserved {
            Some(reserved) => reserved.addresses(),
            None => self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect(),
        }
    }

    pub(super) fn is_on(&self, client: usize) -> bool {
        self.active.as_ref().is_some_and(|active| active.client == client)
    }

    pub(super) fn is_active(&self, requester: usize) -> bool {
        self.active.as_ref().is_some_and(|active| active.requester == requester)
    }

    /// Whether a message is the answer to the request on the line. HLLP tells; else MSA-2 does, and where one of the two
    /// ids is empty, it is the answer to the one request that there is.
    pub(super) fn is_answered_by(&self, client: usize, message: &[u8], answers: Option<SendId>) -> bool {
        let Some(active) = self.active.as_ref().filter(|active| active.client == client) else {
            return false;
        };
        if answers.is_some() {
            return answers == Some(active.id);
        }
        answered_id(message)
            .is_some_and(|id| id.is_empty() || active.control_id.is_empty() || id == active.control_id)
    }

    /// Whether it is the answer to a request that was given up.
    pub(super) fn is_late(&self, message: &[u8]) -> bool {
        answered_id(message).is_some_and(|id| !id.is_empty() && self.given_up.contains(&id))
    }

    fn give_up(&mut self, active: Active) {
        if self.given_up.len() == REMEMBERED {
            self.given_up.pop_front();
        }
        self.given_up.push_back(active.control_id);
    }
}

/// MSA-2; none without an MSA segment.
fn answered_id(message: &[u8]) -> Option<Vec<u8>> {
    let message = Message::parse(message).ok()?;
    message.named(*b"MSA").next()?;
    Some(message.field(*b"MSA", 2).raw().to_vec())
}

impl Driver {
    /// Listens, unless it does already or there is no DIST.
    pub(super) fn start_distal(&mut self) -> Result<()> {
        if self.stopping {
            return Ok(());
        }
        let Some(reserved) = self.distal.reserved.take() else { return Ok(()) };
        for (n, listener) in reserved.listen()?.into_iter().enumerate() {
            let mut listener = TcpListener::from_std(listener);
            self.events.registry().register(&mut listener, Token(DISTAL + n), Interest::READABLE)?;
            self.distal.listeners.push(listener);
        }
        log::info!("the distal service starts");
        Ok(())
    }

    pub(super) fn stop_distal(&mut self) {
        self.distal.listeners.clear();
        self.distal.reserved = None;
    }

    pub(super) fn accept_distal(&mut self, n: usize, now: Instant) {
        loop {
            if self.requesters.len() >= self.config.settings.connections {
                self.distal.full = true;
                return;
            }
            let Some(listener) = self.distal.listeners.get(n) else { return };
            let (stream, peer) = match listener.accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // The client is gone again, or files ran out; the listener is as it was.
                    return log::warn!("a distal client was not accepted: {error}");
                }
            };
            let here = stream.local_addr().map(|address| address.ip());
            if here.is_ok_and(|here| is_this_host(peer.ip(), here, &own_addresses())) {
                self.take_requester(stream, peer, now);
            } else {
                log::error!("distal client {peer}: refused, only processes of this host may connect");
            }
        }
    }

    /// A place is free again: accepts who waits.
    pub(super) fn accept_more(&mut self) {
        if std::mem::take(&mut self.distal.full) {
            for n in 0..self.distal.listeners.len() {
                self.events.revisit(Token(DISTAL + n));
            }
        }
    }

    /// Queues a request; it waits its time.
    pub(super) fn queue_request(&mut self, requester: usize, now: Instant) {
        self.distal.queue.push_back(requester);
        self.events.set_timer(Token(requester + 1), now + self.config.settings.line_wait);
    }

    pub(super) fn forget_request(&mut self, requester: usize) {
        self.distal.queue.retain(|one| *one != requester);
    }

    /// Gives the line to the next request, if nobody has it.
    pub(super) fn dispatch(&mut self, now: Instant) {
        while self.distal.active.is_none() {
            let Some(&requester) = self.distal.queue.front() else { return };
            let present = self.clients.iter_mut().filter(|(_, client)| !client.leaving);
            let present = present.filter_map(|(i, client)| {
                client.connection.stream().has_peer().then_some((client.spoke, *i))
            });
            let Some((_, i)) = present.max() else {
                self.distal.queue.pop_front();
                self.reject_requester(requester, "nobody is on the line", now);
                continue;
            };
            let Some(client) = self.clients.get_mut(&i).filter(|client| client.is_free()) else { return };
            self.distal.queue.pop_front();
            self.events.clear_timer(Token(requester + 1));
            let Some(request) = self.requesters.get(&requester).and_then(|one| one.request.as_ref()) else {
                continue;
            };
            log::info!("{}: distal request {}", client.name, about(request));
            match client.connection.link.send(request, Kind::Request, now) {
                Ok(id) => {
                    let control_id =
                        Message::parse(request).map(|m| m.control_id().to_vec()).unwrap_or_default();
                    self.distal.active = Some(Active { client: i, requester, id, control_id });
                    self.touched.insert(i);
                }
                Err(error) => {
                    self.reject_requester(requester, &format!("the line cannot carry it: {error}"), now);
                }
            }
        }
    }

    /// The line has the request; its answer may take a time.
    pub(super) fn distal_is_on_the_line(&mut self, client: usize, id: SendId, now: Instant) {
        if let Some(active) =
            self.distal.active.as_ref().filter(|active| (active.client, active.id) == (client, id))
        {
            let due = now + self.config.settings.reply_timeout;
            self.events.set_timer(Token(active.requester + 1), due);
        }
    }

    /// A message of the peer came in between; the wait for its answer begins anew.
    pub(super) fn distal_goes_on(&mut self, client: usize, now: Instant) {
        if let Some(active) = self.distal.active.as_ref().filter(|active| active.client == client) {
            let due = now + self.config.settings.reply_timeout;
            self.events.set_timer(Token(active.requester + 1), due);
        }
    }

    pub(super) fn distal_answered(&mut self, answer: &[u8], now: Instant) {
        if let Some(active) = self.distal.active.take() {
            log::info!("distal answer {}", about(answer));
            self.answer_requester(active.requester, answer, now);
            self.touched.insert(active.client);
        }
    }

    /// The line did not deliver the request.
    pub(super) fn distal_failed(&mut self, client: usize, id: SendId, why: &str, now: Instant) {
        if let Some(active) = self.distal.active.take_if(|active| (active.client, active.id) == (client, id))
        {
            let requester = active.requester;
            self.distal.give_up(active);
            self.reject_requester(requester, &format!("not delivered: {why}"), now);
        }
    }

    /// A line client goes, and the request that it had.
    pub(super) fn distal_lost(&mut self, client: usize, now: Instant) {
        if let Some(active) = self.distal.active.take_if(|active| active.client == client) {
            self.reject_requester(active.requester, "the line was closed before it answered", now);
        }
    }

    /// A request waited too long for the line, or for its answer.
    pub(super) fn waited_too_long(&mut self, requester: usize, now: Instant) {
        if self.distal.queue.contains(&requester) {
            self.forget_request(requester);
            return self.reject_requester(requester, "line busy", now);
        }
        if let Some(active) = self.distal.active.take_if(|active| active.requester == requester) {
            if let Some(client) = self.clients.get_mut(&active.client) {
                client.connection.link.cancel(active.id, now);
            }
            self.touched.insert(active.client);
            self.distal.give_up(active);
            self.reject_requester(requester, "the line gave no answer", now);
        }
    }

    /// Rejects all that wait for the line; what is on it goes on.
    pub(super) fn reject_waiting(&mut self, why: &str, now: Instant) {
        for requester in std::mem::take(&mut self.distal.queue) {
            self.reject_requester(requester, why, now);
        }
        // Those whose message is not complete will not be served any more.
        let unheard: Vec<usize> =
            self.requesters.iter().filter(|(_, one)| one.request.is_none()).map(|(i, _)| *i).collect();
        for requester in unheard {
            self.drop_requester(requester);
        }
    }
}

/// The addresses of this host's interfaces.
fn own_addresses() -> Vec<IpAddr> {
    let Ok(interfaces) = nix::ifaddrs::getifaddrs() else { return Vec::new() };
    let addresses = interfaces.filter_map(|interface| interface.address);
    addresses
        .filter_map(|address| {
            let four = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
            four.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
        })
        .collect()
}

/// Whether a peer is a process of this host (manual node llpdrv, "Security").
fn is_this_host(peer: IpAddr, here: IpAddr, own: &[IpAddr]) -> bool {
    let (peer, here) = (peer.to_canonical(), here.to_canonical());
    peer.is_loopback() || peer == here || own.iter().any(|address| address.to_canonical() == peer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_host_is_this_host() {
        let address = |text: &str| text.parse::<IpAddr>().unwrap();
        let own = [address("127.0.0.1"), address("10.1.2.3"), address("fe80::1")];
        for (peer, here, is) in [
            ("127.0.0.1", "127.0.0.1", true),
            ("::1", "::1", true),
            ("::ffff:127.0.0.1", "::ffff:127.0.0.1", true),
            ("10.9.9.9", "10.9.9.9", true),
            ("10.1.2.3", "127.0.0.1", true),
            ("::ffff:10.1.2.3", "::ffff:10.9.9.9", true),
            ("10.1.2.4", "10.1.2.3", false),
            ("::ffff:10.1.2.4", "::ffff:10.1.2.3", false),
            ("fe80::2", "fe80::1", false),
        ] {
            assert_eq!(is_this_host(address(peer), address(here), &own), is, "{peer} to {here}");
        }
        assert!(own_addresses().contains(&address("127.0.0.1")));
    }
}
