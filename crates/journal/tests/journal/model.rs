//! Random operations and reopenings, beside a model in memory that does the same.

use std::collections::BTreeMap;

use protogen_testkit::Dir;
use protogen_testkit::random::Random;

use super::*;

#[derive(Default)]
struct Model {
    stored: BTreeMap<u64, (String, Vec<u8>)>,
    outputs: BTreeMap<&'static str, Queue>,
}

#[derive(Default)]
struct Queue {
    waits: Vec<u64>,
    again: Vec<u64>,
    dead: Vec<u64>,
    done: Vec<u64>,
    filtered: u64,
}

const OUTPUTS: [(&str, &[&str]); 3] = [("x", &["a", "b"]), ("y", &["b"]), ("z", &["b", "c"])];

impl Model {
    fn stored(&mut self, sequence: u64, connection: &str, bytes: Vec<u8>) {
        self.stored.insert(sequence, (connection.to_owned(), bytes));
        for (name, inputs) in OUTPUTS {
            if inputs.contains(&connection) {
                self.outputs.entry(name).or_default().waits.push(sequence);
            }
        }
    }

    /// An outcome that makes sense now, applied to the model.
    fn settle(&mut self, random: &mut Random) -> Option<Delivery> {
        let name = OUTPUTS[random.below(3) as usize].0;
        let queue = self.outputs.entry(name).or_default();
        let pick = |list: &mut Vec<u64>, random: &mut Random| {
            (!list.is_empty()).then(|| list.remove(random.below(list.len() as u64) as usize))
        };
        let head = |list: &mut Vec<u64>| (!list.is_empty()).then(|| list.remove(0));
        // Exceptions are bounded.
        let many = queue.dead.len() + queue.again.len() > 6;
        let choice = random.below(12);
        let (sequence, outcome) =
            match if many && matches!(choice, 5 | 9 | 10) { 7 + choice % 2 } else { choice } {
                0..4 => (head(&mut queue.waits)?, Outcome::Delivered),
                4 => (head(&mut queue.waits)?, Outcome::Filtered),
                5 => (head(&mut queue.waits)?, Outcome::Dead),
                6 => (pick(&mut queue.waits, random)?, Outcome::Dropped),
                7 => (pick(&mut queue.again, random)?, Outcome::Delivered),
                8 => (pick(&mut queue.dead, random)?, Outcome::Dropped),
                9 => (pick(&mut queue.dead, random)?, Outcome::Resend),
                10 => (pick(&mut queue.done, random)?, Outcome::Resend),
                _ => {
                    let through = random.below(queue.waits.len().min(4) as u64) as usize;
                    let sequence = *queue.waits.get(through)?;
                    queue.waits.drain(..=through);
                    return Some(delivery(name, sequence, Outcome::DroppedThrough(through as u64 + 1)));
                }
            };
        match outcome {
            Outcome::Delivered => queue.done.push(sequence),
            Outcome::Filtered => {
                queue.filtered += 1;
                queue.done.push(sequence);
            }
            Outcome::Dead => queue.dead.push(sequence),
            Outcome::Resend => queue.again.push(sequence),
            _ => {}
        }
        Some(delivery(name, sequence, outcome))
    }

    fn check(&self, reader: &Reader, why: &str) {
        let found: BTreeMap<u64, (String, Vec<u8>)> = all(reader)
            .into_iter()
            .filter(|stored| stored.connection != "nobody")
            .map(|stored| (stored.sequence, (stored.connection, stored.bytes)))
            .collect();
        assert!(found == self.stored, "{why}: the messages differ");
        for stats in reader.stats().outputs {
            let inputs = OUTPUTS.iter().find(|(name, _)| *name == stats.name).unwrap().1;
            let its =
                |(_, (connection, _)): &(&u64, &(String, Vec<u8>))| inputs.contains(&connection.as_str());
            let expected: Vec<u64> = self.stored.iter().filter(its).map(|(sequence, _)| *sequence).collect();
            let mut found = Vec::new();
            let visited = reader.each_of(&stats.name, 0, |stored| {
                found.push(stored.sequence);
                ControlFlow::<()>::Continue(())
            });
            assert_eq!((visited.unwrap(), found), (None, expected), "{why}: output {}", stats.name);
            let Some(queue) = self.outputs.get(stats.name.as_str()) else { continue };
            let mut expected = queue.again.clone();
            expected.sort_unstable();
            expected.extend(&queue.waits);
            assert_eq!(waiting(reader, &stats.name), expected, "{why}: output {}", stats.name);
            assert_eq!(stats.pending, expected.len() as u64, "{why}: output {}", stats.name);
            assert_eq!(stats.counts.dead, queue.dead.len() as u64, "{why}: output {}", stats.name);
            assert_eq!(stats.counts.filtered, queue.filtered, "{why}: output {}", stats.name);
        }
    }
}

fn run(seed: u64) {
    let dir = Dir::new();
    let mut random = Random::seeded(seed);
    let outputs = OUTPUTS.map(|(name, inputs)| output(name, inputs));
    let settings = Settings {
        outputs: outputs.to_vec(),
        segment_size: [32 << 10, 40 << 10, 64 << 10][random.below(3) as usize],
        max_message: 4 << 10,
        durable: random.below(4) > 0,
        ..Settings::default()
    };
    let mut model = Model::default();
    for reopening in 0..6 {
        let why = format!("seed {seed}, opening {reopening}");
        let (journal, recovery) = Journal::open(&dir.join("j"), settings.clone()).expect(&why);
        assert_eq!(recovery.torn, 0, "{why}");
        model.check(&journal.reader(), &why);
        let producer = producer(&journal);
        for _ in 0..random.below(30) {
            for _ in 0..random.below(5) {
                let connection = ["a", "b", "c"][random.below(3) as usize];
                let bytes: Vec<u8> = (0..random.below(600)).map(|_| random.below(256) as u8).collect();
                let sequence = store(&producer, message(connection, bytes.clone())).expect(&why);
                model.stored(sequence, connection, bytes);
            }
            let deliveries: Vec<Delivery> =
                (0..random.below(8)).filter_map(|_| model.settle(&mut random)).collect();
            record(&producer, deliveries);
        }
        model.check(&journal.reader(), &why);
        model.check(&Reader::open(&dir.join("j")).expect(&why), &why);
    }
}

#[test]
fn it_does_what_the_model_does() {
    for seed in 1..=if soak() { 2000 } else { 12 } {
        run(seed);
    }
}
