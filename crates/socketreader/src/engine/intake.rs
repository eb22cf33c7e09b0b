//! The incoming sockets: messages in, to the journal, answers out.

use std::collections::{HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use mio::net::TcpStream;
use protogen_core::hl7::Outcome;
use protogen_core::llp::NoteKind;
use protogen_core::llp::mllp::{Decoder, Dropped, Item};
use protogen_journal::{Completion, Message, Producer, Refusal};
use protogen_sys::event_loop::{Drained, EventLoop, drain};

use super::answer::{Answers, Manner, Request, first_segment};
use super::client::{Client, Slots};
use super::token::Owner;
use super::wire::Wire;
use crate::bell::Bell;
use crate::config::{Connection, Debug, Socket};
use crate::log;
use crate::rejects::Rejects;

/// How much is read from one peer before the others have a turn, in bytes.
const TURN: usize = 256 << 10;
/// How long a message waits whose sender would not hear that the journal is full, before it is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// An incoming connection.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: Arc<str>,
    pub(super) socket: Socket,
    manner: Manner,
    debug: Debug,
    /// Rung when a message of it was stored.
    bells: Vec<Arc<Bell>>,
    pub(super) open: usize,
    framing_errors: u64,
    /// A message of it was stored in this turn.
    stored: bool,
}

/// A message that is being stored, in the order of the queue.
struct InFlight {
    client: u32,
    slot: u64,
    input: usize,
    request: Request,
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

impl Input {
    pub(super) fn new(connection: &Connection, socket: &Socket, bells: Vec<Arc<Bell>>) -> Input {
        let manner = match (socket.use_ack, connection.use_hl7) {
            (false, _) => Manner::Silent,
            (true, true) => Manner::Hl7,
            (true, false) => Manner::Mllp,
        };
        Input {
            name: connection.name.as_str().into(),
            socket: socket.clone(),
            manner,
            debug: connection.debug.clone(),
            bells,
            open: 0,
            framing_errors: 0,
            stored: false,
        }
    }
}

impl Intake {
    pub(super) fn new(inputs: Vec<Input>, producer: Producer, rejects: Rejects, most_peers: usize) -> Intake {
        Intake {
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
                self.clients
                    .insert(id, Client { input, peer, wire, decoder, slots, held: false, ended: false });
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
                log::info!(&sink.input.name, "{peer}: {error}");
                return self.close(id, events);
            }
        }
        self.settle(id, events, now);
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

/// Where the items of one peer go.
struct Sink<'a> {
    id: u32,
    peer: &'a str,
    slots: &'a mut Slots,
    index: usize,
    input: &'a mut Input,
    queue: &'a mut VecDeque<(u64, Message)>,
    in_flight: &'a mut VecDeque<InFlight>,
    next_tag: &'a mut u64,
    answers: &'a mut Answers,
    rejects: &'a Rejects,
    time: SystemTime,
}

impl Sink<'_> {
    fn take(&mut self, item: Item<'_>) {
        match item {
            Item::Frame(frame) => {
                if frame.missing_trailer {
                    self.framing_error(NoteKind::MissingTrailer, frame.offset, 0, b"");
                }
                if frame.byte_order_mark {
                    self.framing_error(NoteKind::ByteOrderMark, frame.offset, 0, b"");
                }
                self.message(frame.message, frame.offset);
            }
            Item::Commit(_, offset) => self.framing_error(NoteKind::StrayCommit, offset, 0, b""),
            Item::Dropped(dropped) => self.dropped(&dropped),
            _ => {}
        }
    }

    fn message(&mut self, message: &[u8], offset: u64) {
        let (peer, name) = (self.peer, &self.input.name);
        log::received_or_sent(name, peer, "received", message, self.input.debug.dump);
        let request = match Request::of(message, self.input.manner, &self.input.socket.mllp) {
            Ok(request) => request,
            Err(why) => return self.unreadable(message, offset, why),
        };
        if self.input.debug.nack {
            // It stays with its sender: what is rejected is not delivered.
            let (text, settings) = ("rejected, as debug says", &self.input.socket.mllp);
            let answer = self.answers.negative(&request, Outcome::Rejected, text, settings, self.time);
            self.slots.expect(Some(answer));
            return;
        }
        let slot = self.slots.expect(None);
        let stored = Message { connection: Arc::clone(name), time: self.time, bytes: message.to_vec() };
        self.queue.push_back((*self.next_tag, stored));
        *self.next_tag += 1;
        self.in_flight.push_back(InFlight { client: self.id, slot, input: self.index, request });
    }

    fn unreadable(&mut self, message: &[u8], offset: u64, why: &str) {
        let (peer, name) = (self.peer, &self.input.name);
        log::error!(name, "{peer}: the frame at byte {offset} {why}");
        log::prod!(name, "{peer}: not taken: {}", message.escape_ascii());
        self.rejects.keep(name, self.time, why, offset, message.len() as u64, message);
        if let Some(answer) = self.answers.unreadable(message, &self.input.socket.mllp, self.time) {
            self.slots.expect(Some(answer));
        }
    }

    fn dropped(&mut self, dropped: &Dropped<'_>) {
        let Dropped { kind, offset, count, bytes, .. } = *dropped;
        self.framing_error(kind, offset, count, bytes);
        let settings = &self.input.socket.mllp;
        let request = match (kind, self.input.manner) {
            (NoteKind::TooLong, Manner::Hl7) => {
                Request::Hl7 { header: first_segment(bytes).to_vec(), kept: None }
            }
            (NoteKind::TooLong | NoteKind::Utf16, Manner::Mllp) => Request::Mllp,
            _ => return,
        };
        let text = format!("longer than {} bytes, which maxsize allows", settings.max_message);
        // A message that is too long will be too long again: an error of content.
        let answer = self.answers.negative(&request, Outcome::Error, &text, settings, self.time);
        self.slots.expect(Some(answer));
    }

    /// Framing errors are counted, logged, and what was thrown away is kept.
    fn framing_error(&mut self, kind: NoteKind, offset: u64, count: u64, bytes: &[u8]) {
        self.input.framing_errors += 1;
        let name = &self.input.name;
        let dropped = if count > 0 { format!(", {count} bytes dropped") } else { String::new() };
        log::error!(
            name,
            "{}: framing error {}: {kind} at byte {offset}{dropped}",
            self.peer,
            self.input.framing_errors
        );
        if !bytes.is_empty() {
            self.rejects.keep(name, self.time, &kind.to_string(), offset, count, bytes);
        }
    }
}
