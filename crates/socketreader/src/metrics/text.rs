//! The figures in Prometheus's text format, version 0.0.4.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Sources;
use super::meter::{BOUNDS, CODES, Meter};
use crate::config::Connection;
use crate::control::live_queues;

/// One family after the other, each with its samples together, as the format demands.
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "# HELP socketreader_{name} {help}\n# TYPE socketreader_{name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        let labels: Vec<String> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "socketreader_{name}{labels} {value}");
    }
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn seconds(time: SystemTime) -> f64 {
    time.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

fn count(counter: &AtomicU64) -> f64 {
    counter.load(Ordering::Relaxed) as f64
}

fn direction(connection: &Connection) -> &'static str {
    if connection.kind.is_input() { "in" } else { "out" }
}

pub(super) fn write(sources: &Sources) -> String {
    let mut page = Page(String::new());
    page.family("start_time_seconds", "gauge", "When the program was started, in seconds since 1970.");
    page.sample("start_time_seconds", &[], seconds(sources.started));
    connections(&mut page, sources);
    guards(&mut page, sources);
    queues(&mut page, sources);
    journal(&mut page, sources);
    page.0
}

/// What is counted from the start of the program.
fn connections(page: &mut Page, sources: &Sources) {
    let config = sources.board.config();
    let each: Vec<_> = config
        .connections
        .iter()
        .map(|connection| (connection, sources.board.meters.of(&connection.name)))
        .collect();
    type Pick = fn(&Meter) -> &AtomicU64;
    let rows: [(&str, &str, &str, Pick); 4] = [
        ("messages_total", "counter", "Messages stored, or delivered, since the start.", |meter| {
            &meter.messages
        }),
        ("bytes_total", "counter", "The bytes of these messages.", |meter| &meter.bytes),
        ("retries_total", "counter", "Attempts to deliver that are to be repeated.", |meter| &meter.retries),
        ("peers", "gauge", "Peers that are connected.", |meter| &meter.peers),
    ];
    for (name, kind, help, pick) in rows {
        page.family(name, kind, help);
        for (connection, meter) in &each {
            let labels = [("connection", connection.name.as_str()), ("direction", direction(connection))];
            page.sample(name, &labels, count(pick(meter)));
        }
    }
    page.family("answers_total", "counter", "Answers given (in) or got (out), by their code.");
    for (connection, meter) in &each {
        for (code, answers) in CODES.iter().zip(&meter.answers) {
            let labels = [
                ("connection", connection.name.as_str()),
                ("direction", direction(connection)),
                ("code", *code),
            ];
            page.sample("answers_total", &labels, count(answers));
        }
    }
    page.family(
        "delivery_seconds",
        "histogram",
        "How long messages took from being stored to being delivered.",
    );
    for (connection, meter) in each.iter().filter(|(connection, _)| !connection.kind.is_input()) {
        let name = ("connection", connection.name.as_str());
        let mut sum = 0.0;
        for (bound, within) in
            BOUNDS.iter().map(f64::to_string).chain(["+Inf".to_owned()]).zip(&meter.latency)
        {
            sum += count(within);
            page.sample("delivery_seconds_bucket", &[name, ("le", &bound)], sum);
        }
        page.sample("delivery_seconds_count", &[name], sum);
        page.sample("delivery_seconds_sum", &[name], count(&meter.latency_sum) / 1e6);
    }
}

fn guards(page: &mut Page, sources: &Sources) {
    let guards = sources.guards();
    page.family("refused_peers_total", "counter", "Peers that allow does not admit.");
    for (name, guard) in &guards {
        page.sample("refused_peers_total", &[("connection", name)], count(&guard.refused));
    }
    page.family("broken_handshakes_total", "counter", "Connections that ended before messages could cross.");
    for (name, guard) in &guards {
        page.sample("broken_handshakes_total", &[("connection", name)], count(&guard.failed));
    }
    page.family("certificate_end_seconds", "gauge", "When our certificate ends, in seconds since 1970.");
    for (name, guard) in &guards {
        if let Some(ends) = guard.tls().and_then(|context| context.ends()) {
            page.sample("certificate_end_seconds", &[("connection", name)], seconds(ends));
        }
    }
}

/// What the journal counts, which survives a restart: accepted + resent = delivered + dead + dropped + pending.
fn queues(page: &mut Page, sources: &Sources) {
    let queues = live_queues(&sources.board.config(), &sources.journal, &sources.board);
    let rows = queues["queues"].as_array().cloned().unwrap_or_default();
    for (name, kind, key, help) in [
        (
            "accepted_total",
            "counter",
            "accepted",
            "Messages stored for this output, since the journal was made.",
        ),
        ("resent_total", "counter", "resent", "Messages delivered before that somebody sent again."),
        ("delivered_total", "counter", "delivered", "Messages delivered."),
        ("dropped_total", "counter", "dropped", "Messages given up by somebody, or not for this output."),
        (
            "filtered_total",
            "counter",
            "filtered",
            "Of the dropped ones, those that filter, dedupe or pipe left out.",
        ),
        ("dead_letters", "gauge", "dead", "Messages that were refused for good."),
        ("pending", "gauge", "pending", "Messages that wait."),
        ("oldest_seconds", "gauge", "oldestseconds", "For how long the oldest message waits."),
    ] {
        page.family(name, kind, help);
        for row in &rows {
            let connection = row["connection"].as_str().unwrap_or_default();
            page.sample(name, &[("connection", connection)], row[key].as_f64().unwrap_or(0.0));
        }
    }
    page.family("state", "gauge", "1 for the state that the output is in, as --queues shows it.");
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        page.sample("state", &[("connection", text("connection")), ("state", text("state"))], 1.0);
    }
}

fn journal(page: &mut Page, sources: &Sources) {
    let stats = sources.journal.stats();
    let rows = [
        ("journal_segments", "gauge", "Segments of the journal.", stats.segments as f64),
        ("journal_bytes", "gauge", "Their bytes on the disk.", stats.bytes as f64),
        (
            "journal_groups_total",
            "counter",
            "Groups of records written since the start.",
            stats.groups as f64,
        ),
        ("journal_sync_seconds", "gauge", "How long the last sync took.", stats.last_sync.as_secs_f64()),
    ];
    for (name, kind, help, value) in rows {
        page.family(name, kind, help);
        page.sample(name, &[], value);
    }
}
