//! The table of benchmark rows and their targets.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::Path;

/// What a row must reach.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// So many bytes a second.
    BytesPerSecond(f64),
    /// So many times as fast as another benchmark of the same run.
    Times(f64, &'static str),
    /// It counts something, and at most to this.
    AtMost(f64),
    /// At most so many nanoseconds.
    Within(f64),
    /// At most so many bytes of memory.
    Memory(f64),
}

const MIB: f64 = 1_048_576.0;

/// The rows that have a target. A benchmark without one is printed, and judged by no one.
pub const TARGETS: &[(&str, Target)] = &[
    ("hl7/parse-oru/index-10-fields", Target::BytesPerSecond(2e9)),
    ("hl7/parse-oru/index-10-fields", Target::Times(10.0, "hl7/parse-oru/hl7-parser-10-fields")),
    ("hl7/parse-oru/index-10-fields", Target::Times(10.0, "hl7/parse-oru/rust-hl7-10-fields")),
    ("hl7/parse-oru/index-10-fields", Target::Times(10.0, "hl7/parse-oru/hl7-2-10-fields")),
    ("hl7/parse-adt/index-10-fields", Target::Times(10.0, "hl7/parse-adt/hl7-2-10-fields")),
    ("llp/mllp/1.6K", Target::Times(1.0, "llp/hl7-mllp-codec/1.6K")),
    ("llp/mllp/5M", Target::Times(1.0, "llp/hl7-mllp-codec/5M")),
    ("send/hl7-send/1", Target::Times(0.9, "send/bare-loop/1")),
    ("send/hl7-send/8", Target::Times(0.9, "send/bare-loop/8")),
    ("llpdrv/line/9600/240", Target::Times(0.95, "llpdrv/wire/9600/240")),
    ("llpdrv/line/9600/1000", Target::Times(0.95, "llpdrv/wire/9600/1000")),
    ("llpdrv/line/115200/240", Target::Times(0.95, "llpdrv/wire/115200/240")),
    ("llpdrv/line/115200/1000", Target::Times(0.95, "llpdrv/wire/115200/1000")),
    ("llpdrv/mllp-to-illp/1K", Target::Times(0.5, "llpdrv/two-plain-exchanges/1K")),
    ("llpdrv/wake-ups-in-5s/-a", Target::AtMost(0.0)),
    ("llpdrv/wake-ups-in-5s/-h", Target::AtMost(0.0)),
    ("llpdrv/wake-ups-in-5s/-m", Target::AtMost(0.0)),
    ("router/accepted/1", Target::Times(0.8, "router/floor-L/1")),
    ("router/accepted/8", Target::Times(0.8, "router/floor-L/8")),
    ("router/accepted/64", Target::Times(0.8, "router/floor-L/64")),
    // 26,600 messages a second.
    ("router/accepted/64", Target::Within(37_594.0)),
    ("router/not-durable/64", Target::Times(0.6, "router/bare-loop/64")),
    ("router/sustained/64", Target::Times(0.6, "router/floor-F/64")),
    ("router/sustained-backlog-growth", Target::AtMost(1000.0)),
    ("router/resident-1000-idle", Target::Memory(40.0 * MIB)),
    ("router/resident-1M-queued", Target::Memory(40.0 * MIB)),
    ("router/resident-growth", Target::Memory(2.0 * MIB)),
    ("router/5M", Target::Within(50e6)),
    ("router/accepted-transient/8", Target::Times(1.0, "router/peer-python-hl7-transient/8")),
    ("router/accepted-transient/8", Target::Times(1.0, "router/peer-hl7apy-transient/8")),
    ("router/accepted-transient/8", Target::Times(1.0, "router/peer-node-hl7-server-transient/8")),
    // At most twice the time that it has alone.
    ("router/p99-beside-a-crowd", Target::Times(0.5, "router/p99-alone")),
    ("router/tls/1", Target::Times(0.6, "router/plain/1")),
    ("router/tls/8", Target::Times(0.6, "router/plain/8")),
    ("router/tls/64", Target::Times(0.6, "router/plain/64")),
    ("codes/create/loincmgr", Target::Within(5e9)),
    ("codes/create-memory/loincmgr", Target::Memory(300.0 * MIB)),
    ("codes/key-process/loincmgr", Target::Within(15e6)),
    ("codes/key-library", Target::Within(5e3)),
    ("codes/index-process/loincmgr", Target::Within(20e6)),
    // 300 ADT and 2,000 ORU of 20 OBX a second.
    ("cvgateway/adt", Target::Within(1e9 / 300.0)),
    ("cvgateway/oru-20-obx", Target::Within(1e9 / 2000.0)),
    ("cvgateway/resident-growth-over-100000", Target::Memory(4.0 * MIB)),
    // A second to connect and two for the answer, and half a second over; a connection that ends is not waited for.
    ("cvgateway/unreachable/refuses", Target::Within(0.5e9)),
    ("cvgateway/unreachable/queue-full", Target::Within(1.5e9)),
    ("cvgateway/unreachable/silent", Target::Within(2.5e9)),
    ("cvgateway/unreachable/trickles", Target::Within(2.5e9)),
    ("cvgateway/unreachable/closes", Target::Within(0.5e9)),
    ("cvgateway/unreachable/cuts", Target::Within(0.5e9)),
    ("cvgateway/start/100000", Target::Within(5e9)),
    // What it adds to the remote command; and that it gives up soon after the limit of a second.
    ("idb_direct/question", Target::Times(0.5, "idb_direct/remote-command-alone")),
    ("idb_direct/missing-patient/wait-1s", Target::Within(1.5e9)),
    ("idb_direct/hung-host/timeout-1s", Target::Within(1.5e9)),
    // Whole or in parts, it costs about the same: nothing in between waits.
    ("chain/demo", Target::Within(60e9)),
    ("chain/latency", Target::Within(250e6)),
    ("chain/end-to-end", Target::Times(0.7, "chain/sum-of-parts")),
    ("hl7tocv/first-of-100k", Target::Within(1e9)),
    ("hl7tocv/message-of-100k", Target::Memory(20.0 * MIB)),
    ("hl7tocv/memory-growth-100k", Target::Memory(2.0 * MIB)),
    ("hl7tocv/dead-gateway/refuses", Target::Within(45e9)),
    ("hl7tocv/dead-gateway/silent", Target::Within(45e9)),
    ("hl7tocv/dead-gateway/unreachable", Target::Within(45e9)),
];

/// One benchmark: its median time, and the bytes it handles in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Measured {
    /// Nanoseconds an iteration, or what was counted.
    pub nanoseconds: f64,
    /// It is no time but a count.
    pub is_count: bool,
    /// Bytes an iteration, if it counts them.
    pub bytes: Option<f64>,
    /// The most memory it held, in bytes, if that was measured.
    pub memory: Option<f64>,
}

impl Measured {
    fn bytes_per_second(&self) -> Option<f64> {
        self.bytes.map(|bytes| bytes / self.nanoseconds * 1e9)
    }
}

/// Reads the results that criterion left in `target/criterion`.
///
/// # Errors
/// When a file cannot be read, or none is there.
pub fn read(directory: &Path) -> io::Result<BTreeMap<String, Measured>> {
    let mut measured = BTreeMap::new();
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() && path.file_name().is_some_and(|name| name == "new") {
                measured.extend(read_one(&path)?);
            } else if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "json")
                && directory.ends_with("criterion")
            {
                measured.extend(read_own(&path)?);
            }
        }
    }
    match measured.is_empty() {
        true => Err(io::Error::other("no results, run scripts/bench")),
        false => Ok(measured),
    }
}

fn read_one(directory: &Path) -> io::Result<Option<(String, Measured)>> {
    let json = |name: &str| -> io::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&std::fs::read(directory.join(name))?)?)
    };
    let (about, estimates) = (json("benchmark.json")?, json("estimates.json")?);
    let name = about["full_id"].as_str();
    let nanoseconds = estimates["median"]["point_estimate"].as_f64();
    let bytes = about["throughput"]["Bytes"].as_f64();
    Ok(name.zip(nanoseconds).map(|(name, nanoseconds)| {
        (name.to_string(), Measured { nanoseconds, is_count: false, bytes, memory: None })
    }))
}

/// What our own benchmark programs leave at the top: a JSON object, name to nanoseconds (or a count), bytes and memory.
fn read_own(path: &Path) -> io::Result<Vec<(String, Measured)>> {
    let rows: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&std::fs::read(path)?)?;
    let row = |value: &serde_json::Value| {
        let number = |name: &str| value[name].as_f64();
        let time = number("nanoseconds");
        Some(Measured {
            nanoseconds: time.or(number("count"))?,
            is_count: time.is_none(),
            bytes: number("bytes"),
            memory: number("memory"),
        })
    };
    Ok(rows.iter().filter_map(|(name, value)| Some((name.clone(), row(value)?))).collect())
}

/// The table, ready to be printed.
#[derive(Debug)]
pub struct Table {
    lines: Vec<String>,
    holds: bool,
}

impl Table {
    /// Judges what was measured.
    pub fn of(measured: &BTreeMap<String, Measured>) -> Table {
        let mut table = Table {
            lines: vec![format!("{:<44} {:>12} {:>12}  target", "benchmark", "time", "bytes/s")],
            holds: true,
        };
        for (name, result) in measured {
            let mut verdicts = Vec::new();
            for (_, target) in TARGETS.iter().filter(|(row, _)| row == name) {
                let (text, holds) = judge(*result, *target, measured);
                table.holds &= holds;
                verdicts.push(format!("{text} {}", if holds { "ok" } else { "BELOW" }));
            }
            let rate =
                result.bytes_per_second().map_or(String::new(), |rate| format!("{:.3} GB/s", rate / 1e9));
            let time = match (result.memory, result.is_count) {
                (Some(bytes), _) => memory(bytes),
                (None, true) => result.nanoseconds.to_string(),
                (None, false) => time(result.nanoseconds),
            };
            table.lines.push(format!("{name:<44} {time:>12} {rate:>12}  {}", verdicts.join(", ")));
        }
        // A row that a filter left out, or a name mistyped here, is no row that holds.
        for (name, _) in TARGETS.iter().filter(|(name, _)| !measured.contains_key(*name)) {
            table.holds = false;
            table.lines.push(format!("{name:<44} {:>12} {:>12}  MISSING", "", ""));
        }
        table
    }

    /// Every row that was measured reaches its target.
    pub fn holds(&self) -> bool {
        self.holds
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.lines.iter().try_for_each(|line| writeln!(f, "{}", line.trim_end()))
    }
}

fn judge(result: Measured, target: Target, measured: &BTreeMap<String, Measured>) -> (String, bool) {
    match target {
        Target::BytesPerSecond(least) => {
            let rate = result.bytes_per_second().unwrap_or(0.0);
            (format!(">= {:.2} GB/s", least / 1e9), rate >= least)
        }
        Target::Times(least, other) => match measured.get(other) {
            Some(other_result) => {
                let times = other_result.nanoseconds / result.nanoseconds;
                (format!("{times:.2} x {other} (>= {least})"), times >= least)
            }
            None => (format!("{other} was not measured"), false),
        },
        Target::AtMost(most) => (format!("<= {most}"), result.is_count && result.nanoseconds <= most),
        Target::Within(most) => (format!("<= {}", time(most)), result.nanoseconds <= most),
        Target::Memory(most) => {
            (format!("<= {}", memory(most)), result.memory.is_some_and(|bytes| bytes <= most))
        }
    }
}

fn memory(bytes: f64) -> String {
    format!("{:.0} MiB", bytes / MIB)
}

fn time(nanoseconds: f64) -> String {
    match nanoseconds {
        n if n < 1e3 => format!("{n:.0} ns"),
        n if n < 1e6 => format!("{:.2} us", n / 1e3),
        n => format!("{:.2} ms", n / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measured(ours: f64) -> BTreeMap<String, Measured> {
        let names = TARGETS.iter().flat_map(|(row, target)| match target {
            Target::Times(_, other) => vec![*row, other],
            Target::BytesPerSecond(_) | Target::AtMost(_) | Target::Within(_) | Target::Memory(_) => {
                vec![*row]
            }
        });
        let counts = |name: &str| {
            TARGETS.iter().any(|(row, target)| *row == name && matches!(target, Target::AtMost(_)))
        };
        let is_memory = |name: &str| {
            TARGETS.iter().any(|(row, target)| *row == name && matches!(target, Target::Memory(_)))
        };
        let own = |name: &str| TARGETS.iter().any(|(row, _)| *row == name);
        names
            .map(|name| {
                let is_count = counts(name);
                let time = if own(name) { ours } else { 40_000.0 };
                let nanoseconds = if is_count { 0.0 } else { time };
                let memory = is_memory(name).then_some(MIB);
                (name.to_string(), Measured { nanoseconds, is_count, bytes: Some(1620.0), memory })
            })
            .collect()
    }

    #[test]
    fn a_row_below_its_target_fails_the_table() {
        assert!(Table::of(&measured(700.0)).holds());
        let slow = Table::of(&measured(900.0));
        assert!(!slow.holds() && slow.to_string().contains(">= 2.00 GB/s BELOW"), "{slow}");
        let mut awake = measured(700.0);
        let row = awake.get_mut("llpdrv/wake-ups-in-5s/-a").unwrap();
        row.nanoseconds = 1.0;
        assert!(!Table::of(&awake).holds());
        for (row, nanoseconds, memory, told) in [
            ("codes/key-library", 6000.0, None, "<= 5.00 us BELOW"),
            ("codes/create-memory/loincmgr", 0.0, Some(301.0 * MIB), "<= 300 MiB BELOW"),
        ] {
            let mut slow = measured(700.0);
            slow.insert(row.to_string(), Measured { nanoseconds, is_count: false, bytes: None, memory });
            let slow = Table::of(&slow);
            assert!(!slow.holds() && slow.to_string().contains(told), "{slow}");
        }
        let mut missing = measured(700.0);
        missing.remove("hl7/parse-oru/rust-hl7-10-fields");
        assert!(!Table::of(&missing).holds());
    }
}
