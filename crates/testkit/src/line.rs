//! A serial line between two pseudo terminals, with a pace and faults of its own in each direction.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::pty::Pty;
use crate::random::Random;

/// What happens to a byte on the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is lost.
    Drop,
    /// These bits of it are flipped.
    Flip(u8),
    /// It arrives twice.
    Repeat,
    /// It, and what follows, arrives this much later.
    Delay(Duration),
}

/// Which bytes of one direction meet which fault; bytes are counted from 0.
#[derive(Debug, Clone)]
pub struct Plan {
    fixed: BTreeMap<u64, Fault>,
    chance: Option<(Random, u64, u64)>,
    position: u64,
}

impl Plan {
    /// No faults.
    #[must_use]
    pub fn none() -> Plan {
        Plan::at([])
    }

    /// These faults at these bytes.
    #[must_use]
    pub fn at(faults: impl IntoIterator<Item = (u64, Fault)>) -> Plan {
        Plan { fixed: faults.into_iter().collect(), chance: None, position: 0 }
    }

    /// About one byte of `one_in` meets a fault, and at most `most` bytes do; the seed says which.
    #[must_use]
    pub fn seeded(seed: u64, one_in: u64, most: u64) -> Plan {
        Plan { chance: Some((Random::seeded(seed), one_in.max(1), most)), ..Plan::none() }
    }

    /// The fault of the next byte.
    pub fn next_fault(&mut self) -> Option<Fault> {
        let position = self.position;
        self.position += 1;
        if let Some(fault) = self.fixed.get(&position) {
            return Some(*fault);
        }
        let (random, one_in, left) = self.chance.as_mut()?;
        if *left == 0 || random.below(*one_in) != 0 {
            return None;
        }
        *left -= 1;
        Some(match random.below(4) {
            0 => Fault::Drop,
            1 => Fault::Flip(1 << random.below(8)),
            2 => Fault::Repeat,
            _ => Fault::Delay(Duration::from_millis(random.below(20))),
        })
    }
}

/// One direction of a line.
#[derive(Debug, Clone)]
pub struct Direction {
    /// Bytes a second; `None` for as fast as it goes. 9,600 baud with a start and a stop bit are 960.
    pub pace: Option<u32>,
    /// What goes wrong.
    pub plan: Plan,
}

impl Direction {
    /// Fast and faultless.
    #[must_use]
    pub fn perfect() -> Direction {
        Direction { pace: None, plan: Plan::none() }
    }

    /// At this many bytes a second.
    #[must_use]
    pub fn paced(bytes_per_second: u32) -> Direction {
        Direction { pace: Some(bytes_per_second), plan: Plan::none() }
    }

    /// With these faults.
    #[must_use]
    pub fn with(self, plan: Plan) -> Direction {
        Direction { plan, ..self }
    }
}

/// A line with a device at each end. It is cut when dropped.
#[derive(Debug)]
pub struct Line {
    left: Pty,
    right: Pty,
    passed: [Arc<Mutex<Vec<u8>>>; 2],
    stop: Option<PipeWriter>,
    relays: Vec<JoinHandle<()>>,
}

impl Line {
    /// Makes a line; the first direction is from left to right.
    ///
    /// # Errors
    /// What the system says.
    pub fn new(to_right: Direction, to_left: Direction) -> io::Result<Line> {
        let (left, right) = (Pty::raw()?, Pty::raw()?);
        // Both relays watch the reading end; dropping the writer stops them.
        let (stopped, stop) = pipe()?;
        let passed = [Arc::default(), Arc::default()];
        let relays = vec![
            relay(left.master(), right.master(), stopped.try_clone()?, to_right, Arc::clone(&passed[0]))?,
            relay(right.master(), left.master(), stopped, to_left, Arc::clone(&passed[1]))?,
        ];
        Ok(Line { left, right, passed, stop: Some(stop), relays })
    }

    /// The left device.
    #[must_use]
    pub fn left(&self) -> &Path {
        self.left.path()
    }

    /// The right device.
    #[must_use]
    pub fn right(&self) -> &Path {
        self.right.path()
    }

    /// What left the line on the right so far, faults included.
    #[must_use]
    pub fn passed_right(&self) -> Vec<u8> {
        self.passed[0].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What left the line on the left so far.
    #[must_use]
    pub fn passed_left(&self) -> Vec<u8> {
        self.passed[1].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        drop(self.stop.take());
        for relay in self.relays.drain(..) {
            let _ = relay.join();
        }
    }
}

fn relay(
    from: &File,
    to: &File,
    stopped: PipeReader,
    direction: Direction,
    passed: Arc<Mutex<Vec<u8>>>,
) -> io::Result<JoinHandle<()>> {
    let (mut from, mut to) = (from.try_clone()?, to.try_clone()?);
    Ok(std::thread::spawn(move || {
        let mut sender = Sender { direction, free_at: Instant::now() };
        let mut piece = [0; 512];
        while wait_for(&from, &stopped, PollFlags::POLLIN) {
            let Ok(count) = from.read(&mut piece) else { break };
            for byte in &piece[..count] {
                let arrived = sender.send(*byte);
                // A master whose slave is not read blocks: the line is then full, as a real one.
                if !wait_for(&to, &stopped, PollFlags::POLLOUT) || to.write_all(&arrived).is_err() {
                    return;
                }
                passed.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(&arrived);
            }
        }
    }))
}

/// Whether `file` can be served; false when the line is cut.
fn wait_for(file: &File, stopped: &PipeReader, what: PollFlags) -> bool {
    let mut waiting = [PollFd::new(file.as_fd(), what), PollFd::new(stopped.as_fd(), PollFlags::POLLIN)];
    while poll(&mut waiting, PollTimeout::NONE).is_err() {}
    waiting[1].revents().is_none_or(|events| events.is_empty())
}

struct Sender {
    direction: Direction,
    /// When the last byte has left the line.
    free_at: Instant,
}

impl Sender {
    /// Takes the time that the byte needs, and gives what arrives of it.
    fn send(&mut self, byte: u8) -> Vec<u8> {
        let (arrived, delay) = match self.direction.plan.next_fault() {
            None => (vec![byte], Duration::ZERO),
            Some(Fault::Drop) => (vec![], Duration::ZERO),
            Some(Fault::Flip(bits)) => (vec![byte ^ bits], Duration::ZERO),
            Some(Fault::Repeat) => (vec![byte, byte], Duration::ZERO),
            Some(Fault::Delay(delay)) => (vec![byte], delay),
        };
        let byte_time =
            self.direction.pace.map_or(Duration::ZERO, |pace| Duration::from_secs(1) / pace.max(1));
        // From an idle line a byte starts now; on a busy one it follows the last, however late this thread woke up.
        let start = self.free_at.max(Instant::now().checked_sub(byte_time * 4).unwrap_or(self.free_at));
        self.free_at = start + byte_time + delay;
        let wait = self.free_at.saturating_duration_since(Instant::now());
        if !wait.is_zero() {
            std::thread::sleep(wait);
        }
        arrived
    }
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;

    use super::*;

    fn through(plan: Plan, sent: &[u8], expected: &[u8]) {
        let line = Line::new(Direction::perfect().with(plan), Direction::perfect()).unwrap();
        let open = |path| OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (mut left, mut right) = (open(line.left()), open(line.right()));
        left.write_all(sent).unwrap();
        let mut got = vec![0; expected.len()];
        right.read_exact(&mut got).unwrap();
        assert_eq!(got, expected);
        right.write_all(b"\x00\x0d\x11\x13\xff").unwrap();
        let mut back = [0; 5];
        left.read_exact(&mut back).unwrap();
        assert_eq!(back, *b"\x00\x0d\x11\x13\xff", "raw in both directions");
        assert_eq!(line.passed_right(), expected);
        assert_eq!(line.passed_left(), back);
    }

    #[test]
    fn every_fault_hits_its_byte() {
        through(Plan::none(), b"abc\x04\x03\n", b"abc\x04\x03\n");
        through(Plan::at([(1, Fault::Drop)]), b"abc", b"ac");
        through(Plan::at([(0, Fault::Flip(0x20)), (2, Fault::Repeat)]), b"abc", b"Abcc");
        through(Plan::at([(1, Fault::Delay(Duration::from_millis(1)))]), b"abc", b"abc");
    }

    #[test]
    fn a_seed_gives_the_same_faults_again_and_no_more_than_allowed() {
        let faults = |seed| {
            let mut plan = Plan::seeded(seed, 10, 5);
            (0..1000).map(|_| plan.next_fault()).collect::<Vec<_>>()
        };
        assert_eq!(faults(7), faults(7));
        assert_ne!(faults(7), faults(8));
        assert_eq!(faults(7).iter().flatten().count(), 5);
    }

    #[test]
    fn a_paced_line_passes_everything() {
        let line = Line::new(Direction::paced(50_000), Direction::perfect()).unwrap();
        let open = |path| OpenOptions::new().read(true).write(true).open(path).unwrap();
        let (mut left, mut right) = (open(line.left()), open(line.right()));
        let sent: Vec<u8> = (0..2000u32).map(|n| n as u8).collect();
        left.write_all(&sent).unwrap();
        let mut got = vec![0; sent.len()];
        right.read_exact(&mut got).unwrap();
        assert_eq!(got, sent);
    }
}
