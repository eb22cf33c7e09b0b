//! Messages for an outgoing socket, read from the journal by a thread: the event loop never waits for the disk.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use protogen_journal::{Journal, Producer};
use protogen_sys::event_loop::Waker;

use crate::backoff::Backoff;
use crate::bell::Bell;
use crate::board::Outbox;
use crate::config::Connection;
use crate::gate::{Gate, GateError, Passed, Unwanted};
use crate::log;

/// The most messages, and about the most bytes, that are read ahead. A longer message is read ahead alone.
const AHEAD: usize = 64;
const AHEAD_BYTES: usize = 1 << 20;
/// How long a longer pause goes on before it is asked whether it is over.
const SLICE: Duration = Duration::from_millis(100);
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
    messages: VecDeque<Passed>,
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

    /// Whether what waits since this turn is to be looked up anew, or the thread is to end.
    fn is_interrupted(&self, turn: u64) -> bool {
        self.bell.is_stopping() || self.lock().turn != turn
    }
}

impl Feed {
    /// Starts it for an output of the journal.
    pub(crate) fn of(
        journal: &Journal,
        connection: &Connection,
        outbox: &Arc<Outbox>,
        waker: Arc<Waker>,
    ) -> std::io::Result<Feed> {
        let gate = Gate::new(journal.reader(), connection, outbox)?;
        let bell = Arc::clone(&outbox.bell);
        Feed::start(&connection.name, gate, journal.producer(|| {}), bell, waker)
    }

    /// Starts the thread. `bell` is rung when a message for this output was stored; `waker` when one can be taken.
    fn start(
        name: &str,
        gate: Gate,
        records: Producer,
        bell: Arc<Bell>,
        waker: Arc<Waker>,
    ) -> std::io::Result<Feed> {
        let shared = Arc::new(Shared { bell, room: Bell::default(), ahead: Mutex::default() });
        let (threads, name) = (Arc::clone(&shared), name.to_owned());
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || read(&name, gate, &records, &threads, &waker))?;
        Ok(Feed { shared, thread: Some(thread) })
    }

    /// The next message, if it is there already.
    pub(crate) fn take(&self) -> Option<Passed> {
        self.take_from(self.shared.lock())
    }

    /// The next message, if it is there and needs no receiver.
    pub(crate) fn take_unwanted(&self) -> Option<Unwanted> {
        let ahead = self.shared.lock();
        let is_unwanted = matches!(ahead.messages.front(), Some(Passed::Unwanted(_)));
        match is_unwanted.then(|| self.take_from(ahead)).flatten() {
            Some(Passed::Unwanted(unwanted)) => Some(unwanted),
            _ => None,
        }
    }

    fn take_from(&self, mut ahead: MutexGuard<'_, Ahead>) -> Option<Passed> {
        let passed = ahead.messages.pop_front()?;
        ahead.bytes -= passed.stored().bytes.len();
        // Asked for more while half of it is still there.
        let ask = ahead.messages.len() == AHEAD / 2 || ahead.messages.is_empty();
        drop(ahead);
        if ask {
            self.shared.room.ring();
        }
        Some(passed)
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

fn read(name: &str, mut gate: Gate, records: &Producer, shared: &Shared, waker: &Waker) {
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
                gate.rewind();
            }
            if !has_room {
                if !shared.room.wait(LOOK) {
                    return;
                }
                continue;
            }
            match gate.next(&|| shared.is_interrupted(turn)) {
                Ok(Some(passed)) => {
                    backoff.reset();
                    let mut ahead = shared.lock();
                    if ahead.turn != turn {
                        continue;
                    }
                    let was_empty = ahead.messages.is_empty();
                    ahead.bytes += passed.stored().bytes.len();
                    ahead.messages.push_back(passed);
                    drop(ahead);
                    if was_empty {
                        // Fails only when the loop is gone.
                        let _ = waker.wake();
                    }
                }
                Ok(None) => break,
                Err(GateError::Stopped) if shared.bell.is_stopping() => return,
                Err(GateError::Stopped) => {}
                Err(GateError::Later(pause)) => {
                    let due = Instant::now() + pause;
                    while Instant::now() < due && !shared.is_interrupted(turn) {
                        shared.bell.pause(SLICE.min(due.saturating_duration_since(Instant::now())));
                    }
                    if shared.bell.is_stopping() {
                        return;
                    }
                }
                Err(error) => {
                    log::error!(name, "{error}");
                    if !shared.bell.pause(backoff.pause()) {
                        return;
                    }
                }
            }
        }
    }
}
