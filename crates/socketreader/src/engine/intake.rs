//! The incoming sockets: messages in, to the journal, answers out.

mod ending;
mod storing;

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use mio::net::TcpStream;
use protogen_core::llp::mllp::Decoder;
use protogen_journal::{Message, Producer, Reader};
use protogen_sys::event_loop::{Drained, EventLoop};
use rustc_hash::FxHashMap;

use super::answer::{Answers, Manner};
use super::client::{Client, Slots};
use super::input::Input;
use super::replies::{self, Replies};
use super::sink::Sink;
use super::token::Owner;
use super::wire::Wire;
use crate::log;
use crate::rejects::Rejects;

/// How much is read from one peer before the others have a turn, in bytes.
const TURN: usize = 256 << 10;
/// How much the unfinished frames of all peers may take, in bytes; more only where one message may be longer than half of it.
const MAX_UNFINISHED: usize = 256 << 20;

/// How much is read before it is stored, in bytes; more only where the rest of one reading is longer.
const GROUP: usize = 4 << 20;

/// How long a peer may go on when its connection has left the configuration.
const FAREWELL: Duration = Duration::from_secs(5);

/// Who waits for the answer to a message that is to be stored.
pub(super) struct Sender {
    pub(super) client: u32,
    pub(super) slot: u64,
    pub(super) input: usize,
    /// For when it is stored; may be empty.
    pub(super) answer: Vec<u8>,
    /// Whether the sender would hear that it was not stored.
    pub(super) hears_no: bool,
}

/// What becomes one write: all that was ready.
#[derive(Default)]
pub(super) struct Group {
    messages: Vec<Message>,
    senders: Vec<Sender>,
    bytes: usize,
    /// When the first of them was read.
    begun: Option<Instant>,
}

impl Group {
    pub(super) fn push(&mut self, message: Message, sender: Sender) {
        self.bytes += message.bytes.len();
        self.begun.get_or_insert_with(Instant::now);
        self.messages.push(message);
        self.senders.push(sender);
    }
}

pub(super) struct Intake {
    pub(super) inputs: Vec<Input>,
    clients: FxHashMap<u32, Client>,
    pub(super) most_peers: usize,
    next_id: u32,
    producer: Producer,
    /// Read and not yet stored.
    group: Group,
    /// When inputs that take nothing are looked at again.
    again_at: Option<Instant>,
    /// How many messages wait.
    journal: Reader,
    touched: Vec<u32>,
    /// How much the unfinished frames of all peers take, and may take.
    unfinished: usize,
    max_unfinished: usize,
    /// Not read, because the journal has enough.
    held: Vec<u32>,
    buffer: Vec<u8>,
    answers: Answers,
    rejects: Rejects,
    /// Connections that we made and that are closed, by their numbers.
    lost: Vec<usize>,
    stopping: bool,
    /// When and why the journal has not taken a message, since it took one.
    refused: Option<(Instant, String)>,
}

impl Intake {
    pub(super) fn new(producer: Producer, journal: Reader, rejects: Rejects, most_peers: usize) -> Intake {
        Intake {
            unfinished: 0,
            max_unfinished: MAX_UNFINISHED,
            inputs: Vec::new(),
            clients: FxHashMap::default(),
            most_peers,
            next_id: 0,
            producer,
            group: Group::default(),
            again_at: None,
            journal,
            touched: Vec::new(),
            held: Vec::new(),
            buffer: vec![0; 64 << 10],
            answers: Answers::new(SystemTime::now()),
            rejects,
            lost: Vec::new(),
            stopping: false,
            refused: None,
        }
    }

    /// Adds an incoming connection; its number is how many there were.
    pub(super) fn add(&mut self, input: Input) {
        self.max_unfinished = self.max_unfinished.max(input.socket.max_size.saturating_mul(2));
        self.inputs.push(input);
    }

    /// A peer has connected, or was connected to.
    pub(super) fn open(
        &mut self,
        input: usize,
        stream: TcpStream,
        peer: String,
        events: &mut EventLoop,
    ) -> bool {
        let here = &mut self.inputs[input];
        if here.open >= here.socket.max_connections {
            log::warning!(
                &here.name,
                "{peer}: refused, {} connections are open, and maxconnections allows no more",
                here.open
            );
            return false;
        }
        if self.clients.len() >= self.most_peers {
            log::warning!(
                &here.name,
                "{peer}: refused, the limit of open files is reached; raise it (LimitNOFILE= of systemd, ulimit -n)"
            );
            return false;
        }
        while self.clients.contains_key(&self.next_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1);
        match Wire::new(stream, Owner::Client(id).token(), here.manners, &here.guard, events) {
            Ok(wire) => {
                log::info!(&here.name, "{peer}: connected");
                here.open += 1;
                if !wire.is_open() {
                    // The handshake begins, and may take so long.
                    events.update_timer(Owner::Client(id).token(), wire.poll_timeout());
                    events.revisit(Owner::Client(id).token());
                }
                let decoder = Decoder::new(here.socket.mllp.clone());
                let replies = (here.manner == Manner::Release2)
                    .then(|| Replies::new(&here.socket.mllp, here.socket.timeout));
                let slots = Slots::new(Arc::clone(&here.outboxes.meter), replies);
                here.outboxes.meter.peers.fetch_add(1, Ordering::Relaxed);
                self.clients.insert(
                    id,
                    Client {
                        input,
                        peer,
                        wire,
                        decoder,
                        slots,
                        unfinished: 0,
                        held: false,
                        ended: false,
                        farewell: None,
                    },
                );
                true
            }
            Err(error) => {
                log::error!(&here.name, "a connection failed: {error}");
                false
            }
        }
    }

    /// Reads what a peer sent.
    pub(super) fn read(&mut self, id: u32, events: &mut EventLoop, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.farewell.is_some() {
            return self.ignore(id, events, now);
        }
        if self.inputs[client.input].leaving {
            return self.settle(id, events, now);
        }
        let full = self.stopping || self.inputs[client.input].is_blocked();
        if full || !client.has_room() {
            client.held = true;
            if full {
                self.held.push(id);
            }
            return;
        }
        if std::mem::take(&mut client.held)
            && let Some(replies) = client.slots.replies()
        {
            replies.renew(now);
        }
        let Client { wire, decoder, slots, peer, .. } = client;
        let mut sink = Sink {
            id,
            peer,
            slots,
            index: client.input,
            input: &mut self.inputs[client.input],
            group: &mut self.group,
            answers: &mut self.answers,
            rejects: &self.rejects,
            time: SystemTime::now(),
            now,
        };
        let drained = wire.drain(&mut self.buffer, TURN, |mut bytes| {
            while let Some(item) = decoder.decode(&mut bytes, now) {
                sink.take(item);
            }
            ControlFlow::Continue(())
        });
        match drained {
            Ok(Drained::WouldBlock) => {}
            Ok(Drained::Stopped) => events.revisit(Owner::Client(id).token()),
            Ok(Drained::End) => {
                client.ended = true;
                if let Some(item) = decoder.handle_eof() {
                    sink.take(item);
                }
                slots.replies().into_iter().for_each(Replies::let_go);
            }
            Err(error) => {
                if let Some(item) = decoder.handle_eof() {
                    sink.take(item);
                }
                sink.input.broken(peer, &error);
                return self.close(id, events);
            }
        }
        self.unfinished -= std::mem::replace(&mut client.unfinished, client.decoder.collected());
        self.unfinished += client.unfinished;
        self.settle(id, events, now);
        self.bound_unfinished(events);
        if self.group.bytes >= GROUP {
            self.store(events, now);
        }
    }

    /// Closes the peers that have been silent for longest in the middle of their frames, if these take too much.
    fn bound_unfinished(&mut self, events: &mut EventLoop) {
        while self.unfinished > self.max_unfinished {
            let unfinished = self.clients.iter().filter(|(_, client)| client.unfinished > 0);
            let silent = unfinished.min_by_key(|(_, client)| client.decoder.poll_timeout());
            let Some((id, client)) = silent else { return };
            log::error!(
                &self.inputs[client.input].name,
                "{}: closed in the middle of a frame, at {} bytes: the unfinished frames of all peers take more than {}",
                client.peer,
                client.unfinished,
                self.max_unfinished
            );
            let id = *id;
            self.close(id, events);
        }
    }

    /// A peer's timer is due.
    pub(super) fn time_out(&mut self, id: u32, events: &mut EventLoop, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if client.wire.is_late(now) {
            let why = io::Error::new(io::ErrorKind::TimedOut, "TLS: the handshake takes too long");
            self.inputs[client.input].broken(&client.peer, &why);
            return self.close(id, events);
        }
        if client.farewell.is_some_and(|due| due <= now) {
            return self.close(id, events);
        }
        if let Some(replies) = client.slots.replies().filter(|replies| replies.is_late(now)) {
            if client.held {
                // What it sent was not looked at.
                replies.renew(now);
                return self.settle(id, events, now);
            }
            let Input { name, socket, .. } = &self.inputs[client.input];
            let (peer, seconds) = (&client.peer, socket.timeout.as_secs_f64());
            log::error!(name, "{peer}: no commit block for our acknowledgment within {seconds} s, closed");
            return self.close(id, events);
        }
        let Client { decoder, slots, peer, .. } = client;
        if let Some(item) = decoder.handle_timeout(now) {
            Sink {
                id,
                peer,
                slots,
                index: client.input,
                input: &mut self.inputs[client.input],
                group: &mut self.group,
                answers: &mut self.answers,
                rejects: &self.rejects,
                time: SystemTime::now(),
                now,
            }
            .take(item);
        }
        self.unfinished -= std::mem::replace(&mut client.unfinished, client.decoder.collected());
        self.unfinished += client.unfinished;
        self.settle(id, events, now);
    }

    /// Writes what is due, sets the timer, and closes a peer that is done.
    pub(super) fn settle(&mut self, id: u32, events: &mut EventLoop, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        if let Err(error) = client.flush(events, now) {
            self.inputs[client.input].broken(&client.peer, &error);
            return self.close(id, events);
        }
        if client.is_over() {
            return self.close(id, events);
        }
        if client.slots.replies().is_some_and(|replies| replies.are_too_many()) {
            log::error!(
                &self.inputs[client.input].name,
                "{}: closed, more than {} bytes of acknowledgments wait for its commit blocks",
                client.peer,
                replies::MAX_WAITING
            );
            return self.close(id, events);
        }
        if self.inputs[client.input].leaving && client.farewell.is_none() && client.is_answered() {
            client.wire.finish();
            client.farewell = Some(now + FAREWELL);
            // What came meanwhile was not looked at.
            events.revisit(Owner::Client(id).token());
        }
        let leaving = self.inputs[client.input].leaving;
        if client.held && !leaving && client.has_room() && !self.held.contains(&id) {
            events.revisit(Owner::Client(id).token());
        }
        events.update_timer(Owner::Client(id).token(), client.poll_timeout());
    }

    fn close(&mut self, id: u32, events: &mut EventLoop) {
        if let Some(client) = self.clients.remove(&id) {
            self.unfinished -= client.unfinished;
            let input = &mut self.inputs[client.input];
            input.open -= 1;
            input.outboxes.meter.peers.fetch_sub(1, Ordering::Relaxed);
            log::info!(&input.name, "{}: closed", client.peer);
            if !input.socket.server && !input.leaving {
                self.lost.push(client.input);
            }
            client.wire.close(events);
        }
    }

    /// The next connection of the configuration that is to be made again.
    pub(super) fn take_lost(&mut self) -> Option<usize> {
        self.lost.pop()
    }
}
