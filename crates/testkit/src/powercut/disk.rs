//! What the disk holds after some operations, and what of it a power cut leaves.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use super::replay::Fate;
use super::{Inode, Operation, Start, parent};
use crate::random::Random;

/// The disk: every operation on it, each with its state of durability.
#[derive(Debug, Default)]
pub(super) struct Disk {
    data: BTreeMap<Inode, Vec<(DataOperation, State)>>,
    names: Vec<(NameOperation, State)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Pending,
    Durable,
    /// Caught in a failed sync: open for ever.
    Unknown,
}

#[derive(Debug)]
enum DataOperation {
    Write { offset: u64, bytes: Vec<u8> },
    SetLength(u64),
    AtLeast(u64),
}

#[derive(Debug)]
enum NameOperation {
    Create { path: PathBuf, inode: Inode },
    Rename { inode: Inode, from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
    CreateDirectory { path: PathBuf },
}

impl NameOperation {
    /// A rename becomes durable with the directory that it leads to: that is where the file must be found.
    fn directory(&self) -> &Path {
        match self {
            NameOperation::Create { path, .. }
            | NameOperation::Remove { path }
            | NameOperation::CreateDirectory { path } => parent(path),
            NameOperation::Rename { to, .. } => parent(to),
        }
    }

    fn inode(&self) -> Option<Inode> {
        match self {
            NameOperation::Create { inode, .. } | NameOperation::Rename { inode, .. } => Some(*inode),
            _ => None,
        }
    }
}

impl Disk {
    pub(super) fn new(start: &[(PathBuf, Start)]) -> Disk {
        let mut disk = Disk::default();
        for (path, what) in start {
            let operation = match what {
                Start::Directory => NameOperation::CreateDirectory { path: path.clone() },
                Start::File { inode, bytes } => {
                    let write = DataOperation::Write { offset: 0, bytes: bytes.clone() };
                    disk.data.insert(*inode, vec![(write, State::Durable)]);
                    NameOperation::Create { path: path.clone(), inode: *inode }
                }
            };
            disk.names.push((operation, State::Durable));
        }
        disk
    }

    pub(super) fn perform(&mut self, operation: &Operation) {
        match operation.clone() {
            Operation::Create { path, inode } => self.name(NameOperation::Create { path, inode }),
            Operation::Rename { inode, from, to } => self.name(NameOperation::Rename { inode, from, to }),
            Operation::Remove { path } => self.name(NameOperation::Remove { path }),
            Operation::CreateDirectory { path } => self.name(NameOperation::CreateDirectory { path }),
            Operation::SyncDirectory { path } => self.sync_directory(&path),
            Operation::Write { inode, offset, bytes } => {
                self.data(inode, DataOperation::Write { offset, bytes });
            }
            Operation::SetLength { inode, length } => self.data(inode, DataOperation::SetLength(length)),
            Operation::Preallocate { inode, length } => self.data(inode, DataOperation::AtLeast(length)),
            Operation::Sync { inode } => self.settle(inode, State::Durable),
            Operation::FailedSync { inode } => self.settle(inode, State::Unknown),
            Operation::Mark(_) => {}
        }
    }

    fn name(&mut self, operation: NameOperation) {
        self.names.push((operation, State::Pending));
    }

    fn data(&mut self, inode: Inode, operation: DataOperation) {
        self.data.entry(inode).or_default().push((operation, State::Pending));
    }

    fn settle(&mut self, inode: Inode, state: State) {
        for pending in self.data.entry(inode).or_default().iter_mut().filter(|one| one.1 == State::Pending) {
            pending.1 = state;
        }
    }

    /// Names in this directory become durable, and with them what happened to the same files before: a file system
    /// does not forget that a file was made when it knows that it was renamed.
    fn sync_directory(&mut self, directory: &Path) {
        let touched: Vec<Inode> = self
            .names
            .iter()
            .filter(|(operation, _)| operation.directory() == directory)
            .filter_map(|(operation, _)| operation.inode())
            .collect();
        let last = self.names.iter().rposition(|(operation, _)| operation.directory() == directory);
        for (index, (operation, state)) in self.names.iter_mut().enumerate() {
            let same_file = operation.inode().is_some_and(|inode| touched.contains(&inode));
            if operation.directory() == directory || same_file && Some(index) <= last {
                *state = State::Durable;
            }
        }
    }

    /// Writes to `target` what a power cut leaves.
    pub(super) fn materialise(&self, target: &Path, data: Fate, names: Fate) -> io::Result<()> {
        for (path, inode) in self.surviving_names(names) {
            let place = target.join(&path);
            if !place.parent().is_some_and(Path::is_dir) {
                continue; // its directory was lost, and the file with it
            }
            match inode {
                None => std::fs::DirBuilder::new().mode(0o700).create(place)?,
                Some(inode) => std::fs::write(place, self.surviving_bytes(inode, data))?,
            }
        }
        Ok(())
    }

    /// Sorted, so that a directory comes before what it holds.
    fn surviving_names(&self, fate: Fate) -> BTreeMap<PathBuf, Option<Inode>> {
        let mut tree = BTreeMap::new();
        let mut random = fate.random(0);
        let pending = self.names.iter().filter(|one| one.1 != State::Durable).count();
        // The journal of a file system is written in order: what survives is a prefix.
        let mut surviving = match fate {
            Fate::Kept => pending,
            Fate::Lost => 0,
            Fate::Torn(_) => random.below(pending as u64 + 1) as usize,
        };
        for (operation, state) in &self.names {
            if *state != State::Durable {
                if surviving == 0 {
                    continue;
                }
                surviving -= 1;
            }
            match operation {
                NameOperation::Create { path, inode } => tree.insert(path.clone(), Some(*inode)),
                NameOperation::CreateDirectory { path } => tree.insert(path.clone(), None),
                NameOperation::Remove { path } => tree.remove(path),
                NameOperation::Rename { inode, from, to } => {
                    tree.remove(from);
                    tree.insert(to.clone(), Some(*inode))
                }
            };
        }
        tree
    }

    fn surviving_bytes(&self, inode: Inode, fate: Fate) -> Vec<u8> {
        let mut random = fate.random(inode);
        let mut content = Vec::new();
        for (operation, state) in self.data.get(&inode).into_iter().flatten() {
            match fate {
                _ if *state == State::Durable => operation.apply(&mut content, None),
                Fate::Kept => operation.apply(&mut content, None),
                Fate::Lost => {}
                Fate::Torn(_) => match random.below(3) {
                    0 => {}
                    1 => operation.apply(&mut content, None),
                    _ => operation.apply(&mut content, Some(&mut random)),
                },
            }
        }
        content
    }
}

impl DataOperation {
    /// Does it to `content`; with `tear`, only a part of a write arrives.
    fn apply(&self, content: &mut Vec<u8>, tear: Option<&mut Random>) {
        match self {
            DataOperation::SetLength(length) => content.resize(*length as usize, 0),
            DataOperation::AtLeast(length) => content.resize(content.len().max(*length as usize), 0),
            DataOperation::Write { offset, bytes } => {
                let arrived =
                    tear.map_or(bytes.len(), |random| random.below(bytes.len() as u64 + 1) as usize);
                let (start, end) = (*offset as usize, *offset as usize + arrived);
                if arrived > 0 {
                    content.resize(content.len().max(end), 0);
                    content[start..end].copy_from_slice(&bytes[..arrived]);
                }
            }
        }
    }
}
