//! Two machines, a line between them that does one thing wrong, and a clock of its own.
//!
//! Each dialogue is run once without a fault, to count its bytes, and then once for every byte of it in both
//! directions and every kind of fault. Afterwards every message must be accounted for.

mod line;
mod protocols;

use std::time::{Duration, Instant};

use line::Line;
pub(super) use line::{Fault, Wrong};

use super::{Event, Failure, Kind, Link, SendId};

/// No dialogue lasts longer than this, whatever goes wrong.
const LONGEST: Duration = Duration::from_secs(3600);
/// No dialogue takes more steps than this.
const MOST_STEPS: usize = 20_000;

/// What is said, and by whom; both ends begin at the same time.
pub(super) struct Dialogue {
    pub(super) requests: [Vec<Vec<u8>>; 2],
    /// Whether each request is answered with a message.
    pub(super) replies: bool,
    /// The protocol can tell a repetition, so that no message may come twice.
    pub(super) exact: bool,
    /// The protocol has a check, so that the program never sees a damaged message.
    pub(super) checked: bool,
    pub(super) make: fn(usize, Instant) -> Box<dyn Link>,
}

/// One end of the line and the program behind it.
struct End {
    link: Box<dyn Link>,
    sent: Vec<(SendId, Kind, Vec<u8>, Option<Outcome>)>,
    received: Vec<Vec<u8>>,
    /// Requests that the machine had no room for yet.
    waiting: Vec<(Vec<u8>, Kind)>,
    closed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Delivered,
    Sent,
    Failed(Failure),
}

/// How a run ended.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Tally {
    pub(super) runs: usize,
    pub(super) delivered: usize,
    pub(super) sent: usize,
    pub(super) failed: usize,
    pub(super) twice: usize,
}

pub(super) fn request(from: usize, number: usize) -> Vec<u8> {
    format!("MSH|^~\\&|E{from}||||||NMD|R{from}{number}|P|2.1\rNCK|1990031413{number:02}\r").into_bytes()
}

fn reply_to(request: &[u8]) -> Vec<u8> {
    let id = request.split(|b| *b == b'|').nth(9).unwrap_or_default();
    let id = String::from_utf8_lossy(id);
    format!("MSH|^~\\&|||||||ACK|A{id}|P|2.1\rMSA|AA|{id}\r").into_bytes()
}

fn is_reply(message: &[u8]) -> bool {
    message.windows(4).any(|w| w == b"MSA|")
}

impl Dialogue {
    /// Runs without a fault; returns how many bytes went each way.
    pub(super) fn run_clean(&self) -> [usize; 2] {
        let (counts, tally) = self.run(&[]);
        assert_eq!((tally.failed, tally.twice), (0, 0), "without a fault nothing fails");
        counts
    }

    /// Runs with these faults, and checks what came of it.
    pub(super) fn run(&self, faults: &[Fault]) -> ([usize; 2], Tally) {
        let base = Instant::now();
        let mut now = base;
        let mut line = Line::new(faults);
        let mut ends = [self.end(0, now), self.end(1, now)];
        let mut steps = 0;
        loop {
            steps += 1;
            assert!(steps < MOST_STEPS && now < base + LONGEST, "{faults:?}: no end");
            let mut moved = false;
            for (side, end) in ends.iter_mut().enumerate() {
                moved |= self.settle(end, side, &mut line, now);
            }
            if line.cut_now() {
                ends.iter_mut().for_each(|e| e.link.handle_eof(now));
                continue;
            }
            for (side, end) in ends.iter_mut().enumerate() {
                let arrived = line.arrived(1 - side, now);
                if !arrived.is_empty() && !end.closed {
                    end.link.handle_input(&arrived, now);
                    moved = true;
                }
            }
            if moved {
                continue;
            }
            let timers = ends.iter().filter_map(|e| e.link.poll_timeout());
            let Some(next) = timers.chain(line.next_arrival()).min() else { break };
            now = now.max(next);
            ends.iter_mut().for_each(|e| e.link.handle_timeout(now));
        }
        let tally = self.check(&ends, faults);
        (line.counts(), tally)
    }

    fn end(&self, side: usize, now: Instant) -> End {
        let waiting = self.requests[side].iter().map(|m| (m.clone(), Kind::Request)).collect();
        End { link: (self.make)(side, now), sent: Vec::new(), received: Vec::new(), waiting, closed: false }
    }

    /// Does all that one end has to do at this moment; says whether there was anything.
    fn settle(&self, end: &mut End, side: usize, line: &mut Line, now: Instant) -> bool {
        let mut moved = false;
        for (message, kind) in std::mem::take(&mut end.waiting) {
            match end.link.send(&message, kind, now) {
                Ok(id) => end.sent.push((id, kind, message, None)),
                Err(super::SendError::Full) => end.waiting.push((message, kind)),
                Err(_) => {}
            }
        }
        while let Some(event) = end.link.poll_event() {
            moved = true;
            match event {
                Event::Message { message, .. } => self.receive(end, side, message, now),
                Event::Delivered(id) => settle_one(end, id, Outcome::Delivered),
                Event::Sent(id) => settle_one(end, id, Outcome::Sent),
                Event::Failed(id, why) => settle_one(end, id, Outcome::Failed(why)),
                Event::Closed => end.closed = true,
                Event::FinishOutput | Event::Note(_) => {}
            }
        }
        let mut bytes = Vec::new();
        if end.link.poll_transmit(&mut bytes) {
            line.put(side, &bytes, now);
            moved = true;
        }
        moved
    }

    /// The program behind the machine stores what is whole, refuses what is not, and answers requests.
    fn receive(&self, end: &mut End, side: usize, message: Vec<u8>, now: Instant) {
        let peers = &self.requests[1 - side];
        let ours = &self.requests[side];
        let known = peers.contains(&message) || (self.replies && ours.iter().any(|r| reply_to(r) == message));
        assert!(known || !self.checked, "side {side} got what was never sent: {}", message.escape_ascii());
        if !known {
            return end.link.refuse(now);
        }
        end.link.accept(now);
        if self.replies && !is_reply(&message) {
            end.waiting.push((reply_to(&message), Kind::Reply));
        }
        end.received.push(message);
    }

    fn check(&self, ends: &[End; 2], faults: &[Fault]) -> Tally {
        let mut tally = Tally { runs: 1, ..Tally::default() };
        for (side, end) in ends.iter().enumerate() {
            assert!(end.closed || end.waiting.is_empty(), "{faults:?}: side {side} could not send");
            let received = &ends[1 - side].received;
            for (id, kind, message, outcome) in &end.sent {
                let outcome =
                    outcome.unwrap_or_else(|| panic!("{faults:?}: side {side}: nothing said of {id}"));
                let times = received.iter().filter(|m| *m == message).count();
                let copies = end.sent.iter().filter(|(_, _, m, _)| m == message).count();
                let what =
                    || format!("{faults:?}: side {side} {kind:?} {id}: {outcome:?}, came {times} times");
                match outcome {
                    Outcome::Delivered => {
                        tally.delivered += 1;
                        assert!(times >= 1, "lost: {}", what());
                    }
                    Outcome::Sent => tally.sent += 1,
                    Outcome::Failed(_) => tally.failed += 1,
                }
                tally.twice += usize::from(times > copies);
                assert!(!self.exact || times <= copies, "twice: {}", what());
            }
            in_order(&self.requests[side], received, faults);
        }
        tally
    }
}

fn settle_one(end: &mut End, id: SendId, outcome: Outcome) {
    let entry = end.sent.iter_mut().find(|(sent, ..)| *sent == id).expect("an id that was given out");
    assert_eq!(entry.3.replace(outcome), None, "only one thing is said of {id}");
}

/// First arrivals must be in the order sent.
fn in_order(requests: &[Vec<u8>], received: &[Vec<u8>], faults: &[Fault]) {
    let firsts: Vec<_> = requests.iter().filter_map(|r| received.iter().position(|m| m == r)).collect();
    assert!(firsts.is_sorted(), "{faults:?}: out of order");
}
