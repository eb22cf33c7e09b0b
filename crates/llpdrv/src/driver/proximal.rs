//! Messages from the line: to TO, and the reply in the same thread.
//!
//! A message that comes while a distal request is on the line is served at once if this side has the low priority: the
//! peer may wait for its reply before it answers ours. With the high priority it waits, in MLLP, until the distal
//! request has its answer. In X3.28 bids have settled the matter before, and in HLLP the request may itself wait for
//! this very message's reply.

use std::time::Instant;

use protogen_core::hl7::Message;
use protogen_core::llp::{Event, Failure, Kind, Note, NoteKind, SendId, x328::Priority};

use super::Driver;
use super::client::{Proximal, State};
use crate::answer::{about, is_hl7};
use crate::settings::Protocol;

impl Driver {
    pub(super) fn line_event(&mut self, i: usize, event: Event, now: Instant) {
        match event {
            Event::Message { message, answers } => self.take_from_line(i, message, answers, now),
            Event::Delivered(id) | Event::Sent(id) => {
                self.distal_is_on_the_line(i, id, now);
                if self.replied(i) == Some(id) {
                    self.end_proximal(i, now);
                }
            }
            Event::Failed(id, why) => self.line_failed(i, id, why, now),
            Event::Note(note) => self.noted(i, &note, now),
            _ => {}
        }
    }

    /// Logs what the protocol noted. A message that is too long has a sender who waits: HLLP and X3.28 tell it, in MLLP
    /// it gets AR, as far as its header is known.
    fn noted(&mut self, i: usize, note: &Note, now: Instant) {
        let Some(client) = self.clients.get_mut(&i) else { return };
        log::warn!("{}: {note}", client.name);
        if note.kind != NoteKind::TooLong || self.config.protocol != Protocol::Mllp {
            return;
        }
        let limit = self.config.settings.max_message;
        // The start of the frame stands before it.
        let sob = &self.config.settings.mllp.framing.sob;
        let bytes = note.bytes.strip_prefix(&sob[..]).unwrap_or(&note.bytes);
        let header = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let is_whole = header.len() < bytes.len();
        let why = format!("the message is longer than {limit} bytes");
        let reject = if is_whole { self.answers.reject(header, &why) } else { None };
        let sent =
            reject.is_some_and(|reject| client.connection.link.send(&reject, Kind::Reply, now).is_ok());
        client.leaving |= !sent && !client.connection.stream().is_device();
    }

    /// Takes a message, tells the protocol so, and queues it.
    fn take_from_line(&mut self, i: usize, message: Vec<u8>, answers: Option<SendId>, now: Instant) {
        self.words += 1;
        let words = self.words;
        let Some(client) = self.clients.get_mut(&i) else { return };
        client.spoke = words;
        let told = about(&message);
        if !is_hl7(&message) {
            client.connection.link.refuse(now);
            log::error!("{}: {told}: refused", client.name);
            // MLLP has no word for it but to hang up; a serial line not even that.
            client.leaving |=
                self.config.protocol == Protocol::Mllp && !client.connection.stream().is_device();
            return;
        }
        if self.distal.is_answered_by(i, &message, answers) {
            client.connection.link.accept(now);
            return self.distal_answered(&message, now);
        }
        if self.distal.is_late(&message) {
            client.connection.link.accept(now);
            log::warn!("{}: {told}: dropped, its request was given up before", client.name);
            return;
        }
        if !client.has_room() && self.config.settings.can_refuse(self.config.protocol) {
            client.connection.link.refuse(now);
            log::warn!("{}: {told}: refused, {} wait already", client.name, client.waiting.len());
            return;
        }
        client.connection.link.accept(now);
        client.waiting.push_back(message);
        if let Err(error) = self.start_distal() {
            log::error!("the distal service cannot be started: {error:#}");
        }
    }

    /// Begins with the next message of a client, if the line is its.
    pub(super) fn serve(&mut self, i: usize, now: Instant) {
        let high = self.config.settings.priority == Priority::High && self.config.protocol == Protocol::Mllp;
        let is_on = self.distal.is_on(i);
        let Some(client) = self.clients.get_mut(&i) else { return };
        // Messages that no more fit behind them cannot be held: the answer may stand behind those.
        let held = high && is_on && client.has_room();
        let over = client.leaving && self.config.one_shot;
        if client.proximal.is_some() || over || held {
            return;
        }
        let Some(request) = client.waiting.pop_front() else { return };
        log::info!("{}: {}", client.name, about(&request));
        client.proximal = Some(Proximal { request: request.clone(), state: State::Forwarded(0) });
        let counters = self.counters();
        if let Some(answer) = self.answers.management(&request, &counters) {
            return self.reply(i, &answer, now);
        }
        if self.to.is_empty() {
            return self.reject_proximal(i, "there is no destination", now);
        }
        let unreadable = Message::parse(&request).err().filter(|_| !is_batch(&request));
        if let Some(error) = unreadable {
            return self.reject_proximal(i, &error.to_string(), now);
        }
        let destination = self.forward(i, request, now);
        if let Some(proximal) = self.clients.get_mut(&i).and_then(|client| client.proximal.as_mut()) {
            proximal.state = State::Forwarded(destination);
        }
    }

    /// Gives the line its reply.
    pub(super) fn reply(&mut self, i: usize, reply: &[u8], now: Instant) {
        if !is_hl7(reply) {
            return self.reject_proximal(i, "the destination's reply is no HL7 message", now);
        }
        if let Err(why) = self.send_reply(i, reply, now) {
            self.reject_proximal(i, &format!("the destination's reply cannot be given: {why}"), now);
        }
    }

    /// Answers the message that has the line with AR, or ends without a word where no HL7 answer can be built.
    pub(super) fn reject_proximal(&mut self, i: usize, why: &str, now: Instant) {
        let Some(client) = self.clients.get(&i) else {
            return log::error!("{why}, and its sender has gone");
        };
        let Some(proximal) = &client.proximal else { return };
        log::error!("{}: {}: {why}", client.name, about(&proximal.request));
        let Some(answer) = self.answers.reject(&proximal.request, why) else {
            log::warn!("{}: no answer can be given to it", client.name);
            return self.end_proximal(i, now);
        };
        if let Err(error) = self.send_reply(i, &answer, now) {
            log::error!("the answer cannot be given: {error}");
            self.end_proximal(i, now);
        }
    }

    fn send_reply(&mut self, i: usize, reply: &[u8], now: Instant) -> Result<(), String> {
        let Some(client) = self.clients.get_mut(&i) else {
            log::error!("reply {}: not given, the client has gone", about(reply));
            return Ok(());
        };
        let gone = client.connection.has_ended() && client.connection.stream().is_device();
        if gone || !client.connection.stream().has_peer() {
            log::error!("{}: reply {}: not given, the client has gone", client.name, about(reply));
            self.end_proximal(i, now);
            return Ok(());
        }
        let id = client.connection.link.send(reply, Kind::Reply, now).map_err(|error| error.to_string())?;
        log::info!("{}: reply {}", client.name, about(reply));
        if let Some(proximal) = &mut client.proximal {
            proximal.state = State::Replied(id);
        }
        self.touched.insert(i);
        Ok(())
    }

    /// The reply that is with the line.
    fn replied(&self, i: usize) -> Option<SendId> {
        match self.clients.get(&i)?.proximal.as_ref()?.state {
            State::Replied(id) => Some(id),
            State::Forwarded(_) => None,
        }
    }

    fn line_failed(&mut self, i: usize, id: SendId, why: Failure, now: Instant) {
        if self.replied(i) == Some(id) {
            if let Some(client) = self.clients.get(&i) {
                log::error!("{}: the reply was not delivered: {why}", client.name);
            }
            self.end_proximal(i, now);
        }
        self.distal_failed(i, id, &why.to_string(), now);
    }

    /// The transaction is over, and the line free.
    fn end_proximal(&mut self, i: usize, now: Instant) {
        let one_shot = self.config.one_shot;
        let Some(client) = self.clients.get_mut(&i) else { return };
        client.proximal = None;
        client.leaving |= one_shot;
        self.touched.insert(i);
        self.distal_goes_on(i, now);
    }
}

fn is_batch(message: &[u8]) -> bool {
    !message.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(message).starts_with(b"MSH")
}
