//! The way to the writer and back: a bounded queue in, a list of results for each producer out.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::{JournalError, Refusal};
use crate::journal::Message;
use crate::settings::Settings;
use crate::store::Delivery;

/// The most delivery records that are queued or whose refusals are not collected yet.
const MAX_DELIVERIES: usize = 16_384;

/// A result, handed back to the producer that asked.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Completion {
    /// The message is stored, on stable storage unless the journal is not durable: it may be acknowledged.
    Stored {
        /// As given to [`Producer::append`].
        tag: u64,
        /// Its number, which grows in the order of storing.
        sequence: u64,
    },
    /// The message is not stored; its sender must send it again.
    Refused {
        /// As given to [`Producer::append`].
        tag: u64,
        /// Why.
        refusal: Refusal,
    },
    /// A delivery record was not taken. With [`Refusal::Full`] or [`Refusal::Failed`], record it again later.
    Unrecorded {
        /// What was to be recorded.
        delivery: Delivery,
        /// Why not.
        refusal: Refusal,
    },
}

impl Completion {
    fn of(tag: u64, result: Result<u64, Refusal>) -> Completion {
        match result {
            Ok(sequence) => Completion::Stored { tag, sequence },
            Err(refusal) => Completion::Refused { tag, refusal },
        }
    }
}

type Notify = Box<dyn Fn() + Send + Sync>;

/// Where a producer finds its results.
struct Mailbox {
    results: Mutex<Vec<Completion>>,
    arrived: Condvar,
    notify: Notify,
    /// Whether it is on the list of those to be told about this group.
    listed: AtomicBool,
    gone: AtomicBool,
}

/// The queue between producers and the writer.
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    filled: Condvar,
    /// Messages that are queued, being written, or reported and not collected.
    messages: AtomicUsize,
    deliveries: AtomicUsize,
    max_messages: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Waiting {
    batch: Batch,
    /// Bytes of the messages that are queued or being written.
    bytes: usize,
    /// When the store wants its next tick.
    tick: Option<Instant>,
    closed: bool,
}

/// All that waited when the writer came.
#[derive(Default)]
pub(crate) struct Batch {
    pub messages: Vec<Message>,
    senders: Vec<(u64, Arc<Mailbox>)>,
    pub deliveries: Vec<Delivery>,
    recorders: Vec<Arc<Mailbox>>,
    /// The newest time at which pruning was asked for.
    pub prune: Option<u64>,
}

/// What the writer does next.
pub(crate) enum Turn {
    /// Something waits.
    Write,
    /// Records wait for their sync.
    Tick,
    Closed,
}

/// Where groups are written: the store, whatever files it is over.
pub(crate) trait Writer: Send + Sync {
    /// Writes all that waits in the queue and then `messages` as one group, reports what waited, and gives the
    /// results of `messages`.
    fn write(&self, queue: &Queue, messages: &[Message]) -> Vec<Result<u64, Refusal>>;

    /// Goes on with other settings; see [`Journal::configure`](crate::Journal::configure).
    fn configure(&self, settings: &Settings) -> Result<Vec<String>, JournalError>;
}

impl Queue {
    pub(crate) fn new(max_messages: usize, max_bytes: usize) -> Queue {
        Queue {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            messages: AtomicUsize::new(0),
            deliveries: AtomicUsize::new(0),
            max_messages,
            max_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Every change is whole before the next call that could panic.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is something to write, or a tick is due.
    pub(crate) fn wait(&self) -> Turn {
        let mut waiting = self.lock();
        loop {
            if !waiting.batch.is_empty() {
                return Turn::Write;
            }
            if waiting.closed {
                return Turn::Closed;
            }
            waiting = match waiting.tick.map(|due| due.saturating_duration_since(Instant::now())) {
                None => self.filled.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => {
                    waiting.tick = None;
                    return Turn::Tick;
                }
                Some(left) => {
                    self.filled.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes all that waits, for whoever holds the store.
    pub(crate) fn take(&self) -> Batch {
        std::mem::take(&mut self.lock().batch)
    }

    /// A tick within `limit`. One that is set already stays: a record waits no longer because others follow it.
    pub(crate) fn tick_within(&self, limit: Duration) {
        let mut waiting = self.lock();
        if waiting.tick.is_none() {
            waiting.tick = Some(Instant::now() + limit);
            drop(waiting);
            self.filled.notify_one();
        }
    }

    /// No more is taken in; the writer finishes what waits.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
    }

    pub(crate) fn prune(&self, now: u64) {
        let mut waiting = self.lock();
        waiting.batch.prune = waiting.batch.prune.max(Some(now));
        self.filled.notify_one();
    }

    /// Hands the results of a batch back, each to its producer.
    pub(crate) fn complete(
        &self,
        batch: Batch,
        messages: Vec<Result<u64, Refusal>>,
        deliveries: Vec<Result<(), Refusal>>,
    ) {
        let bytes: usize = batch.messages.iter().map(|message| message.bytes.len()).sum();
        {
            let mut waiting = self.lock();
            waiting.bytes = waiting.bytes.saturating_sub(bytes);
        }
        let mut told = Vec::new();
        for ((tag, mailbox), result) in batch.senders.into_iter().zip(messages) {
            self.deliver(mailbox, Completion::of(tag, result), &mut told);
        }
        for ((mailbox, delivery), result) in batch.recorders.into_iter().zip(batch.deliveries).zip(deliveries)
        {
            match result {
                Ok(()) => release(&self.deliveries, 1),
                Err(refusal) => {
                    self.deliver(mailbox, Completion::Unrecorded { delivery, refusal }, &mut told);
                }
            }
        }
        for mailbox in told {
            mailbox.listed.store(false, Ordering::Release);
            mailbox.arrived.notify_all();
            (mailbox.notify)();
        }
    }

    fn deliver(&self, mailbox: Arc<Mailbox>, completion: Completion, told: &mut Vec<Arc<Mailbox>>) {
        let mut results = mailbox.lock();
        if mailbox.gone.load(Ordering::Acquire) {
            self.collected(&completion);
            return;
        }
        results.push(completion);
        drop(results);
        if !mailbox.listed.swap(true, Ordering::AcqRel) {
            told.push(mailbox);
        }
    }

    fn collected(&self, completion: &Completion) {
        match completion {
            Completion::Unrecorded { .. } => release(&self.deliveries, 1),
            _ => release(&self.messages, 1),
        }
    }
}

impl Batch {
    fn is_empty(&self) -> bool {
        self.messages.is_empty() && self.deliveries.is_empty() && self.prune.is_none()
    }
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Vec<Completion>> {
        self.results.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One place per unit; false when all are taken.
fn reserve(counter: &AtomicUsize, max: usize) -> bool {
    counter
        .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < max).then(|| count + 1))
        .is_ok()
}

fn release(counter: &AtomicUsize, count: usize) {
    counter.fetch_sub(count, Ordering::AcqRel);
}

/// Hands messages and delivery records to the writer, and takes their results.
///
/// Its results are kept until they are collected and count towards the queue's bound.
pub struct Producer {
    queue: Arc<Queue>,
    writer: Arc<dyn Writer>,
    mailbox: Arc<Mailbox>,
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer").finish_non_exhaustive()
    }
}

impl Producer {
    pub(crate) fn new(queue: Arc<Queue>, writer: Arc<dyn Writer>, notify: Notify) -> Producer {
        let mailbox = Mailbox {
            results: Mutex::default(),
            arrived: Condvar::new(),
            notify,
            listed: AtomicBool::new(false),
            gone: AtomicBool::new(false),
        };
        Producer { queue, writer, mailbox: Arc::new(mailbox) }
    }

    /// A further way in, whose results are its own: for somebody who must not collect those of this one. It keeps no
    /// journal open, and nobody is told of its results.
    #[must_use]
    pub fn another(&self) -> Producer {
        Producer::new(Arc::clone(&self.queue), Arc::clone(&self.writer), Box::new(|| {}))
    }

    /// Queues a message; its result bears the tag.
    ///
    /// # Errors
    /// The message, when the queue is full or the journal is closed: read no more from its sender until results
    /// were collected.
    pub fn append(&self, tag: u64, message: Message) -> Result<(), Message> {
        self.put(&mut self.queue.lock(), tag, message)?;
        self.queue.filled.notify_one();
        Ok(())
    }

    /// Queues messages from the front of `messages`, so that the writer takes them as one group: better than one by
    /// one for a loop that has read from many senders. What stays did not fit, as with [`append`](Producer::append).
    pub fn append_all(&self, messages: &mut VecDeque<(u64, Message)>) {
        let mut waiting = self.queue.lock();
        while let Some((tag, message)) = messages.pop_front() {
            if let Err(message) = self.put(&mut waiting, tag, message) {
                messages.push_front((tag, message));
                break;
            }
        }
        drop(waiting);
        self.queue.filled.notify_one();
    }

    /// Stores messages in the caller's thread, as one group with all that is queued, and waits for the disk: the way
    /// for a thread that can do nothing before its messages are stored, since no other thread has to be woken.
    ///
    /// Gives for each message its number, or why it is not stored.
    pub fn store(&self, messages: &[Message]) -> Vec<Result<u64, Refusal>> {
        self.writer.write(&self.queue, messages)
    }

    fn put(&self, waiting: &mut Waiting, tag: u64, message: Message) -> Result<(), Message> {
        let size = message.bytes.len();
        let too_much = waiting.bytes > 0 && waiting.bytes.saturating_add(size) > self.queue.max_bytes;
        if waiting.closed || too_much || !reserve(&self.queue.messages, self.queue.max_messages) {
            return Err(message);
        }
        waiting.bytes += size;
        waiting.batch.messages.push(message);
        waiting.batch.senders.push((tag, Arc::clone(&self.mailbox)));
        Ok(())
    }

    /// Queues a delivery record. Only a refusal of it is reported back.
    ///
    /// # Errors
    /// The record, when too many wait or the journal is closed: deliver nothing more until it was taken.
    pub fn record(&self, delivery: Delivery) -> Result<(), Delivery> {
        if !reserve(&self.queue.deliveries, MAX_DELIVERIES) {
            return Err(delivery);
        }
        let mut waiting = self.queue.lock();
        if waiting.closed {
            release(&self.queue.deliveries, 1);
            return Err(delivery);
        }
        waiting.batch.deliveries.push(delivery);
        waiting.batch.recorders.push(Arc::clone(&self.mailbox));
        drop(waiting);
        self.queue.filled.notify_one();
        Ok(())
    }

    /// Moves the results that are there into `results`, oldest first.
    pub fn completions(&self, results: &mut Vec<Completion>) {
        let from = results.len();
        results.append(&mut self.mailbox.lock());
        results[from..].iter().for_each(|completion| self.queue.collected(completion));
    }

    /// Like [`completions`](Producer::completions), but waits until there is one, at most for `limit`: for a thread
    /// that has nothing else to do.
    pub fn wait(&self, results: &mut Vec<Completion>, limit: Duration) {
        let due = Instant::now() + limit;
        let mut mailbox = self.mailbox.lock();
        while mailbox.is_empty() {
            let left = due.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            mailbox =
                self.mailbox.arrived.wait_timeout(mailbox, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        drop(mailbox);
        self.completions(results);
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        let mut results = self.mailbox.lock();
        self.mailbox.gone.store(true, Ordering::Release);
        results.drain(..).for_each(|completion| self.queue.collected(&completion));
    }
}
