//! Messages a second that the journal stores, beside the floor: a single loop with one append and one fdatasync for
//! all that is ready.
//!
//! `cargo bench -p protogen-bench --bench journal`, with the directory to write to in `TMPDIR`. Each producer sends
//! its next message when it has the result of the last. The rounds alternate, so that both meet the same disk.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::VecDeque;
use std::fs::File;
use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use protogen_journal::{Completion, Journal, Message, Output, Settings};

const MESSAGE: usize = 1_600;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
/// The floor writes to a file that is filled with zeros before, as the journal's segments are.
const FILE: u64 = 64 << 20;
const WAIT: Duration = Duration::from_secs(10);

fn floor(directory: &Path, producers: usize) -> f64 {
    let path = directory.join("floor");
    let file = File::create_new(&path).unwrap();
    file.write_all_at(&vec![0; FILE as usize], 0).unwrap();
    file.sync_all().unwrap();
    let mut buffer = Vec::new();
    let (mut offset, mut count) = (0, 0);
    let start = Instant::now();
    while start.elapsed() < ROUND {
        buffer.clear();
        for _ in 0..producers {
            // As a producer does.
            buffer.extend_from_slice(&black_box(vec![b'x'; MESSAGE]));
        }
        if offset + buffer.len() as u64 > FILE {
            offset = 0;
        }
        file.write_all_at(&buffer, offset).unwrap();
        file.sync_data().unwrap();
        offset += buffer.len() as u64;
        count += producers;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(path).unwrap();
    rate
}

fn journal(directory: &Path, producers: usize, durable: bool) -> f64 {
    let settings = Settings {
        outputs: vec![Output { name: "out".to_owned(), inputs: vec!["in".to_owned()] }],
        durable,
        ..Settings::default()
    };
    let directory = directory.join("journal");
    let (journal, _) = Journal::open(&directory, settings).unwrap();
    let producer = journal.producer(|| {});
    let connection: Arc<str> = "in".into();
    let message = |tag: u64| {
        let bytes = vec![b'x'; MESSAGE];
        (tag, Message { connection: connection.clone(), time: SystemTime::now(), bytes })
    };
    let mut results = Vec::new();
    let mut count = 0;
    let mut ready: VecDeque<_> = (0..producers as u64).map(message).collect();
    producer.append_all(&mut ready);
    let start = Instant::now();
    while start.elapsed() < ROUND {
        results.clear();
        producer.wait(&mut results, WAIT);
        for result in &results {
            let Completion::Stored { tag, .. } = result else { panic!("{result:?}") };
            count += 1;
            ready.push_back(message(*tag));
        }
        producer.append_all(&mut ready);
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    journal.close();
    std::fs::remove_dir_all(directory).unwrap();
    rate
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}

fn main() {
    let directory = std::env::temp_dir().join(format!("journal-bench-{}", std::process::id()));
    std::fs::create_dir(&directory).unwrap();
    println!("messages of {MESSAGE} bytes a second, median of {ROUNDS} rounds of {} s", ROUND.as_secs());
    println!("producers  floor L  journal  ratio  not durable");
    for producers in [1, 8, 64] {
        let mut rates = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            rates[0].push(floor(&directory, producers));
            rates[1].push(journal(&directory, producers, true));
            rates[2].push(journal(&directory, producers, false));
        }
        let [floor, durable, not] = rates.map(median);
        let ratio = durable / floor * 100.0;
        println!("{producers:9}  {floor:7.0}  {durable:7.0}  {ratio:4.0} %  {not:11.0}");
    }
    std::fs::remove_dir_all(directory).unwrap();
}
