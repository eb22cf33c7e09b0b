//! The journal as programs use it: a store with a thread of its own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Instant, SystemTime};

use protogen_sys::files::{FileOps, RealFiles};

use crate::error::JournalError;
use crate::queue::{Producer, Queue, Turn};
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
    writer: Option<JoinHandle<()>>,
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
        let writers_queue = Arc::clone(&queue);
        let writer = std::thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || write(store, &writers_queue))
            .map_err(|source| JournalError::File {
                path: directory.to_owned(),
                doing: "cannot start a thread",
                source,
            })?;
        Ok((Journal { directory: directory.to_owned(), queue, reader, writer: Some(writer) }, recovery))
    }

    /// A way in. `notify` is called by the writer after each group that has results for this producer; it must not
    /// wait: a [`Waker`](protogen_sys::event_loop::Waker) is what it is for.
    pub fn producer(&self, notify: impl Fn() + Send + Sync + 'static) -> Producer {
        Producer::new(Arc::clone(&self.queue), Box::new(notify))
    }

    /// A way to read; any number of them, in any thread.
    #[must_use]
    pub fn reader(&self) -> Reader {
        self.reader.clone()
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
        if let Some(writer) = self.writer.take() {
            // A panic of the thread was printed; nothing more can be done about it here.
            let _ = writer.join();
        }
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The writer's thread.
fn write<F: FileOps>(mut store: Store<F>, queue: &Queue) {
    let mut due = None;
    loop {
        match queue.take(due) {
            Turn::Batch(batch) => {
                let committed = store.commit(&batch.messages, &batch.deliveries);
                let prune = batch.prune;
                queue.complete(batch, committed.messages, committed.deliveries);
                if let Some(now) = prune {
                    store.prune(now);
                }
            }
            Turn::TimeOut => {}
            Turn::Closed => break,
        }
        let now = Instant::now();
        if due.is_some_and(|due| due <= now) {
            store.tick();
            due = None;
        }
        // Set once and kept under load: a record waits no longer because others follow it.
        due = if store.wants_tick() { due.or(Some(now + Store::<F>::TICK)) } else { None };
    }
    store.finish();
}
