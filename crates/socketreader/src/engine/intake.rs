//! The incoming sockets: messages in, to the journal, answers out.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::net::TcpStream;
use protogen_core::hl7::Outcome;
use protogen_core::llp::mllp::Decoder;
use protogen_journal::{Completion, Message, Producer, Refusal};
use protogen_sys::event_loop::{Drained, EventLoop, drain};

use super::answer::{Answers, Request};
use super::client::{Client, Slots};
use super::input::Input;
use super::sink::Sink;
use super::token::Owner;
use super::wire::Wire;
use crate::log;
use crate::rejects::Rejects;

/// How much is read from one peer before the others have a turn, in bytes.
const TURN: usize = 256 << 10;
/// How long a message waits whose sender would not hear that the journal is full, before it is tried again.
const AGAIN: Duration = Duration::from_secs(1);
/// How much the unfinished frames of all peers may take, in bytes; more only where one message may be longer than half of it.
const MAX_UNFINISHED: usize = 256 << 20;

/// A message that is being stored, in the order of the queue.
pub(super) struct InFlight {
    pub(super) client: u32,
    pub(super) slot: u64,
    pub(super) input: usize,
    pub(super) request: Request,
}

pub(super) struct Intake {
    pub(super) inputs: Vec<Input>,
    clients: HashMap<u32, Client>,
    most_peers: usize,
    next_id: u32,
    producer: Producer,
    /// Not yet taken by the journal.
    queue: VecDeque<(u64, Message)>,
    /// All that the journal or the queue has, oldest first.
    in_flight: VecDeque<InFlight>,
    next_tag: u64,
    /// Messages that could not be stored and whose senders would not hear it.
    again: VecDeque<(usize, Vec<u8>)>,
    again_at: Option<Instant>,
    results: Vec<Completion>,
    touched: Vec<u32>,
    /// How much the unfinished frames of all peers take, and may take.
    unfinished: usize,
    max_unfinished: usize,
    /// Not read, because the journal has enough.
    held: Vec<u32>,
    buffer: Vec<u8>,
    answers: Answers,
    rejects: Rejects,
    /// Outputs have too many messages waiting: nothing is read.
    pub(super) back_pressure: bool,
    /// Connections that we made and that are closed.
    lost: Vec<usize>,
    stopping: bool,
}

impl Intake {
    pub(super) fn new(inputs: Vec<Input>, producer: Producer, rejects: Rejects, most_peers: usize) -> Intake {
        let longest = inputs.iter().map(|input| input.socket.max_size).max().unwrap_or(0);
        Intake {
            unfinished: 0,
            max_unfinished: MAX_UNFINISHED.max(longest.saturating_mul(2)),
            inputs,
            clients: HashMap::new(),
            most_peers,
            next_id: 0,
            producer,
            queue: VecDeque::new(),
            in_flight: VecDeque::new(),
            next_tag: 0,
            again: VecDeque::new(),
            again_at: None,
            results: Vec::new(),
            touched: Vec::new(),
            held: Vec::new(),
            buffer: vec![0; 64 << 10],
            answers: Answers::new(SystemTime::now()),
            rejects,
            back_pressure: false,
            lost: Vec::new(),
            stopping: false,
        }
    }

    /// A peer has connected, or was connected to.
    pub(super) fn open(&mut self, input: usize, stream: TcpStream, peer: String, events: &EventLoop) -> bool {
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
        match Wire::new(stream, Owner::Client(id).token(), here.debug.slow, events) {
            Ok(wire) => {
                log::info!(&here.name, "{peer}: connected");
                here.open += 1;
                let decoder = Decoder::new(here.socket.mllp.clone());
                let slots = Slots::default();
                self.clients.insert(
                    id,
                    Client { input, peer, wire, decoder, slots, unfinished: 0, held: false, ended: false },
                );
                true
            }
            Err(error) => {
                log::error!(&here.name, "a connection failed: {error}");
                false
            }
        }
    }

    /// Whether nothing more is taken for now.
    fn is_full(&self) -> bool {
        !self.queue.is_empty() || !self.again.is_empty() || self.back_pressure || self.stopping
    }

    /// Reads what a peer sent.
    pub(super) fn read(&mut self, id: u32, events: &mut EventLoop, now: Instant) {
        let full = self.is_full();
        let Some(client) = self.clients.get_mut(&id) else { return };
        if full || !client.has_room() {
            client.held = true;
            if full {
                self.held.push(id);
            }
            return;
        }
        client.held = false;
        let Client { wire, decoder, slots, peer, .. } = client;
        let mut sink = Sink {
            id,
            peer,
            slots,
            index: client.input,
            input: &mut self.inputs[client.input],
            queue: &mut self.queue,
            in_flight: &mut self.in_flight,
            next_tag: &mut self.next_tag,
            answers: &mut self.answers,
            rejects: &self.rejects,
            time: SystemTime::now(),
        };
        let drained = drain(&mut wire.stream, &mut self.buffer, TURN, |mut bytes| {
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
            }
            Err(error) => {
                if let Some(item) = decoder.handle_eof() {
                    sink.take(item);
                }
                log::info!(&sink.input.name, "{peer}: {error}");
                return self.close(id, events);
            }
        }
        self.unfinished -= std::mem::replace(&mut client.unfinished, client.decoder.collected());
        self.unfinished += client.unfinished;
        self.settle(id, events, now);
        self.bound_unfinished(events);
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
        let Client { decoder, slots, peer, .. } = client;
        if let Some(item) = decoder.handle_timeout(now) {
            Sink {
                id,
                peer,
                slots,
                index: client.input,
                input: &mut self.inputs[client.input],
                queue: &mut self.queue,
                in_flight: &mut self.in_flight,
                next_tag: &mut self.next_tag,
                answers: &mut self.answers,
                rejects: &self.rejects,
                time: SystemTime::now(),
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
            log::info!(&self.inputs[client.input].name, "{}: {error}", client.peer);
            return self.close(id, events);
        }
        if client.is_over() {
            return self.close(id, events);
        }
        if client.held && client.has_room() && !self.held.contains(&id) {
            events.revisit(Owner::Client(id).token());
        }
        events.update_timer(Owner::Client(id).token(), client.poll_timeout());
    }

    fn close(&mut self, id: u32, events: &mut EventLoop) {
        if let Some(client) = self.clients.remove(&id) {
            self.unfinished -= client.unfinished;
            let input = &mut self.inputs[client.input];
            input.open -= 1;
            log::info!(&input.name, "{}: closed", client.peer);
            if !input.socket.server {
                self.lost.push(client.input);
            }
            client.wire.close(events);
        }
    }

    /// Hands what has come to the journal: all that was ready becomes one group.
    pub(super) fn submit(&mut self, events: &mut EventLoop, now: Instant) {
        if self.again_at.is_some_and(|due| due <= now) {
            self.again_at = None;
            for (input, bytes) in std::mem::take(&mut self.again) {
                let message = Message {
                    connection: Arc::clone(&self.inputs[input].name),
                    time: SystemTime::now(),
                    bytes: bytes.clone(),
                };
                self.queue.push_back((self.next_tag, message));
                self.next_tag += 1;
                // No client has this slot: there is nobody to answer.
                self.in_flight.push_back(InFlight {
                    client: u32::MAX,
                    slot: 0,
                    input,
                    request: Request::Silent(bytes),
                });
            }
        }
        if !self.queue.is_empty() {
            self.producer.append_all(&mut self.queue);
        }
        if !self.held.is_empty() && !self.is_full() {
            for id in std::mem::take(&mut self.held) {
                events.revisit(Owner::Client(id).token());
            }
        }
    }

    /// When [`submit`](Intake::submit) has something to do without an event.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.again_at
    }

    /// Takes the journal's results and answers the senders.
    pub(super) fn collect(&mut self, events: &mut EventLoop, now: Instant) {
        let mut results = std::mem::take(&mut self.results);
        self.producer.completions(&mut results);
        let time = SystemTime::now();
        for result in results.drain(..) {
            // Results come in the order of the queue.
            let Some(flight) = self.in_flight.pop_front() else { break };
            let InFlight { client, slot, input: index, request } = flight;
            let input = &mut self.inputs[index];
            let settings = &input.socket.mllp;
            let answer = match result {
                Completion::Stored { .. } => {
                    input.stored = true;
                    if input.debug.noack {
                        Vec::new()
                    } else {
                        self.answers.positive(&request, settings, time)
                    }
                }
                Completion::Refused { refusal, .. } if request.is_kept() && refusal != Refusal::TooLong => {
                    log::error!(
                        &input.name,
                        "not stored: {refusal}; it is tried again, nothing is read meanwhile"
                    );
                    self.again.extend(request.into_kept().map(|bytes| (index, bytes)));
                    self.again_at.get_or_insert(now + AGAIN);
                    Vec::new()
                }
                Completion::Refused { refusal, .. } => {
                    log::error!(&input.name, "not stored, the sender is to try later: {refusal}");
                    let text = format!("try later: {refusal}");
                    self.answers.negative(&request, Outcome::Rejected, &text, settings, time)
                }
                _ => Vec::new(),
            };
            if let Some(here) = self.clients.get_mut(&client) {
                let due = (!input.debug.delayack.is_zero()).then(|| now + input.debug.delayack);
                log::debug!(&input.name, "{}: answered {}", here.peer, answer.escape_ascii());
                here.slots.answer(slot, answer, due);
                self.touched.push(client);
            }
        }
        self.results = results;
        for input in &mut self.inputs {
            if std::mem::take(&mut input.stored) {
                input.bells.iter().for_each(|bell| bell.ring());
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

    /// The next incoming connection that is to be made again.
    pub(super) fn take_lost(&mut self) -> Option<usize> {
        self.lost.pop()
    }

    /// Reads no more; what is being stored is still answered.
    pub(super) fn stop(&mut self) {
        self.stopping = true;
    }

    /// Whether every message that was read is stored and its answer written.
    pub(super) fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.clients.values().all(Client::is_answered)
    }

    /// How many messages are stored one after the other right now.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.len()
    }
}
