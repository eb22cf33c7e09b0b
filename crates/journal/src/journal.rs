//! The journal as programs use it: a store with a thread of its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use protogen_sys::files::{FileOps, RealFiles};

use crate::error::{JournalError, Refusal};
use crate::queue::{Producer, Queue, Turn, Writer};
use crate::reader::Reader;
use crate::settings::Settings;
use crate::store::{Recovery, Store, millis};

/// A message to be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The connection that it came from: it decides which outputs get it.
    pub connection: Arc<str>,
    /// When it came.
    pub time: SystemTime,
    /// The message itself, at most [`Settings::max_message`] bytes.
    pub bytes: Vec<u8>,
}

/// An open journal. Its directory is locked; dropped, it finishes what is queued, and gives the lock up.
pub struct Journal {
    directory: PathBuf,
    queue: Arc<Queue>,
    reader: Reader,
    writer: Arc<dyn Writer>,
    thread: Option<JoinHandle<()>>,
}

impl fmt::Debug for Journal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journal").field("directory", &self.directory).finish_non_exhaustive()
    }
}

impl Journal {
    /// Opens the journal in `directory`, which is made (mode 0700) if its parent exists, and starts its two threads:
    /// fork before.
    ///
    /// # Errors
    /// [`JournalError`]: above all [`Damaged`](JournalError::Damaged), which names the file and the offset.
    pub fn open(directory: &Path, settings: Settings) -> Result<(Journal, Recovery), JournalError> {
        Journal::open_with(RealFiles, directory, settings)
    }

    /// Opens a journal over other file operations than the system's.
    ///
    /// # Errors
    /// As [`Journal::open`].
    pub fn open_with<F>(
        files: F,
        directory: &Path,
        settings: Settings,
    ) -> Result<(Journal, Recovery), JournalError>
    where
        F: FileOps + 'static,
        F::File: 'static,
    {
        let queue = Arc::new(Queue::new(settings.queue_messages, settings.queue_bytes));
        let (store, recovery) = Store::open(Arc::new(files), directory, settings, true)?;
        let reader = Reader::of(directory, store.shared());
        let store = Arc::new(Shared(Mutex::new(Some(store))));
        let (writer, writers_queue) = (Arc::clone(&store), Arc::clone(&queue));
        let thread = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(&writer, &writers_queue))
            .map_err(|source| JournalError::File {
                path: directory.to_owned(),
                doing: "cannot start a thread",
                source,
            })?;
        Ok((
            Journal { directory: directory.to_owned(), queue, reader, writer: store, thread: Some(thread) },
            recovery,
        ))
    }

    /// A way in. `notify` is called by the writer after each group that has results for this producer; it must not
    /// wait: a [`Waker`](protogen_sys::event_loop::Waker) is what it is for.
    pub fn producer(&self, notify: impl Fn() + Send + Sync + 'static) -> Producer {
        Producer::new(Arc::clone(&self.queue), Arc::clone(&self.writer), Box::new(notify))
    }

    /// A way to read; any number of them, in any thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Goes on with other outputs, inputs, retention and longest message, as if it were closed and opened again: a change
    /// counts for messages that are stored from now on. Other settings stay as they were at the opening. Waits for the
    /// disk. Gives the names of outputs that are not configured any more, but in which messages wait or are dead.
    ///
    /// # Errors
    /// As [`Journal::open`], also for messages longer than half a segment of this size; nothing has changed then.
    pub fn configure(&self, settings: &Settings) -> Result<Vec<String>, JournalError> {
        // What is queued goes where it was meant to.
        self.writer.write(&self.queue, &[]);
        self.writer.configure(settings)
    }

    /// Removes what has been kept long enough at `now`, in the background. Call it every minute or so.
    pub fn prune(&self, now: SystemTime) {
        self.queue.prune(millis(now));
    }

    /// Finishes what is queued, makes it durable and closes the journal. Results can be collected afterwards.
    pub fn close(mut self) {
        self.finish();
    }

    fn finish(&mut self) {
        self.queue.close();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed; nothing more can be done about it here.
            let _ = thread.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The store, written by its own thread and by those that wait for the disk themselves; `None` when it is closed.
struct Shared<F: FileOps>(Mutex<Option<Store<F>>>);

impl<F: FileOps> Shared<F> {
    fn lock(&self) -> MutexGuard<'_, Option<Store<F>>> {
        // A store whose writer panicked has not reported what it was writing; what it has said stays true.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F> Writer for Shared<F>
where
    F: FileOps + 'static,
    F::File: 'static,
{
    fn write(&self, queue: &Queue, messages: &[Message]) -> Vec<Result<u64, Refusal>> {
        let mut store = self.lock();
        let Some(store) = store.as_mut() else { return vec![Err(Refusal::Failed); messages.len()] };
        // Taken only now: what is queued is written in its order, whoever writes it.
        let batch = queue.take();
        let (queued, prune) = (batch.messages.len(), batch.prune);
        let group: Vec<&Message> = batch.messages.iter().chain(messages).collect();
        let mut committed = store.commit(&group, &batch.deliveries);
        let own = committed.messages.split_off(queued);
        queue.complete(batch, committed.messages, committed.deliveries);
        if let Some(now) = prune {
            store.prune(now);
        }
        if store.wants_tick() {
            queue.tick_within(Store::<F>::TICK);
        }
        own
    }

    fn configure(&self, settings: &Settings) -> Result<Vec<String>, JournalError> {
        let closed = || JournalError::Setting("the journal is closed".to_owned());
        self.lock().as_mut().ok_or_else(closed)?.reconfigure(settings)
    }
}

/// The writer's thread.
fn write<F>(store: &Shared<F>, queue: &Queue)
where
    F: FileOps + 'static,
    F::File: 'static,
{
    loop {
        match queue.wait() {
            Turn::Write => drop(store.write(queue, &[])),
            Turn::Tick => {
                if let Some(store) = store.lock().as_mut() {
                    store.tick();
                    if store.wants_tick() {
                        queue.tick_within(Store::<F>::TICK);
                    }
                }
            }
            Turn::Closed => break,
        }
    }
    // Its lock goes with it, whoever could still write.
    if let Some(mut store) = store.lock().take() {
        store.finish();
    }
}
