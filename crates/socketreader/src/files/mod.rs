//! The connections over directories: a thread each, since files make a thread wait.

mod arrivals;
mod complete;
mod names;
mod reader;
mod sweep;
mod writer;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use protogen_journal::Journal;

use crate::bell::Bell;
use crate::board::{Board, Joined, Outbox};
use crate::config::{Connection, FileIn, FileOut, Naming};
use crate::gate::Gate;

/// How the name of a message's file begins, before its time.
pub(crate) fn name_prefix(naming: &Naming, message: &[u8]) -> Vec<u8> {
    names::prefix(naming, message).0
}

/// The threads, and the bells that end them.
#[derive(Debug, Default)]
pub(crate) struct Workers {
    threads: Vec<(String, Arc<Bell>, JoinHandle<()>)>,
}

impl Workers {
    /// Starts a thread that takes messages from a directory. `outboxes` get them.
    pub(crate) fn read(
        &mut self,
        name: &str,
        settings: FileIn,
        journal: &Journal,
        outboxes: Joined,
    ) -> io::Result<()> {
        let bell = Arc::new(Bell::default());
        let worker = reader::Reader::new(
            name,
            settings,
            journal.producer(|| {}),
            journal.reader(),
            outboxes,
            Arc::clone(&bell),
        );
        self.start(name, bell, move || worker.run())
    }

    /// Starts a thread that writes messages to a directory. `outbox` says when there are some.
    pub(crate) fn write(
        &mut self,
        connection: &Connection,
        settings: FileOut,
        journal: &Journal,
        (board, outbox): (Arc<Board>, Arc<Outbox>),
        statedir: &Path,
    ) -> io::Result<()> {
        let name = &connection.name;
        let worker = writer::Writer::new(
            name,
            settings,
            Gate::new(journal.reader(), connection, &outbox)?,
            journal.producer(|| {}),
            (board, Arc::clone(&outbox)),
            statedir,
        )?;
        outbox.bell.ring();
        self.start(name, Arc::clone(&outbox.bell), move || worker.run())
    }

    fn start(&mut self, name: &str, bell: Arc<Bell>, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(work)?;
        self.threads.push((name.to_owned(), bell, thread));
        Ok(())
    }

    /// Lets the threads of these connections finish what they have begun.
    pub(crate) fn stop_some(&mut self, names: &[String]) {
        let ending = self.threads.extract_if(.., |(name, ..)| names.contains(name));
        Workers { threads: ending.collect() }.stop();
    }

    /// Lets every thread finish what it has begun.
    pub(crate) fn stop(self) {
        self.threads.iter().for_each(|(_, bell, _)| bell.stop());
        for (_, _, thread) in self.threads {
            // A panic was printed by then.
            let _ = thread.join();
        }
    }
}
