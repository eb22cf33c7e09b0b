//! The loop that receives.

use super::Plan;
use super::client::Client;
use crate::Status;
use crate::ack;
use crate::cat;
use crate::net::{Connection, End};
use crate::output::Output;
use mio::net::{TcpListener, TcpStream};
use protogen_core::hl7::{AckCode, Acknowledgment, CharacterSet, Message, reject_unreadable};
use protogen_core::llp::Event as LinkEvent;
use protogen_sys::event_loop::{Event, EventLoop, Interest, Signal, Token};
use protogen_sys::sd_notify::Notifier;
use protogen_sys::services::{self, Place};
use protogen_sys::spool::{Namer, Producer};
use std::borrow::Cow;
use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Instant;

/// Which messages are answered, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answering {
    /// As MSH-15 and MSH-16 ask.
    Asked,
    /// With this code.
    Always(AckCode),
    /// Not at all.
    Never,
}

/// Listeners have the first tokens; a client's socket an even one, its timer for answers the next.
const FIRST_CLIENT: usize = 1024;

pub(super) struct Server {
    plan: Plan,
    events: EventLoop,
    listeners: Vec<TcpListener>,
    clients: HashMap<usize, Client>,
    next_client: usize,
    spool: Option<Producer>,
    buffer: Vec<u8>,
    received: u64,
    /// The percentage of dropped messages, added up: at 100 the next one is dropped.
    drop_share: u32,
    printed: bool,
}

impl Server {
    pub(super) fn new(plan: Plan, place: &Place) -> anyhow::Result<Server> {
        let events = EventLoop::new(&[Signal::Interrupt, Signal::Terminate])?;
        let spool = match &plan.spool {
            Some(directory) => Some(Producer::open(directory, Namer::new("MSG"))?),
            None => None,
        };
        let mut listeners = Vec::new();
        for (i, listener) in services::listen(&place.to_listen()?)?.into_iter().enumerate() {
            let mut listener = TcpListener::from_std(listener);
            events.registry().register(&mut listener, Token(i), Interest::READABLE)?;
            listeners.push(listener);
        }
        Ok(Server {
            plan,
            events,
            listeners,
            clients: HashMap::new(),
            next_client: FIRST_CLIENT,
            spool,
            buffer: vec![0; 64 << 10],
            received: 0,
            drop_share: 0,
            printed: false,
        })
    }

    pub(super) fn run(mut self, output: &mut Output) -> anyhow::Result<Status> {
        let addresses: Vec<String> = self
            .listeners
            .iter()
            .filter_map(|listener| Some(listener.local_addr().ok()?.to_string()))
            .collect();
        let listening = format!("listening on {}, {}", addresses.join(" and "), self.plan.settings.protocol);
        // Also where it is to be quiet: with port 0 there is no other way to know.
        eprintln!("hl7: {listening}");
        let notifier = Notifier::from_environment();
        notifier.status(&listening)?;
        notifier.ready()?;
        while !self.is_done() {
            let event = self.events.wait()?;
            let now = Instant::now();
            match event {
                Event::Readable(Token(i)) if i < FIRST_CLIENT => self.accept(i, now)?,
                Event::Readable(Token(i)) => {
                    let Server { clients, events, buffer, .. } = &mut self;
                    let Some(client) = clients.get_mut(&i) else { continue };
                    if client.has_room() {
                        let read = client.connection.readable(events, buffer, now).map(drop);
                        self.advance(i, read, now, output)?;
                    }
                }
                Event::Writable(Token(i)) => self.advance(i, Ok(()), now, output)?,
                Event::Timer(Token(i)) if i % 2 == 1 => {
                    if let Some(client) = self.clients.get_mut(&(i - 1)) {
                        client.answer_due(&mut self.events, now);
                        self.events.revisit(Token(i - 1));
                    }
                    self.advance(i - 1, Ok(()), now, output)?;
                }
                Event::Timer(Token(i)) => {
                    if let Some(client) = self.clients.get_mut(&i) {
                        client.connection.link.handle_timeout(now);
                    }
                    self.advance(i, Ok(()), now, output)?;
                }
                Event::Signal(_) => break,
                _ => {}
            }
        }
        notifier.stopping()?;
        self.tell(format_args!("{} messages received", self.received));
        Ok(Status::Done)
    }

    /// The count is reached and every answer is out.
    fn is_done(&self) -> bool {
        self.plan.count.is_some_and(|count| self.received >= count)
            && self.clients.values().all(|client| client.connection.is_flushed() && !client.has_answers())
    }

    fn tell(&self, text: std::fmt::Arguments) {
        if !self.plan.quiet {
            eprintln!("hl7: {text}");
        }
    }

    fn accept(&mut self, listener: usize, now: Instant) -> anyhow::Result<()> {
        loop {
            let (stream, peer) = match self.listeners[listener].accept() {
                Ok(accepted) => accepted,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => {
                    // The client is gone again, or files ran out; the listener is as it was.
                    eprintln!("hl7: warning: a connection was not accepted: {error}");
                    return Ok(());
                }
            };
            if self.clients.len() >= self.plan.connections {
                eprintln!(
                    "hl7: warning: {peer}: refused, {} connections are open; see --connections",
                    self.clients.len()
                );
                continue;
            }
            self.take_in(stream, peer, now)?;
        }
    }

    fn take_in(&mut self, stream: TcpStream, peer: SocketAddr, now: Instant) -> anyhow::Result<()> {
        let token = self.next_client;
        self.next_client += 2;
        stream.set_nodelay(true)?;
        let link = self.plan.settings.link(End::Server, now);
        let mut connection = Connection::new(stream, link, Token(token), &self.events)?;
        connection.flush(&mut self.events)?;
        self.clients.insert(token, Client::new(connection, peer, Token(token + 1)));
        self.tell(format_args!("{peer}: connected"));
        Ok(())
    }

    /// Takes what the client's machine has to say, and writes; a client that is done, or failed, goes.
    fn advance(
        &mut self,
        i: usize,
        read: io::Result<()>,
        now: Instant,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        loop {
            let protocol = self.plan.settings.protocol;
            let Some(client) = self.clients.get_mut(&i) else { return Ok(()) };
            match client.connection.next() {
                Some(LinkEvent::Message { message, .. }) => self.take(i, &message, now, output)?,
                Some(LinkEvent::Note(note)) => eprintln!("hl7: warning: {}: {note}", client.peer),
                Some(LinkEvent::Failed(_, failure)) => {
                    eprintln!("hl7: {}: the answer was not delivered: {failure}", client.peer);
                }
                Some(_) => {}
                None if client.settle(protocol, now) => {}
                None => break,
            }
        }
        let Server { clients, events, .. } = self;
        let Some(client) = clients.get_mut(&i) else { return Ok(()) };
        let written = client.flush(events);
        let failed = read.and(written).err();
        if let Some(error) = &failed {
            eprintln!("hl7: {}: {error}", client.peer);
        }
        if (failed.is_some() || client.is_over())
            && let Some(client) = clients.remove(&i)
        {
            let peer = client.peer;
            client.connection.close(events);
            self.tell(format_args!("{peer}: disconnected"));
        }
        Ok(())
    }

    /// Stores or prints a message, then answers it.
    fn take(&mut self, i: usize, bytes: &[u8], now: Instant, output: &mut Output) -> anyhow::Result<()> {
        self.received += 1;
        self.drop_share += self.plan.drop;
        if self.drop_share >= 100 {
            self.drop_share -= 100;
            let Some(client) = self.clients.get_mut(&i) else { return Ok(()) };
            client.dropped = true;
            let peer = client.peer;
            self.tell(format_args!("{peer}: message dropped, connection closed"));
            return Ok(());
        }
        let stored = self.store(bytes, output);
        let Some(client) = self.clients.get_mut(&i) else { return Ok(()) };
        match &stored {
            Ok(()) => client.connection.link.accept(now),
            Err(error) => {
                client.connection.link.refuse(now);
                eprintln!("hl7: {}: the message was not stored: {error:#}", client.peer);
            }
        }
        let (answer, said) = self.plan.answer(bytes, stored.is_ok(), self.received);
        let line = about(bytes, &said);
        let peer = client.peer;
        match answer {
            Some(answer) => {
                client.answer_later(self.plan.delay.map_or(now, |delay| now + delay), answer);
                client.answer_due(&mut self.events, now);
            }
            // In ILLP a connection without an answer would wait for ever.
            None if self.plan.settings.protocol == crate::net::Protocol::Illp => client.dropped = true,
            None => {}
        }
        self.tell(format_args!("{peer}: {line}"));
        Ok(())
    }

    fn store(&mut self, bytes: &[u8], output: &mut Output) -> anyhow::Result<()> {
        if let Some(spool) = &mut self.spool {
            spool.put(bytes)?;
        } else if !self.plan.quiet {
            if std::mem::replace(&mut self.printed, true) {
                output.write_all(b"\n")?;
            }
            cat::print_message(bytes, output)?;
            output.flush()?;
        }
        Ok(())
    }
}

impl Plan {
    /// The answer to a message, and what to say of it.
    fn answer(&self, bytes: &[u8], taken: bool, number: u64) -> (Option<Vec<u8>>, String) {
        let time = ack::now();
        let id = format!("{}{number}", time.get(..14).unwrap_or(&time));
        let text = if taken { self.text.as_str() } else { "not stored, try later" };
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => {
                let text = error.to_string();
                let answer = reject_unreadable(bytes, time.as_bytes(), id.as_bytes(), text.as_bytes());
                let said = if answer.is_some() { "AR" } else { "no answer" };
                return (answer, format!("{said}: {text}"));
            }
        };
        let Some(code) = self.answering.code(&message, taken) else { return (None, "no answer".into()) };
        let set = CharacterSet::of(&message).unwrap_or(CharacterSet::Ascii);
        let text = set.encode(text).map(Cow::into_owned).unwrap_or_default();
        let answer = Acknowledgment {
            time: time.as_bytes(),
            control_id: id.as_bytes(),
            text: &text,
            ..Acknowledgment::new(code)
        };
        (Some(answer.answer(&message)), code.to_string())
    }
}

/// A message named by type, control id and size, as logs name it: nothing of the patient.
fn about(bytes: &[u8], said: &str) -> String {
    let length = bytes.len();
    match Message::parse(bytes) {
        Ok(message) => {
            let id = message.control_id().escape_ascii();
            let kind = message.header(9).raw().escape_ascii();
            format!("{kind} \"{id}\", {length} bytes: {said}")
        }
        Err(_) => format!("{length} bytes that are no message: {said}"),
    }
}
