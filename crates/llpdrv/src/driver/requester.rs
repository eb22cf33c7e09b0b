//! One client of the distal server: a request and its answer by ILLP.

use std::net::SocketAddr;
use std::time::Instant;

use mio::net::TcpStream;
use protogen_core::hl7::Message;
use protogen_core::llp::{Event, Kind, illp};
use protogen_sys::connection::Connection;
use protogen_sys::event_loop::{EventLoop, Token};

use super::Driver;
use crate::answer::{about, is_hl7};

pub(super) struct Requester {
    pub(super) connection: Connection<TcpStream>,
    peer: SocketAddr,
    /// The message, once it is whole.
    pub(super) request: Option<Vec<u8>>,
    failed: bool,
}

impl Requester {
    pub(super) fn read(&mut self, events: &mut EventLoop, buffer: &mut [u8], now: Instant) {
        if let Err(error) = self.connection.readable(events, buffer, now) {
            log::warn!("distal client {}: {error}", self.peer);
            self.failed = true;
        }
        // In ILLP the end of the input is the end of the message.
        self.connection.settle(now);
    }
}

impl Driver {
    pub(super) fn take_requester(&mut self, stream: TcpStream, peer: SocketAddr, now: Instant) {
        let i = self.new_token();
        let link = Box::new(illp::Server::new(self.config.settings.illp_server(), now));
        let connection =
            stream.set_nodelay(true).and_then(|()| Connection::new(stream, link, Token(i), &self.events));
        match connection {
            Ok(connection) => {
                self.requesters.insert(i, Requester { connection, peer, request: None, failed: false });
                self.touched.insert(i);
            }
            Err(error) => log::warn!("distal client {peer}: {error}"),
        }
    }

    pub(super) fn settle_requester(&mut self, i: usize, now: Instant) {
        while let Some(event) = self.requesters.get_mut(&i).and_then(|one| one.connection.next()) {
            match event {
                Event::Message { message, .. } => self.take_request(i, message, now),
                Event::Note(note) => {
                    if let Some(requester) = self.requesters.get(&i) {
                        log::warn!("distal client {}: {note}", requester.peer);
                    }
                }
                _ => {}
            }
        }
        let Driver { requesters, events, .. } = self;
        let Some(requester) = requesters.get_mut(&i) else { return };
        if let Err(error) = requester.connection.flush(events) {
            log::warn!("distal client {}: {error}", requester.peer);
            requester.failed = true;
        }
        // A request that is on the line stays there; its answer will find nobody.
        let served = requester.connection.is_closed();
        if served || requester.failed {
            self.drop_requester(i);
        }
    }

    pub(super) fn drop_requester(&mut self, i: usize) {
        if let Some(requester) = self.requesters.remove(&i) {
            drop(requester.connection.close(&mut self.events));
            if !self.distal.is_active(i) {
                self.events.forget(Token(i + 1));
            }
            self.forget_request(i);
            self.accept_more();
        }
    }

    fn take_request(&mut self, i: usize, message: Vec<u8>, now: Instant) {
        let counters = self.counters();
        let management = self.answers.management(&message, &counters);
        let Some(requester) = self.requesters.get_mut(&i) else { return };
        if !is_hl7(&message) {
            log::error!("distal client {}: {}: closed", requester.peer, about(&message));
            return self.drop_requester(i);
        }
        let header = message.starts_with(b"MSH").then(|| Message::parse(&message).err()).flatten();
        requester.request = Some(message);
        if let Some(answer) = management {
            self.answer_requester(i, &answer, now);
        } else if let Some(error) = header {
            self.reject_requester(i, &error.to_string(), now);
        } else if self.stopping {
            self.reject_requester(i, "the driver is shutting down", now);
        } else {
            self.queue_request(i, now);
        }
    }

    pub(super) fn answer_requester(&mut self, i: usize, answer: &[u8], now: Instant) {
        self.events.clear_timer(Token(i + 1));
        let Some(requester) = self.requesters.get_mut(&i) else {
            return log::error!("distal answer {}: not given, the client has gone", about(answer));
        };
        if let Err(error) = requester.connection.link.send(answer, Kind::Reply, now) {
            log::error!("distal client {}: answer {}: {error}", requester.peer, about(answer));
            let request = requester.request.take().unwrap_or_default();
            let reject =
                self.answers.reject(&request, &format!("the line's answer cannot be given: {error}"));
            let sent =
                reject.and_then(|reject| requester.connection.link.send(&reject, Kind::Reply, now).ok());
            if sent.is_none() {
                return self.drop_requester(i);
            }
        }
        self.touched.insert(i);
    }

    /// Answers with AR; a request that may get none is closed.
    pub(super) fn reject_requester(&mut self, i: usize, why: &str, now: Instant) {
        let Some(requester) = self.requesters.get(&i) else { return };
        let request = requester.request.as_deref().unwrap_or_default();
        log::error!("distal client {}: {}: {why}", requester.peer, about(request));
        match self.answers.reject(request, why) {
            Some(answer) => self.answer_requester(i, &answer, now),
            None => self.drop_requester(i),
        }
    }
}
