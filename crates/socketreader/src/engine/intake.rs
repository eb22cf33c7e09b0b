//! The incoming sockets: messages in, to the journal, answers out.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use mio::net::TcpStream;
use protogen_core::hl7::Outcome;
use protogen_core::llp::mllp::Decoder;
use protogen_journal::{Message, Producer, Reader, Refusal};
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
/// How long inputs wait that take nothing, before they are looked at again.
const AGAIN: Duration = Duration::from_millis(100);
/// The same while messages wait for room.
const AGAIN_PARKED: Duration = Duration::from_millis(10);
/// How much the unfinished frames of all peers may take, in bytes; more only where one message may be longer than half of it.
const MAX_UNFINISHED: usize = 256 << 20;

/// How much is read before it is stored, in bytes; more only where the rest of one reading is longer.
const GROUP: usize = 4 << 20;

/// How long a message that was not stored counts against our health, if none is stored meanwhile.
const REFUSED: Duration = Duration::from_secs(60);
/// How long a peer may go on when its connection has left the configuration.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long messages that come one after the other are taken along before the first of them is stored.
const GROW: Duration = Duration::from_micros(50);

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

    /// A peer that was told that nothing more comes may send what it likes, for a while: closed at once, it might not read
    /// its last answers.
    fn ignore(&mut self, id: u32, events: &mut EventLoop, now: Instant) {
        let Some(client) = self.clients.get_mut(&id) else { return };
        match client.wire.drain(&mut self.buffer, TURN, |_| ControlFlow::Continue(())) {
            Ok(Drained::WouldBlock) => {}
            Ok(Drained::Stopped) => events.revisit(Owner::Client(id).token()),
            Ok(Drained::End) | Err(_) => return self.close(id, events),
        }
        self.settle(id, events, now);
    }

    /// Takes nothing more for an incoming connection, and lets its peers go as soon as they have their answers.
    pub(super) fn leave(&mut self, number: usize, events: &mut EventLoop, now: Instant) {
        let input = &mut self.inputs[number];
        input.parked.give_up(now);
        self.take_parked(events, now);
        self.inputs[number].leaving = true;
        let peers: Vec<u32> =
            self.clients.iter().filter(|(_, client)| client.input == number).map(|(id, _)| *id).collect();
        for id in peers {
            self.let_go(id);
            self.settle(id, events, now);
        }
    }

    /// Waits for no commit block of a peer.
    fn let_go(&mut self, id: u32) {
        let client = self.clients.get_mut(&id);
        client.and_then(|client| client.slots.replies()).into_iter().for_each(Replies::let_go);
    }

    /// Whether all that these incoming connections took is stored, or its senders hear that it is not.
    ///
    /// # Errors
    /// Names the one that holds something, and the remedy.
    pub(super) fn all_stored(&self, numbers: &[usize]) -> Result<(), String> {
        let held = numbers.iter().map(|number| &self.inputs[*number]).find(|input| !input.again.is_empty());
        held.map_or(Ok(()), |input| {
            let (count, name) = (input.again.len(), &input.name);
            Err(format!("{count} messages of {name} cannot be stored yet; send SIGHUP again when they are"))
        })
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

    /// Whether messages are taken.
    ///
    /// # Errors
    /// Why they are not.
    pub(super) fn health(&self, now: Instant) -> Result<(), String> {
        if let Some((when, why)) = &self.refused
            && now.duration_since(*when) < REFUSED
        {
            return Err(format!("the journal takes no message: {why}"));
        }
        match self.inputs.iter().find_map(|input| Some((input, input.full.as_ref()?))) {
            Some((input, why)) => Err(format!("{} takes no message: {why}", input.name)),
            None => Ok(()),
        }
    }

    /// Whether there are messages to be stored.
    pub(super) fn has_group(&self) -> bool {
        self.group.begun.is_some()
    }

    /// Whether more may be taken along before they are stored.
    pub(super) fn may_grow(&self, now: Instant) -> bool {
        self.group.begun.is_some_and(|begun| now.duration_since(begun) < GROW)
    }

    /// Stores what has come and answers it: all that was ready is one group.
    pub(super) fn turn_ends(&mut self, events: &mut EventLoop, now: Instant) {
        if self.again_at.is_some_and(|due| due <= now) {
            self.again_at = None;
            self.look();
            self.try_again();
            self.take_parked(events, now);
        }
        self.store(events, now);
        if self.inputs.iter().any(|input| !input.parked.is_empty()) {
            self.again_at.get_or_insert(now + AGAIN_PARKED);
        } else if self.inputs.iter().any(|input| input.full.is_some() || input.is_blocked()) {
            self.again_at.get_or_insert(now + AGAIN);
        }
        if !self.held.is_empty() && !self.stopping {
            self.read_those_held(events);
        }
    }

    /// Looks which inputs may take more.
    fn look(&mut self) {
        self.inputs.iter_mut().for_each(|input| input.look(&self.journal));
    }

    /// Those that were not read because of others are read again, unless that still holds.
    fn read_those_held(&mut self, events: &mut EventLoop) {
        let (clients, inputs) = (&self.clients, &self.inputs);
        self.held.retain(|id| {
            let Some(client) = clients.get(id) else { return false };
            let is_blocked = inputs[client.input].is_blocked();
            if !is_blocked {
                events.revisit(Owner::Client(*id).token());
            }
            is_blocked
        });
    }

    /// What waits for room, as far as there is some; who has waited too long is told to try later.
    fn take_parked(&mut self, events: &mut EventLoop, now: Instant) {
        let time = SystemTime::now();
        let mut told = Vec::new();
        for (index, input) in self.inputs.iter_mut().enumerate() {
            for _ in 0..input.room {
                let Some(waiting) = input.parked.take() else { break };
                // One that has gone has no answer, and sends it again.
                if self.clients.contains_key(&waiting.client) {
                    let message = Message { connection: Arc::clone(&input.name), time, bytes: waiting.bytes };
                    let (client, slot, answer) = (waiting.client, waiting.slot, waiting.answer);
                    self.group.push(message, Sender { client, slot, input: index, answer, hears_no: true });
                }
            }
            while let Some(late) = input.parked.take_late(now) {
                let Some(client) = self.clients.get_mut(&late.client) else { continue };
                let text = format!("try later: {}", input.full.as_deref().unwrap_or("the router ends"));
                let settings = &input.socket.mllp;
                let no = self.answers.negative(
                    &late.bytes,
                    input.manner,
                    Outcome::Rejected,
                    &text,
                    settings,
                    time,
                );
                client.slots.answer(late.slot, no, None);
                told.push(late.client);
            }
        }
        for id in told {
            self.settle(id, events, now);
        }
    }

    /// What could not be stored before, of inputs that may take more now.
    fn try_again(&mut self) {
        for (index, input) in self.inputs.iter_mut().enumerate().filter(|(_, input)| input.full.is_none()) {
            for bytes in input.again.drain(..) {
                let message = Message { connection: Arc::clone(&input.name), time: SystemTime::now(), bytes };
                // No client has this slot: there is nobody to answer.
                let (client, slot, answer) = (u32::MAX, 0, Vec::new());
                let sender = Sender { client, slot, input: index, answer, hears_no: false };
                self.group.push(message, sender);
            }
        }
    }

    /// When [`turn_ends`](Intake::turn_ends) has something to do without an event.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.again_at
    }

    /// Stores the group, waiting for the disk, and answers the senders.
    fn store(&mut self, events: &mut EventLoop, now: Instant) {
        if self.group.messages.is_empty() {
            return;
        }
        let Group { mut messages, mut senders, .. } = std::mem::take(&mut self.group);
        let results = self.producer.store(&messages);
        let time = SystemTime::now();
        for ((result, sender), message) in results.into_iter().zip(senders.drain(..)).zip(messages.drain(..))
        {
            let input = &mut self.inputs[sender.input];
            if let Err(refusal @ (Refusal::Full | Refusal::Failed)) = &result {
                self.refused = Some((now, refusal.to_string()));
            }
            let answer = match result {
                Ok(_) => {
                    input.stored = true;
                    self.refused = None;
                    input.outboxes.meter.took(message.bytes.len());
                    sender.answer
                }
                Err(refusal) if !sender.hears_no && refusal != Refusal::TooLong => {
                    input.keep(message.bytes, refusal);
                    Vec::new()
                }
                Err(refusal) => {
                    log::error!(&input.name, "not stored, the sender is to try later: {refusal}");
                    let (text, settings) = (format!("try later: {refusal}"), &input.socket.mllp);
                    let (manner, outcome) = (input.manner, Outcome::Rejected);
                    self.answers.negative(&message.bytes, manner, outcome, &text, settings, time)
                }
            };
            if let Some(here) = self.clients.get_mut(&sender.client) {
                let due = (!input.debug.delayack.is_zero()).then(|| now + input.debug.delayack);
                log::debug!(&input.name, "{}: answered {}", here.peer, answer.escape_ascii());
                here.slots.answer(sender.slot, answer, due);
                if self.touched.last() != Some(&sender.client) {
                    self.touched.push(sender.client);
                }
            }
        }
        self.look();
        // Their room is used again.
        (self.group.messages, self.group.senders) = (messages, senders);
        for input in &mut self.inputs {
            if std::mem::take(&mut input.stored) {
                input.kept();
                input.outboxes.now().iter().for_each(|(outbox, _)| outbox.bell.ring());
            }
        }
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for id in touched.drain(..) {
            self.settle(id, events, now);
        }
        self.touched = touched;
    }

    /// The next connection of the configuration that is to be made again.
    pub(super) fn take_lost(&mut self) -> Option<usize> {
        self.lost.pop()
    }

    /// Reads no more; what is being stored is still answered.
    pub(super) fn stop(&mut self, events: &mut EventLoop, now: Instant) {
        self.stopping = true;
        let peers: Vec<u32> = self.clients.keys().copied().collect();
        for id in peers {
            self.let_go(id);
            self.settle(id, events, now);
        }
        self.inputs.iter_mut().for_each(|input| input.parked.give_up(now));
        self.again_at = Some(now);
    }

    /// Whether every message that was read is stored and its answer written.
    pub(super) fn is_idle(&self) -> bool {
        self.group.messages.is_empty() && self.clients.values().all(Client::is_answered)
    }

    /// How many messages are to be stored right now.
    pub(super) fn in_flight(&self) -> usize {
        self.group.messages.len()
    }
}
