//! The journal as programs use it, on real files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a panic is how a test reports

mod crash;
mod damage;
mod disk;
mod model;
mod threads;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use protogen_journal::{
    Completion, Delivery, Entry, Journal, Message, Outcome, Output, Producer, Reader, Refusal, Settings,
    Stored,
};

/// So long a test waits for what must come.
const PATIENCE: Duration = protogen_testkit::TIMEOUT;

fn output(name: &str, inputs: &[&str]) -> Output {
    Output { name: name.to_owned(), inputs: inputs.iter().map(|input| (*input).to_owned()).collect() }
}

/// Small segments, one output for everything from `a`.
fn settings() -> Settings {
    Settings {
        outputs: vec![output("x", &["a"])],
        segment_size: 16 << 10,
        max_message: 8 << 10,
        ..Settings::default()
    }
}

fn message(connection: &str, bytes: impl Into<Vec<u8>>) -> Message {
    Message { connection: connection.into(), time: UNIX_EPOCH + Duration::from_secs(1), bytes: bytes.into() }
}

fn delivery(output: &str, sequence: u64, outcome: Outcome) -> Delivery {
    Delivery { sequence, output: output.into(), outcome, note: Vec::new() }
}

fn producer(journal: &Journal) -> Producer {
    journal.producer(|| {})
}

/// Stores messages one after the other and gives their results.
fn store_each(producer: &Producer, messages: impl IntoIterator<Item = Message>) -> Vec<Result<u64, Refusal>> {
    messages.into_iter().map(|message| store(producer, message)).collect()
}

fn store(producer: &Producer, message: Message) -> Result<u64, Refusal> {
    producer.append(0, message).expect("room in the queue");
    let mut results = Vec::new();
    producer.wait(&mut results, PATIENCE);
    match results[..] {
        [Completion::Stored { sequence, .. }] => Ok(sequence),
        [Completion::Refused { refusal, .. }] => Err(refusal),
        _ => panic!("one result for one message: {results:?}"),
    }
}

/// Records outcomes and waits until they count, by way of the messages behind them.
fn record(producer: &Producer, deliveries: impl IntoIterator<Item = Delivery>) {
    for delivery in deliveries {
        producer.record(delivery).expect("room in the queue");
    }
    store(producer, message("nobody", "")).expect("stored");
}

fn all(reader: &Reader) -> Vec<Stored> {
    let mut all = Vec::new();
    let visited = reader.each(0, |stored| {
        all.push(stored);
        ControlFlow::<()>::Continue(())
    });
    assert_eq!(visited.unwrap(), None);
    all
}

fn waiting(reader: &Reader, name: &str) -> Vec<u64> {
    let mut output = reader.output(name).expect("an output");
    std::iter::from_fn(|| output.next().unwrap()).map(|stored| stored.sequence).collect()
}

fn soak() -> bool {
    std::env::var_os("PG_SOAK").is_some()
}

fn name(text: &str) -> Arc<str> {
    text.into()
}
