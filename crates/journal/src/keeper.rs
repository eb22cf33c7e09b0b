//! What takes long and can be done beside the writing: filling a spare segment with zeros, and removing old ones.
//!
//! Done between two groups, either would hold up every sender for a tenth of a second and more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use protogen_sys::files::FileOps;

/// The name of the spare segment.
pub(crate) const SPARE: &str = "spare";
/// How much is written at once, in bytes; each piece is synced, so that the writer's syncs never wait for all of it.
const PIECE: u64 = 1 << 20;
/// The most jobs that wait: one spare, and removals.
const MAX_JOBS: usize = 256;

enum Job {
    Spare(u64),
    Remove(PathBuf),
}

enum Spare<F: FileOps> {
    None,
    Asked,
    Ready(F::File),
    Failed(io::Error),
}

enum Work<F: FileOps> {
    /// Everything is done at once, in the order in which it is asked for: for tests that count operations.
    Inline(Arc<F>),
    Thread {
        jobs: SyncSender<Job>,
        spares: Receiver<io::Result<F::File>>,
        thread: JoinHandle<()>,
    },
    /// The thread could not be started, or is gone.
    Nobody,
}

/// Keeps one spare segment ready and removes old segments.
pub(crate) struct Keeper<F: FileOps> {
    directory: PathBuf,
    spare: Spare<F>,
    work: Work<F>,
}

impl<F: FileOps + 'static> Keeper<F>
where
    F::File: 'static,
{
    /// One that works in a thread of its own, or at once.
    pub(crate) fn new(files: Arc<F>, directory: &Path, in_thread: bool) -> io::Result<Keeper<F>> {
        let directory = directory.to_owned();
        if !in_thread {
            return Ok(Keeper { directory, spare: Spare::None, work: Work::Inline(files) });
        }
        let (jobs, waiting) = sync_channel(MAX_JOBS);
        let (done, spares) = sync_channel(1);
        let place = directory.clone();
        let work = move || {
            let mut stuck = false;
            while let Ok(job) = waiting.recv() {
                match job {
                    // Fails when nobody needs a spare any more; removals that were asked for are done all the same.
                    Job::Spare(size) => drop(done.send(make(&*files, &place.join(SPARE), size))),
                    // What stays is found and removed at the next start. Nothing after it may go before it does: a
                    // segment that is missing between two is damage.
                    Job::Remove(path) => stuck = stuck || !remove(&*files, &path),
                }
            }
        };
        let thread = std::thread::Builder::new().name("journal-keeper".to_owned()).spawn(work)?;
        Ok(Keeper { directory, spare: Spare::None, work: Work::Thread { jobs, spares, thread } })
    }
}

impl<F: FileOps> Keeper<F> {
    /// Asks for a spare of `size` bytes, unless there is one or it is being made.
    pub(crate) fn ask(&mut self, size: u64) {
        self.collect(false);
        if matches!(self.spare, Spare::Asked | Spare::Ready(_)) {
            return;
        }
        self.spare = match &self.work {
            Work::Inline(files) => finished(make(&**files, &self.directory.join(SPARE), size)),
            Work::Thread { jobs, .. } => match jobs.try_send(Job::Spare(size)) {
                Ok(()) => Spare::Asked,
                Err(_) => Spare::Failed(gone()),
            },
            Work::Nobody => Spare::Failed(gone()),
        };
    }

    /// Whether a spare is ready, after waiting for one that is being made.
    pub(crate) fn wait(&mut self) -> bool {
        self.collect(true);
        matches!(self.spare, Spare::Ready(_))
    }

    /// Takes the spare, or the reason why there is none; waits for one that is being made.
    pub(crate) fn take(&mut self) -> io::Result<F::File> {
        self.collect(true);
        match std::mem::replace(&mut self.spare, Spare::None) {
            Spare::Ready(file) => Ok(file),
            Spare::Failed(error) => Err(error),
            Spare::None | Spare::Asked => Err(gone()),
        }
    }

    /// Removes a file, soon; false when too much waits to be removed: try again later.
    pub(crate) fn remove(&mut self, path: PathBuf) -> bool {
        match &self.work {
            Work::Inline(files) => remove(&**files, &path),
            Work::Thread { jobs, .. } => jobs.try_send(Job::Remove(path)).is_ok(),
            Work::Nobody => false,
        }
    }

    fn collect(&mut self, wait: bool) {
        if !matches!(self.spare, Spare::Asked) {
            return;
        }
        let Work::Thread { spares, .. } = &self.work else { return };
        let result = if wait { spares.recv().ok() } else { spares.try_recv().ok() };
        match result {
            Some(result) => self.spare = finished(result),
            None if wait => self.spare = Spare::Failed(gone()),
            None => {}
        }
    }
}

impl<F: FileOps> Drop for Keeper<F> {
    /// Finishes what was asked for.
    fn drop(&mut self) {
        if let Work::Thread { jobs, spares, thread } = std::mem::replace(&mut self.work, Work::Nobody) {
            drop(jobs);
            drop(spares);
            // A panic of the thread was printed; there is nothing to add here.
            let _ = thread.join();
        }
    }
}

fn finished<F: FileOps>(made: io::Result<F::File>) -> Spare<F> {
    made.map_or_else(Spare::Failed, Spare::Ready)
}

fn gone() -> io::Error {
    io::Error::other("nobody prepares segments")
}

/// Whether the file is gone.
fn remove<F: FileOps>(files: &F, path: &Path) -> bool {
    files.remove(path).map_or_else(|error| error.kind() == io::ErrorKind::NotFound, |()| true)
}

/// Makes a file of zeros that are on the disk: writing over them changes no metadata, so that a sync costs one write.
fn make<F: FileOps>(files: &F, path: &Path, size: u64) -> io::Result<F::File> {
    // One that a failure left may have been written to.
    match files.remove(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = files.create(path)?;
    match fill(files, &file, size) {
        Ok(()) => Ok(file),
        Err(error) => {
            drop(file);
            // Half a spare would only take the room that is missing.
            let _ = files.remove(path);
            Err(error)
        }
    }
}

fn fill<F: FileOps>(files: &F, file: &F::File, size: u64) -> io::Result<()> {
    files.preallocate(file, size)?;
    let zeros = vec![0; usize::try_from(size.min(PIECE)).unwrap_or_default()];
    let mut offset = 0;
    while offset < size {
        let piece =
            &zeros[..usize::try_from(size - offset).map_or(zeros.len(), |left| left.min(zeros.len()))];
        files.write_at(file, piece, offset)?;
        files.sync_data(file)?;
        offset += piece.len() as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use protogen_sys::files::RealFiles;
    use protogen_testkit::Dir;

    use super::*;

    #[test]
    fn nothing_goes_before_what_was_to_go_first() {
        let dir = Dir::new();
        for stuck in [false, true] {
            let mut keeper = Keeper::new(Arc::new(RealFiles), dir.path(), true).unwrap();
            let (first, second) = (dir.join("first"), dir.write("second", ""));
            if stuck {
                // No file, and so not removed as one.
                dir.make("first");
            }
            assert!(keeper.remove(first) && keeper.remove(second.clone()));
            drop(keeper);
            assert_eq!(second.exists(), stuck);
        }
    }
}
