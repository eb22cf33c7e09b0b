//! The loop that sends: each lane is one connection at a time, with the messages it has under way.

use super::messages::Messages;
use super::report::Report;
use crate::Status;
use crate::cat;
use crate::net::{Connection, End, Settings};
use crate::output::{self, Output};
use anyhow::{Context, anyhow};
use mio::net::TcpStream;
use protogen_core::hl7::{AckCode, Message};
use protogen_core::llp::{Event as LinkEvent, Kind, SendError, SendId};
use protogen_sys::event_loop::{Event, EventLoop, Signal, Token};
use protogen_sys::services;
use std::collections::VecDeque;
use std::io::{IsTerminal, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// What is to be done.
pub(crate) struct Plan {
    pub(crate) settings: Settings,
    pub(crate) addresses: Vec<SocketAddr>,
    pub(crate) lanes: usize,
    pub(crate) pipeline: usize,
    pub(crate) rate: Option<f64>,
    pub(crate) wait_for_answers: bool,
    /// Print a report instead of the answers.
    pub(crate) load: bool,
    pub(crate) json: bool,
    /// Print answers as they came, framed.
    pub(crate) raw: bool,
    /// A connection has one message.
    pub(crate) transient: bool,
}

/// A message that waits for its answer.
struct UnderWay {
    id: SendId,
    control_id: Vec<u8>,
    sent: Instant,
}

#[derive(Default)]
struct Lane {
    connection: Option<Connection>,
    under_way: VecDeque<UnderWay>,
    /// Its answer timer is set.
    watched: bool,
}

/// A lane's socket has an even token, the timer of its oldest message the next; pacing and progress have their own.
fn socket(lane: usize) -> Token {
    Token(lane * 2)
}

fn answer_timer(lane: usize) -> Token {
    Token(lane * 2 + 1)
}

const PACE: Token = Token(1 << 32);
const PROGRESS: Token = Token((1 << 32) + 1);
/// How long an answer is looked for before sleeping: about what an exchange on one machine takes.
const LOOK_AGAIN: Duration = Duration::from_micros(50);

pub(crate) struct Driver {
    plan: Plan,
    messages: Messages,
    events: EventLoop,
    lanes: Vec<Lane>,
    report: Report,
    buffer: Vec<u8>,
    message: Vec<u8>,
    /// Messages under way on all lanes.
    waiting: usize,
    status: Status,
    printed: bool,
}

impl Driver {
    pub(crate) fn new(plan: Plan, messages: Messages) -> anyhow::Result<Driver> {
        let events = EventLoop::new(&[Signal::Interrupt, Signal::Terminate])?;
        let lanes = (0..plan.lanes).map(|_| Lane::default()).collect();
        Ok(Driver {
            plan,
            messages,
            events,
            lanes,
            report: Report::new(Instant::now()),
            buffer: vec![0; 64 << 10],
            message: Vec::new(),
            waiting: 0,
            status: Status::Done,
            printed: false,
        })
    }

    /// Sends all messages and waits for all answers.
    pub(crate) fn run(mut self, output: &mut Output) -> anyhow::Result<Status> {
        if self.plan.load && std::io::stderr().is_terminal() {
            self.events.set_timer(PROGRESS, Instant::now() + Duration::from_secs(1));
        }
        let result = self.exchange(output);
        if self.plan.load {
            self.report.print(self.plan.json, Instant::now(), output)?;
        }
        match result {
            Ok(()) => Ok(self.status),
            Err(error) => {
                eprintln!("hl7: {}", output::cause(&error));
                // A message that the protocol cannot carry will not be carried later either.
                let never = error.downcast_ref::<SendError>().is_some();
                Ok(if never { Status::Trouble } else { Status::TryLater })
            }
        }
    }

    fn exchange(&mut self, output: &mut Output) -> anyhow::Result<()> {
        for lane in 0..self.lanes.len() {
            self.fill(lane, output)?;
        }
        while !self.is_done() {
            if self.look_again(output)? {
                continue;
            }
            let event = self.events.wait()?;
            let now = Instant::now();
            match event {
                Event::Readable(token) => {
                    self.read(token.0 / 2, now, output)?;
                }
                Event::Writable(token) => self.advance(token.0 / 2, now, output)?,
                Event::Timer(PACE) => {
                    for lane in 0..self.lanes.len() {
                        self.fill(lane, output)?;
                    }
                }
                Event::Timer(PROGRESS) => {
                    let (answers, total) = (self.report.answers(), self.messages.total());
                    eprint!("\rhl7: {answers} of {total} answered");
                    self.events.set_timer(PROGRESS, now + Duration::from_secs(1));
                }
                Event::Timer(token) if token.0 % 2 == 1 => self.watch(token.0 / 2, now)?,
                Event::Timer(token) => {
                    if let Some(connection) = &mut self.lanes[token.0 / 2].connection {
                        connection.link.handle_timeout(now);
                    }
                    self.advance(token.0 / 2, now, output)?;
                }
                Event::Signal(_) => anyhow::bail!("interrupted, {} messages without answer", self.missing()),
                _ => {}
            }
        }
        Ok(())
    }

    /// Reads what a lane's receiver sent; true if there was something.
    fn read(&mut self, lane: usize, now: Instant, output: &mut Output) -> anyhow::Result<bool> {
        let Driver { lanes, events, buffer, .. } = self;
        let Some(connection) = &mut lanes[lane].connection else { return Ok(false) };
        // What came before a reset is still there to be taken.
        let read = connection.readable(events, buffer, now);
        if let Ok(false) = read {
            return Ok(false);
        }
        self.advance(lane, now, output)?;
        read.or_else(|error| self.lost(lane, &error.into()).map(|()| true))
    }

    /// A load on one connection measures the receiver: its answer is looked for a while before the loop goes to sleep,
    /// for being woken costs as much as the exchange itself. It yields the processor, which the receiver may need.
    fn look_again(&mut self, output: &mut Output) -> anyhow::Result<bool> {
        let one = self.plan.load && self.lanes.len() == 1 && !self.lanes[0].under_way.is_empty();
        // Signals and timers have their turn too.
        if !one || self.report.sent.is_multiple_of(64) {
            return Ok(false);
        }
        let begun = Instant::now();
        while begun.elapsed() < LOOK_AGAIN {
            if self.read(0, Instant::now(), output)? {
                return Ok(true);
            }
            std::thread::yield_now();
        }
        Ok(false)
    }

    fn is_done(&self) -> bool {
        self.messages.is_over() && self.missing() == 0
    }

    fn missing(&self) -> usize {
        self.waiting
    }

    /// Takes what the lane's machine has to say, then sends what there is room for.
    fn advance(&mut self, lane: usize, now: Instant, output: &mut Output) -> anyhow::Result<()> {
        while let Some(connection) = &mut self.lanes[lane].connection {
            match connection.next() {
                Some(event) => self.take(lane, event, now, output)?,
                None if connection.settle(now) => {}
                None => break,
            }
        }
        if let Some(connection) = &mut self.lanes[lane].connection
            && (connection.has_ended() || connection.is_over())
        {
            self.hang_up(lane);
            if !self.lanes[lane].under_way.is_empty() {
                self.lost(lane, &anyhow!("the receiver closed the connection without an answer"))?;
            }
        }
        self.fill(lane, output)
    }

    fn take(
        &mut self,
        lane: usize,
        event: LinkEvent,
        now: Instant,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        match event {
            LinkEvent::Message { message, answers } => {
                if let Some(connection) = &mut self.lanes[lane].connection {
                    connection.link.accept(now);
                }
                self.answer(lane, &message, answers, now, output)
            }
            LinkEvent::Sent(id) | LinkEvent::Delivered(id) if !self.plan.wait_for_answers => {
                if let Some(at) = self.lanes[lane].under_way.iter().position(|one| one.id == id) {
                    self.settle(lane, at, None, now);
                }
                Ok(())
            }
            LinkEvent::Failed(id, failure) => match self.lanes[lane].under_way.iter().any(|one| one.id == id)
            {
                true => self.lost(lane, &anyhow!("{failure}")),
                false => Ok(()),
            },
            LinkEvent::Note(note) => {
                eprintln!("hl7: warning: {}: {note}", self.plan.addresses[0]);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// An answer belongs to the message whose control id it names; one that names none, to the oldest.
    fn answer(
        &mut self,
        lane: usize,
        bytes: &[u8],
        answers: Option<SendId>,
        now: Instant,
        output: &mut Output,
    ) -> anyhow::Result<()> {
        let answer = Message::parse(bytes).ok();
        let reference = answer.as_ref().map(|answer| answer.field(*b"MSA", 2).raw()).unwrap_or_default();
        let code = answer.as_ref().and_then(AckCode::of);
        let under_way = &self.lanes[lane].under_way;
        let at = match reference {
            b"" => under_way.iter().position(|one| answers.is_none_or(|id| id == one.id)),
            id => under_way.iter().position(|one| one.control_id == id),
        };
        if !self.plan.load {
            self.print(bytes, output)?;
        }
        if code.is_none_or(|code| !code.is_positive()) {
            self.status = self.status.max(Status::Negative);
        }
        match at {
            Some(at) => self.settle(lane, at, code, now),
            None => {
                self.report.mismatches += 1;
                self.status = self.status.max(Status::Negative);
                let expected = self.lanes[lane].under_way.front().map_or_else(String::new, |one| {
                    format!(", expected \"{}\"", one.control_id.escape_ascii())
                });
                eprintln!("hl7: an answer names \"{}\"{expected}", reference.escape_ascii());
            }
        }
        Ok(())
    }

    fn settle(&mut self, lane: usize, at: usize, code: Option<AckCode>, now: Instant) {
        if let Some(one) = self.lanes[lane].under_way.remove(at) {
            self.waiting -= 1;
            self.report.answered(code, now.duration_since(one.sent));
        }
    }

    /// The timer of a lane is not moved with every message: when it is due, the oldest message may be a younger one.
    fn watch(&mut self, lane: usize, now: Instant) -> anyhow::Result<()> {
        self.lanes[lane].watched = false;
        let timeout = self.plan.settings.timeout;
        match self.lanes[lane].under_way.front().map(|one| one.sent + timeout) {
            None => Ok(()),
            Some(due) if due > now => {
                self.lanes[lane].watched = true;
                self.events.set_timer(answer_timer(lane), due);
                Ok(())
            }
            Some(_) => self.lost(lane, &anyhow!("no answer within {} s", timeout.as_secs_f64())),
        }
    }

    fn print(&mut self, bytes: &[u8], output: &mut Output) -> anyhow::Result<()> {
        if self.plan.raw {
            output.message(b"\x0B", bytes, b"\x1C\r")?;
        } else {
            if std::mem::replace(&mut self.printed, true) {
                output.write_all(b"\n")?;
            }
            cat::print_message(bytes, output)?;
        }
        Ok(output.flush()?)
    }

    /// Sends as many messages as may be under way, and no more than the rate allows.
    fn fill(&mut self, lane: usize, output: &mut Output) -> anyhow::Result<()> {
        let free = self.lanes[lane].under_way.is_empty();
        if self.plan.transient
            && free
            && self.lanes[lane].connection.as_ref().is_some_and(Connection::is_flushed)
        {
            self.hang_up(lane);
        }
        while self.lanes[lane].under_way.len() < self.plan.pipeline && !self.messages.is_over() {
            let now = Instant::now();
            if let Some(due) = self.next_due().filter(|&due| due > now) {
                self.events.set_timer(PACE, due);
                break;
            }
            if self.lanes[lane].connection.is_none() {
                self.connect(lane, now)?;
            }
            let Driver { lanes, messages, report, message, events, plan, .. } = self;
            let Some(connection) = &mut lanes[lane].connection else { break };
            let Some(control_id) = messages.next(message) else { break };
            let id = connection
                .link
                .send(message, Kind::Request, now)
                .with_context(|| format!("message \"{}\"", control_id.escape_ascii()))?;
            report.sent(message.len());
            if !std::mem::replace(&mut lanes[lane].watched, true) {
                events.set_timer(answer_timer(lane), now + plan.settings.timeout);
            }
            lanes[lane].under_way.push_back(UnderWay { id, control_id, sent: now });
            self.waiting += 1;
            if !self.plan.wait_for_answers && !self.written(lane, output)? {
                break;
            }
        }
        self.flush(lane)
    }

    /// Writes, and takes what the machine says about it; false if the line has no room for more.
    fn written(&mut self, lane: usize, output: &mut Output) -> anyhow::Result<bool> {
        self.flush(lane)?;
        while let Some(event) = self.lanes[lane].connection.as_mut().and_then(Connection::next) {
            self.take(lane, event, Instant::now(), output)?;
        }
        Ok(self.lanes[lane].connection.as_ref().is_some_and(Connection::is_flushed))
    }

    fn flush(&mut self, lane: usize) -> anyhow::Result<()> {
        let Driver { lanes, events, .. } = self;
        match &mut lanes[lane].connection {
            Some(connection) => connection.flush(events).or_else(|error| self.lost(lane, &error.into())),
            None => Ok(()),
        }
    }

    fn next_due(&self) -> Option<Instant> {
        self.plan
            .rate
            .map(|rate| self.report.begun() + Duration::from_secs_f64(self.report.sent as f64 / rate))
    }

    fn connect(&mut self, lane: usize, now: Instant) -> anyhow::Result<()> {
        let stream = services::connect(&self.plan.addresses, self.plan.settings.timeout)?;
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let link = self.plan.settings.link(End::Client, now);
        self.lanes[lane].connection =
            Some(Connection::new(TcpStream::from_std(stream), link, socket(lane), &self.events)?);
        Ok(())
    }

    fn hang_up(&mut self, lane: usize) {
        if let Some(connection) = self.lanes[lane].connection.take() {
            connection.close(&mut self.events);
        }
    }

    /// The messages under way will have no answer. Nothing is sent again: whether that is right, the user knows.
    fn lost(&mut self, lane: usize, cause: &anyhow::Error) -> anyhow::Result<()> {
        self.hang_up(lane);
        let lost = std::mem::take(&mut self.lanes[lane].under_way);
        self.waiting -= lost.len();
        let Some(first) = lost.front() else { return Ok(()) };
        self.report.failed += lost.len() as u64;
        let id = first.control_id.escape_ascii();
        let others = match lost.len() {
            1 => String::new(),
            n => format!(" and {} behind it", n - 1),
        };
        anyhow::bail!("{}: message \"{id}\"{others}: {}", self.plan.addresses[0], output::cause(cause))
    }
}
