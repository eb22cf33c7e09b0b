//! Messages for an outgoing socket, read from the journal by a thread: the event loop never waits for the disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use protogen_journal::{Journal, OutputReader, Producer, Stored};
use protogen_sys::event_loop::Waker;

use crate::backoff::Backoff;
use crate::bell::Bell;
use crate::log;

/// The most messages, and about the most bytes, that are read ahead. A longer message is read ahead alone.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 1 << 20;
/// The bell is not relied upon alone.
const LOOK: Duration = Duration::from_secs(30);

/// The messages of one output, in order.
#[derive(Debug)]
pub(crate) struct Feed {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    /// Rung when a message was stored; not listened to while enough is read ahead.
    bell: Arc<Bell>,
    /// Rung when half of what was read ahead is gone.
    room: Bell,
    ahead: Mutex<Ahead>,
}

#[derive(Debug, Default)]
struct Ahead {
    messages: VecDeque<Stored>,
    bytes: usize,
    /// How often what waits was to be looked up anew.
    turn: u64,
}

impl Ahead {
    fn has_room(&self) -> bool {
        self.messages.len() < AHEAD && self.bytes < AHEAD_BYTES
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Ahead> {
        self.ahead.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Feed {
    /// Starts it for an output of the journal.
    pub(crate) fn of(
        journal: &Journal,
        name: &str,
        bell: Arc<Bell>,
        waker: Arc<Waker>,
    ) -> std::io::Result<Feed> {
        let missing = || std::io::Error::other(format!("the journal has no output {name}"));
        let reader = journal.reader().output(name).ok_or_else(missing)?;
        Feed::start(name, reader, journal.producer(|| {}), bell, waker)
    }

    /// Starts the thread. `bell` is rung when a message for this output was stored; `waker` when one can be taken.
    fn start(
        name: &str,
        reader: OutputReader,
        records: Producer,
        bell: Arc<Bell>,
        waker: Arc<Waker>,
    ) -> std::io::Result<Feed> {
        let shared = Arc::new(Shared { bell, room: Bell::default(), ahead: Mutex::default() });
        let (threads, name) = (Arc::clone(&shared), name.to_owned());
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || read(&name, reader, &records, &threads, &waker))?;
        Ok(Feed { shared, thread: Some(thread) })
    }

    /// The next message, if it is there already.
    pub(crate) fn take(&self) -> Option<Stored> {
        let mut ahead = self.shared.lock();
        let stored = ahead.messages.pop_front()?;
        ahead.bytes -= stored.bytes.len();
        // Asked for more while half of it is still there.
        let ask = ahead.messages.len() == AHEAD / 2 || ahead.messages.is_empty();
        drop(ahead);
        if ask {
            self.shared.room.ring();
        }
        Some(stored)
    }

    /// Looks up anew what waits: somebody else has changed it.
    pub(crate) fn rewind(&self) {
        let mut ahead = self.shared.lock();
        *ahead = Ahead { turn: ahead.turn + 1, ..Ahead::default() };
        drop(ahead);
        self.shared.room.ring();
        self.shared.bell.ring();
    }

    pub(crate) fn bell(&self) -> &Arc<Bell> {
        &self.shared.bell
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.shared.bell.stop();
        self.shared.room.stop();
        if let Some(thread) = self.thread.take() {
            // A panic was printed by then.
            let _ = thread.join();
        }
    }
}

fn read(name: &str, mut reader: OutputReader, records: &Producer, shared: &Shared, waker: &Waker) {
    let (mut backoff, mut turn) = (Backoff::default(), 0);
    // One that was here before may have recorded its last deliveries only just now.
    records.store(&[]);
    while shared.bell.wait(LOOK) {
        loop {
            let (has_room, now) = {
                let ahead = shared.lock();
                (ahead.has_room(), ahead.turn)
            };
            if now != turn {
                turn = now;
                // What was delivered before counts first: the queue of records is written.
                records.store(&[]);
                reader.rewind();
            }
            if !has_room {
                if !shared.room.wait(LOOK) {
                    return;
                }
                continue;
            }
            match reader.next() {
                Ok(Some(stored)) => {
                    backoff.reset();
                    let mut ahead = shared.lock();
                    if ahead.turn != turn {
                        continue;
                    }
                    let was_empty = ahead.messages.is_empty();
                    ahead.bytes += stored.bytes.len();
                    ahead.messages.push_back(stored);
                    drop(ahead);
                    if was_empty {
                        // Fails only when the loop is gone.
                        let _ = waker.wake();
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    log::error!(name, "cannot read the journal: {error}");
                    if !shared.bell.pause(backoff.pause()) {
                        return;
                    }
                }
            }
        }
    }
}
