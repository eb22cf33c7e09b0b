//! Cuts the power at every file operation of a program under test.
//!
//! A [`Recorder`] performs the operations of [`FileOps`] on real files below a directory and keeps a list of them.
//! [`Recorder::replay`] then rebuilds, for every prefix of that list and several fates of what was not synced, the
//! directory that a power cut may have left, and hands it to a check. The test marks what it promised to others
//! ([`Recorder::mark`]: "acknowledged 17"), and the check finds the marks that came before the cut.
//!
//! The model is harsher than common file systems: a file's bytes survive only its own sync, a name only the sync of
//! its directory, and unsynced writes may arrive in any subset, each whole or in part.

mod disk;
mod replay;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protogen_sys::files::{FileOps, RealFiles, directory_of};

pub use replay::{Cut, Fate};

/// Records and performs file operations below one directory. Clones share the record.
#[derive(Debug, Clone)]
pub struct Recorder {
    root: PathBuf,
    record: Arc<Mutex<Record>>,
}

/// A file opened through a [`Recorder`].
#[derive(Debug)]
pub struct RecordedFile {
    file: File,
    inode: Inode,
}

type Inode = u64;

#[derive(Debug, Default)]
struct Record {
    /// What the directory held when recording began; it counts as durable.
    start: Vec<(PathBuf, Start)>,
    operations: Vec<Operation>,
    /// The files as they are named now.
    names: BTreeMap<PathBuf, Inode>,
    next_inode: Inode,
    attempted: usize,
    faults: Vec<(usize, io::ErrorKind)>,
}

#[derive(Debug, Clone)]
enum Start {
    File { inode: Inode, bytes: Vec<u8> },
    Directory,
}

/// What was done, with paths relative to the recorder's directory.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // each is the operation of FileOps that it is named for
pub enum Operation {
    Create {
        path: PathBuf,
        inode: u64,
    },
    Write {
        inode: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLength {
        inode: u64,
        length: u64,
    },
    Preallocate {
        inode: u64,
        length: u64,
    },
    Sync {
        inode: u64,
    },
    /// A sync that failed: what was unsynced may or may not reach the disk, and no later sync makes it sure.
    FailedSync {
        inode: u64,
    },
    Rename {
        inode: u64,
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    CreateDirectory {
        path: PathBuf,
    },
    SyncDirectory {
        path: PathBuf,
    },
    Mark(String),
}

impl Recorder {
    /// Begins to record below `root`; what is there now counts as durable.
    ///
    /// # Errors
    /// When `root` cannot be read.
    pub fn new(root: &Path) -> io::Result<Recorder> {
        let mut record = Record::default();
        record.take_in(root, Path::new(""))?;
        Ok(Recorder { root: root.to_owned(), record: Arc::new(Mutex::new(record)) })
    }

    /// Notes a promise, such as an acknowledgment sent.
    pub fn mark(&self, text: impl Into<String>) {
        self.lock().operations.push(Operation::Mark(text.into()));
    }

    /// Makes the operation with this number fail (0 is the first one attempted; reading is not counted).
    /// A write that fails has written half of its bytes.
    pub fn fail_at(&self, number: usize, kind: io::ErrorKind) {
        self.lock().faults.push((number, kind));
    }

    /// How many operations were attempted so far.
    #[must_use]
    pub fn attempted(&self) -> usize {
        self.lock().attempted
    }

    /// The operations so far.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.lock().operations.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn relative(&self, path: &Path) -> io::Result<PathBuf> {
        let outside = || io::Error::other(format!("{} is not below {}", path.display(), self.root.display()));
        path.strip_prefix(&self.root).map(Path::to_owned).map_err(|_| outside())
    }
}

impl Record {
    fn take_in(&mut self, root: &Path, below: &Path) -> io::Result<()> {
        for entry in root.join(below).read_dir()? {
            let path = below.join(entry?.file_name());
            if root.join(&path).is_dir() {
                self.start.push((path.clone(), Start::Directory));
                self.take_in(root, &path)?;
            } else {
                let bytes = std::fs::read(root.join(&path))?;
                let inode = self.new_file(path.clone());
                self.start.push((path, Start::File { inode, bytes }));
            }
        }
        Ok(())
    }

    fn new_file(&mut self, path: PathBuf) -> Inode {
        self.next_inode += 1;
        self.names.insert(path, self.next_inode);
        self.next_inode
    }

    /// Counts an attempt and says whether it is to fail.
    fn attempt(&mut self) -> io::Result<()> {
        let number = self.attempted;
        self.attempted += 1;
        match self.faults.iter().find(|fault| fault.0 == number) {
            Some((_, kind)) => Err(io::Error::from(*kind)),
            None => Ok(()),
        }
    }

    fn renamed(&mut self, from: PathBuf, to: PathBuf) -> io::Result<()> {
        let inode = self.names.remove(&from).ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, format!("{} is no recorded file", from.display()))
        })?;
        self.names.insert(to.clone(), inode);
        self.operations.push(Operation::Rename { inode, from, to });
        Ok(())
    }
}

impl FileOps for Recorder {
    type File = RecordedFile;

    fn create(&self, path: &Path) -> io::Result<RecordedFile> {
        let mut record = self.lock();
        record.attempt()?;
        let path_below = self.relative(path)?;
        let file = RealFiles.create(path)?;
        let inode = record.new_file(path_below.clone());
        record.operations.push(Operation::Create { path: path_below, inode });
        Ok(RecordedFile { file, inode })
    }

    fn open(&self, path: &Path) -> io::Result<RecordedFile> {
        let record = self.lock();
        let path_below = self.relative(path)?;
        let file = RealFiles.open(path)?;
        let inode = *record.names.get(&path_below).ok_or(io::ErrorKind::NotFound)?;
        Ok(RecordedFile { file, inode })
    }

    fn write_at(&self, file: &RecordedFile, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut record = self.lock();
        let outcome = record.attempt();
        let bytes = if outcome.is_ok() { bytes } else { &bytes[..bytes.len() / 2] };
        RealFiles.write_at(&file.file, bytes, offset)?;
        record.operations.push(Operation::Write { inode: file.inode, offset, bytes: bytes.to_vec() });
        outcome
    }

    fn read_at(&self, file: &RecordedFile, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        RealFiles.read_at(&file.file, buffer, offset)
    }

    fn len(&self, file: &RecordedFile) -> io::Result<u64> {
        RealFiles.len(&file.file)
    }

    fn set_len(&self, file: &RecordedFile, length: u64) -> io::Result<()> {
        let mut record = self.lock();
        record.attempt()?;
        RealFiles.set_len(&file.file, length)?;
        record.operations.push(Operation::SetLength { inode: file.inode, length });
        Ok(())
    }

    fn preallocate(&self, file: &RecordedFile, length: u64) -> io::Result<()> {
        let mut record = self.lock();
        record.attempt()?;
        RealFiles.preallocate(&file.file, length)?;
        record.operations.push(Operation::Preallocate { inode: file.inode, length });
        Ok(())
    }

    /// Recorded, but not performed: the replay decides what is durable, and the test is fast.
    fn sync_data(&self, file: &RecordedFile) -> io::Result<()> {
        let mut record = self.lock();
        let outcome = record.attempt();
        let inode = file.inode;
        let operation =
            if outcome.is_ok() { Operation::Sync { inode } } else { Operation::FailedSync { inode } };
        record.operations.push(operation);
        outcome
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut record = self.lock();
        record.attempt()?;
        let (from_below, to_below) = (self.relative(from)?, self.relative(to)?);
        RealFiles.rename(from, to)?;
        record.renamed(from_below, to_below)
    }

    fn rename_new(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut record = self.lock();
        record.attempt()?;
        let (from_below, to_below) = (self.relative(from)?, self.relative(to)?);
        RealFiles.rename_new(from, to)?;
        record.renamed(from_below, to_below)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut record = self.lock();
        record.attempt()?;
        let path_below = self.relative(path)?;
        RealFiles.remove(path)?;
        record.names.remove(&path_below);
        record.operations.push(Operation::Remove { path: path_below });
        Ok(())
    }

    fn create_directory(&self, path: &Path) -> io::Result<()> {
        let mut record = self.lock();
        record.attempt()?;
        let path_below = self.relative(path)?;
        RealFiles.create_directory(path)?;
        record.operations.push(Operation::CreateDirectory { path: path_below });
        Ok(())
    }

    /// Recorded, but not performed, as [`sync_data`](FileOps::sync_data).
    fn sync_directory(&self, path: &Path) -> io::Result<()> {
        let mut record = self.lock();
        record.attempt()?;
        let path = self.relative(path)?;
        record.operations.push(Operation::SyncDirectory { path });
        Ok(())
    }
}

/// The directory of a path below the root; the root itself is the empty path.
fn parent(path: &Path) -> &Path {
    if path.components().count() < 2 { Path::new("") } else { directory_of(path) }
}
