//! Every power cut of a record, one after the other.

use std::fmt;
use std::path::Path;

use super::disk::Disk;
use super::{Operation, Recorder};
use crate::random::Random;

/// What becomes of operations that were not synced when the power failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// All of them arrived.
    Kept,
    /// None did.
    Lost,
    /// Some did, some in part; the seed says which.
    Torn(u64),
}

impl Fate {
    /// `salt` keeps the files of one cut apart.
    pub(super) fn random(self, salt: u64) -> Random {
        let seed = if let Fate::Torn(seed) = self { seed } else { 0 };
        Random::seeded(seed.wrapping_mul(0x0000_0001_0000_01B3) ^ salt)
    }
}

/// One power cut.
#[derive(Debug, Clone)]
pub struct Cut {
    /// How many operations (marks included) were done before it.
    pub after: usize,
    /// The fate of unsynced bytes.
    pub data: Fate,
    /// The fate of unsynced names.
    pub names: Fate,
    /// The marks set before it.
    pub marks: Vec<String>,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "power cut after operation {}, unsynced bytes {:?}, names {:?}",
            self.after, self.data, self.names
        )
    }
}

impl Recorder {
    /// Rebuilds the directory for every cut and every combination of fates (each torn with `seeds` seeds), and checks
    /// it. Gives the number of cuts checked.
    ///
    /// # Errors
    /// The first cut that failed, with the check's reason and the operations before it.
    pub fn replay(
        &self,
        seeds: u64,
        mut check: impl FnMut(&Cut, &Path) -> Result<(), String>,
    ) -> Result<usize, String> {
        let operations = self.operations();
        let mut disk = Disk::new(&self.lock().start);
        let mut marks = Vec::new();
        let mut checked = 0;
        for after in 0..=operations.len() {
            for (data, names) in fates(seeds) {
                let cut = Cut { after, data, names, marks: marks.clone() };
                let place = tempfile::tempdir().map_err(|error| error.to_string())?;
                disk.materialise(place.path(), data, names).map_err(|error| format!("{cut}: {error}"))?;
                check(&cut, place.path()).map_err(|why| explain(&cut, &why, &operations))?;
                checked += 1;
            }
            let Some(next) = operations.get(after) else { break };
            disk.perform(next);
            if let Operation::Mark(text) = next {
                marks.push(text.clone());
            }
        }
        Ok(checked)
    }
}

fn fates(seeds: u64) -> Vec<(Fate, Fate)> {
    let all: Vec<Fate> = [Fate::Kept, Fate::Lost].into_iter().chain((1..=seeds).map(Fate::Torn)).collect();
    all.iter().flat_map(|data| all.iter().map(|names| (*data, *names))).collect()
}

fn explain(cut: &Cut, why: &str, operations: &[Operation]) -> String {
    let done: Vec<String> =
        operations[..cut.after].iter().map(|one| format!("  {}", abridged(one))).collect();
    let shown = done.len().saturating_sub(30);
    format!("{cut}: {why}\nthe operations before it:\n{}", done[shown..].join("\n"))
}

fn abridged(operation: &Operation) -> String {
    match operation {
        Operation::Write { inode, offset, bytes } => {
            format!("Write {{ inode: {inode}, offset: {offset}, {} bytes }}", bytes.len())
        }
        other => format!("{other:?}"),
    }
}
