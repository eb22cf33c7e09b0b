//! A lower layer protocol machine with standard input and output for the line, to try it against another program.
//!
//! `llp_pipe x328|hllp|mllp|mllp2 [FILE...]` sends the files' contents, takes what comes until the line is closed, and
//! reports on standard error. Messages are answered with a plain acknowledgment.
#![allow(dead_code)]

use std::io::{Read, Write};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use protogen_core::llp::{Event, Kind, Link, Note, SendId, hllp, mllp, mllp2, x328};

/// What came of it.
#[derive(Debug, Default)]
pub struct Done {
    /// Messages received, in order.
    pub received: Vec<Vec<u8>>,
    /// Messages the peer confirmed, or that were sent where the protocol has no confirmation.
    pub delivered: Vec<SendId>,
    /// Messages that were not delivered.
    pub failed: Vec<SendId>,
    /// What was noted.
    pub notes: Vec<Note>,
    /// The time was over before the line was closed.
    pub late: bool,
}

/// Sends the requests and answers what comes, until the line is closed.
pub fn run(
    link: &mut dyn Link,
    mut input: impl Read + Send + 'static,
    output: &mut impl Write,
    requests: &[Vec<u8>],
    replies: bool,
    limit: Duration,
) -> Done {
    let (give, take) = channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = input.read(&mut buffer) {
            if give.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    let end = Instant::now() + limit;
    let mut done = Done::default();
    for request in requests {
        if let Err(why) = link.send(request, Kind::Request, Instant::now()) {
            eprintln!("llp_pipe: {why}");
        }
    }
    loop {
        let closed = settle(link, output, replies, &mut done);
        let now = Instant::now();
        if closed || now >= end {
            done.late = !closed;
            return done;
        }
        let next = link.poll_timeout().map_or(end, |due| due.min(end));
        match take.recv_timeout(next.saturating_duration_since(now)) {
            Ok(bytes) => link.handle_input(&bytes, Instant::now()),
            Err(RecvTimeoutError::Timeout) => link.handle_timeout(Instant::now()),
            Err(RecvTimeoutError::Disconnected) => link.handle_eof(Instant::now()),
        }
    }
}

/// Takes all events and bytes; says whether the line was closed.
fn settle(link: &mut dyn Link, output: &mut impl Write, replies: bool, done: &mut Done) -> bool {
    let mut closed = false;
    while let Some(event) = link.poll_event() {
        let now = Instant::now();
        match event {
            Event::Message { message, .. } => {
                link.accept(now);
                if replies && !message.windows(4).any(|w| w == b"\rMSA") {
                    let _ = link.send(&reply_to(&message), Kind::Reply, now);
                }
                done.received.push(message);
            }
            Event::Delivered(id) | Event::Sent(id) => done.delivered.push(id),
            Event::Failed(id, why) => {
                eprintln!("llp_pipe: message {id}: {why}");
                done.failed.push(id);
            }
            Event::Note(note) => done.notes.push(note),
            Event::Closed => closed = true,
            _ => {}
        }
    }
    let mut bytes = Vec::new();
    if link.poll_transmit(&mut bytes) {
        // A peer that is gone will be seen at the end of the input.
        let _ = output.write_all(&bytes).and_then(|()| output.flush());
    }
    closed
}

fn reply_to(request: &[u8]) -> Vec<u8> {
    let id = request.split(|b| *b == b'|').nth(9).unwrap_or_default();
    let id = String::from_utf8_lossy(id);
    format!("MSH|^~\\&|PIPE||||||ACK|R{id}|P|2.1\rMSA|AA|{id}\r").into_bytes()
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let protocol = arguments.next().unwrap_or_default();
    let requests: Vec<_> = arguments.filter_map(|file| std::fs::read(file).ok()).collect();
    let mut link: Box<dyn Link> = match protocol.as_str() {
        "x328" => Box::new(x328::Station::new(x328::Settings::default(), Instant::now())),
        "hllp" => Box::new(hllp::Station::new(hllp::Settings::default())),
        "mllp2" => Box::new(mllp2::Station::new(mllp2::Settings::default())),
        _ => Box::new(mllp::Station::new(mllp::Settings::default())),
    };
    let hour = Duration::from_secs(3600);
    let done = run(link.as_mut(), std::io::stdin(), &mut std::io::stdout(), &requests, true, hour);
    let Done { received, delivered, failed, .. } = done;
    eprintln!(
        "llp_pipe: {} received, {} delivered, {} failed",
        received.len(),
        delivered.len(),
        failed.len()
    );
}
