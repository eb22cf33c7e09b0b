//! What a load run has seen.

use crate::output::Output;
use hdrhistogram::Histogram;
use protogen_core::hl7::AckCode;
use serde_json::json;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// The longest latency that is told apart, in microseconds: an hour.
const LONGEST: u64 = 3_600_000_000;
const QUANTILES: [(&str, f64); 5] =
    [("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("p99.9", 0.999), ("max", 1.0)];

pub(crate) struct Report {
    begun: Instant,
    pub(crate) sent: u64,
    bytes: u64,
    /// Answers by their code; those without one under "none".
    codes: BTreeMap<String, u64>,
    latencies: Option<Histogram<u64>>,
    pub(crate) mismatches: u64,
    pub(crate) failed: u64,
}

impl Report {
    pub(crate) fn new(now: Instant) -> Report {
        Report {
            begun: now,
            sent: 0,
            bytes: 0,
            codes: BTreeMap::new(),
            latencies: Histogram::new_with_max(LONGEST, 3).ok(),
            mismatches: 0,
            failed: 0,
        }
    }

    pub(crate) fn begun(&self) -> Instant {
        self.begun
    }

    pub(crate) fn sent(&mut self, bytes: usize) {
        self.sent += 1;
        self.bytes += bytes as u64;
    }

    pub(crate) fn answered(&mut self, code: Option<AckCode>, latency: Duration) {
        match self.codes.get_mut(code.map_or("none", AckCode::as_str)) {
            Some(count) => *count += 1,
            None => drop(self.codes.insert(code.map_or("none", AckCode::as_str).into(), 1)),
        }
        if let Some(latencies) = &mut self.latencies {
            latencies.saturating_record(latency.as_micros().try_into().unwrap_or(LONGEST));
        }
    }

    pub(crate) fn answers(&self) -> u64 {
        self.codes.values().sum()
    }

    fn quantiles(&self) -> Vec<(&'static str, f64)> {
        let milliseconds =
            |q: f64| self.latencies.as_ref().map_or(0, |l| l.value_at_quantile(q)) as f64 / 1e3;
        QUANTILES.iter().map(|&(name, q)| (name, milliseconds(q))).collect()
    }

    pub(crate) fn print(&self, json: bool, now: Instant, output: &mut Output) -> io::Result<()> {
        let seconds = now.duration_since(self.begun).as_secs_f64().max(1e-9);
        let (rate, megabytes) = (self.answers() as f64 / seconds, self.bytes as f64 / seconds / 1e6);
        if json {
            let latencies: serde_json::Map<_, _> =
                self.quantiles().into_iter().map(|(name, value)| (name.to_string(), json!(value))).collect();
            let report = json!({
                "sent": self.sent, "answers": self.codes, "mismatches": self.mismatches, "failed": self.failed,
                "seconds": seconds, "messages_per_second": rate, "megabytes_per_second": megabytes,
                "latency_ms": latencies,
            });
            return writeln!(output, "{report}");
        }
        writeln!(output, "sent      {} messages in {seconds:.3} s", self.sent)?;
        let codes: Vec<String> = self.codes.iter().map(|(code, count)| format!("{code} {count}")).collect();
        writeln!(output, "answered  {}  {}", self.answers(), codes.join("  "))?;
        if self.mismatches + self.failed > 0 {
            writeln!(
                output,
                "at fault  {} answers to other messages, {} messages failed",
                self.mismatches, self.failed
            )?;
        }
        writeln!(output, "rate      {rate:.0} messages/s, {megabytes:.2} MB/s")?;
        let latencies: Vec<String> =
            self.quantiles().iter().map(|(name, ms)| format!("{name} {ms:.3}")).collect();
        writeln!(output, "latency   {} ms", latencies.join("  "))
    }
}
