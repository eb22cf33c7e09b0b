//! What is counted of a connection while the program runs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use memchr::memmem;

/// The answers that are told apart: MSA-1, and the commit blocks of MLLP.
pub(crate) const CODES: [&str; 8] = ["AA", "AE", "AR", "CA", "CE", "CR", "ACK", "NAK"];

/// The upper bounds of the histogram of latencies, in seconds. What takes longer counts in the last bucket.
pub(crate) const BOUNDS: [f64; 13] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 600.0, 3600.0, 86_400.0];

/// The counters of one connection. They begin at 0 with the program.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    /// Messages stored, or delivered, and their bytes.
    pub(crate) messages: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Answers, given or got, in the order of [`CODES`].
    pub(crate) answers: [AtomicU64; CODES.len()],
    /// Attempts that are to be repeated.
    pub(crate) retries: AtomicU64,
    /// Peers that are connected.
    pub(crate) peers: AtomicU64,
    /// Of messages delivered, how long it took since they were stored: so many within each bound and above the one before it,
    /// the rest, and all of it in microseconds.
    pub(crate) latency: [AtomicU64; BOUNDS.len() + 1],
    pub(crate) latency_sum: AtomicU64,
}

impl Meter {
    /// A message of so many bytes was stored.
    pub(crate) fn took(&self, bytes: usize) {
        self.messages.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A message that was stored at that time is delivered.
    pub(crate) fn delivered(&self, bytes: usize, stored: SystemTime) {
        self.took(bytes);
        let taken = SystemTime::now().duration_since(stored).unwrap_or(Duration::ZERO);
        let seconds = taken.as_secs_f64();
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.latency[bucket].fetch_add(1, Ordering::Relaxed);
        let micros = u64::try_from(taken.as_micros()).unwrap_or(u64::MAX);
        self.latency_sum.fetch_add(micros, Ordering::Relaxed);
    }

    /// An answer, in its frame or without; an empty one is none.
    pub(crate) fn answered(&self, answer: &[u8]) {
        // Some end segments by a line feed.
        let segment = [&b"\rMSA"[..], b"\nMSA"].iter().find_map(|start| memmem::find(answer, start));
        let code = match segment {
            // Behind the segment's name stands the separator.
            Some(at) => answer.get(at + 5..at + 7),
            None if answer.contains(&0x06) => Some(&b"ACK"[..]),
            None if answer.contains(&0x15) => Some(&b"NAK"[..]),
            None => None,
        };
        let place = CODES.iter().position(|known| code == Some(known.as_bytes()));
        if let Some(place) = place {
            self.answers[place].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A message is to be sent again.
    pub(crate) fn tries_again(&self) {
        self.retries.fetch_add(1, Ordering::Relaxed);
    }
}

/// The meters of all connections, by name. One that left and comes back goes on counting.
#[derive(Debug, Default)]
pub(crate) struct Meters(Mutex<BTreeMap<String, Arc<Meter>>>);

impl Meters {
    /// The one of this name.
    pub(crate) fn of(&self, name: &str) -> Arc<Meter> {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(meters.entry(name.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart() {
        let meter = Meter::default();
        for answer in [
            &b"\x0bMSH|^~\\&|A\rMSA|AE|1\r\x1c\r"[..],
            b"MSH|^~\\&|A\nMSA|CA|1\n",
            b"\x0b\x06\x1c\r",
            b"\x0b\x15\x1c\r",
        ] {
            meter.answered(answer);
        }
        for other in [&b""[..], b"MSH|^~\\&|A\rMSA|ZZ|1", b"MSH|\rMSA", b"MSH|\rMSA|A"] {
            meter.answered(other);
        }
        let counted: Vec<u64> = meter.answers.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counted, [0, 1, 0, 1, 0, 0, 1, 1]);
    }

    #[test]
    fn a_latency_counts_in_its_bucket() {
        let meter = Meter::default();
        meter.delivered(10, SystemTime::now() - Duration::from_secs(20));
        meter.delivered(10, SystemTime::now() + Duration::from_secs(20));
        meter.delivered(10, SystemTime::now() - Duration::from_secs(200_000));
        let counted: Vec<u64> = meter.latency.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        assert_eq!(counted, [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
        assert_eq!(meter.bytes.load(Ordering::Relaxed), 30);
    }
}
