//! SIGHUP: the configuration is read again, and what has changed in it changes in the running program.
//!
//! A connection that is the same keeps its sockets and all that is in flight. One that is altered or gone takes nothing more, and
//! what it has taken is stored, before the journal learns of the change: so each message goes where the configuration
//! said when it came. What is wrong with a new configuration leaves the old one in force.

mod change;
mod listening;

use std::collections::BTreeMap;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::SystemTime;

use protogen_journal::Journal;

use crate::board::{Board, Joined};
use crate::config::{self, Config, Connection, Kind, Scope, Severity};
use crate::daemon::make_room;
use crate::engine::{Dispatch, Entrance, Reception};
use crate::files::Workers;
use crate::guard::{Guard, Guards, Renewal};
use crate::log;
use change::{Change, kept_until_restart, told};
pub(crate) use listening::Listening;

/// What the running program is made of, and how it is changed.
pub(crate) struct Running {
    pub(crate) board: Arc<Board>,
    pub(crate) journal: Arc<Journal>,
    pub(crate) workers: Workers,
    pub(crate) guards: Arc<Mutex<Guards>>,
    /// The outgoing connections of each incoming one.
    pub(crate) joined: BTreeMap<String, Joined>,
    pub(crate) listening: Listening,
    pub(crate) reception: Reception,
    pub(crate) dispatch: Dispatch,
    /// How many peers may be connected at a time.
    pub(crate) most_peers: usize,
}

/// The thread that reads the configuration again: it may wait for a name server and for the disk.
pub(crate) struct Reloader {
    thread: JoinHandle<Running>,
}

/// Asks for it; never waits.
#[derive(Clone)]
pub(crate) struct Request(SyncSender<()>);

impl Request {
    pub(crate) fn send(&self) {
        // One that waits already will see what this one would.
        let _ = self.0.try_send(());
    }
}

impl Reloader {
    /// Starts it. It ends with the last of the requests' senders.
    ///
    /// # Errors
    /// What the system says about the thread.
    pub(crate) fn start(running: Running, receiver: Receiver<()>) -> io::Result<Reloader> {
        let thread = std::thread::Builder::new().name("reload".to_owned()).spawn(move || {
            let mut running = running;
            while receiver.recv().is_ok() {
                running.reload();
            }
            running
        })?;
        Ok(Reloader { thread })
    }

    /// A way to ask, and where it is heard.
    pub(crate) fn requests() -> (Request, Receiver<()>) {
        let (sender, receiver) = sync_channel(1);
        (Request(sender), receiver)
    }

    /// Waits for its end, and gives back what it has.
    pub(crate) fn join(self) -> Option<Running> {
        // A panic was printed by then.
        self.thread.join().ok()
    }
}

impl Running {
    fn reload(&mut self) {
        let old = self.board.config();
        let report = config::load(&old.file, Scope::Start);
        for problem in &report.problems {
            match problem.severity {
                Severity::Error => log::error!(log::GENERAL, "{problem}"),
                Severity::Warning => log::warning!(log::GENERAL, "{problem}"),
            }
        }
        let Some(new) = report.config.map(Arc::new) else {
            return log::error!(log::GENERAL, "the configuration is faulty; the one before stays in force");
        };
        let change = Change::between(&old, &new);
        let renewals = self.read_files_again(&new, &change);
        let changed = renewals.and_then(|renewals| self.change(&old, &new, &change).map(|()| renewals));
        match changed {
            Ok(renewals) => {
                renewals.into_iter().for_each(Renewal::take_effect);
                log::set_level(new.general.loglvl);
                for option in kept_until_restart(&old.general, &new.general) {
                    log::error!(log::GENERAL, "{option} has changed, which takes effect at the next start");
                }
                log::always!(log::GENERAL, "the configuration is read again: {}", told(&old, &new, &change));
            }
            Err(why) => log::error!(log::GENERAL, "{why}; the configuration before stays in force"),
        }
        // Not only in a while: less may be to be kept.
        self.journal.prune(SystemTime::now());
    }

    /// Certificates and names of those that stay.
    fn read_files_again(&self, new: &Config, change: &Change) -> Result<Vec<Renewal>, String> {
        let guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        let mut renewals = Vec::new();
        for connection in &new.connections {
            let name = &connection.name;
            let enters = change.enter.iter().any(|other| other.name == *name);
            if let (Some(guard), Some(socket), false) = (guards.get(name), connection.kind.socket(), enters) {
                renewals.push(guard.read_again(name, socket).map_err(|why| format!("[{name}] {why}"))?);
            }
        }
        Ok(renewals)
    }

    fn change(&mut self, old: &Config, new: &Arc<Config>, change: &Change) -> Result<(), String> {
        if change.is_empty() {
            // Retention may have changed.
            self.journal.configure(&new.journal_settings()).map_err(|error| error.to_string())?;
            self.board.change(new, &[]);
            return Ok(());
        }
        // Whatever can fail fails before anything is changed.
        let entrances = self.entrances(&change.enter)?;
        let most_peers = make_room(new).map_err(|error| format!("{error:#}"))?;
        let of_kind = |input: bool| {
            let leaving =
                old.connections.iter().filter(move |connection| connection.kind.is_input() == input);
            leaving.map(|connection| connection.name.clone()).filter(|name| change.leave.contains(name))
        };
        let inputs: Vec<String> = of_kind(true).collect();
        let left = old.connections.iter().filter(|connection| inputs.contains(&connection.name));
        let left: Vec<_> = left.cloned().map(Arc::new).collect();
        let back = self.way_back(&left)?;
        self.reception.leave(change.leave.clone())?;
        self.workers.stop_some(&inputs);
        match self.journal.configure(&new.journal_settings()) {
            Ok(orphans) => {
                for name in orphans {
                    log::error!(
                        log::GENERAL,
                        "messages wait for {name}, which is no longer in use: name it in useconnections, or drop them"
                    );
                }
            }
            Err(error) => {
                // Those that left come back, as they were.
                self.enter(back, &left, self.most_peers);
                return Err(error.to_string());
            }
        }
        // From here on there is no way back: what cannot be begun is said, and the rest goes on.
        self.most_peers = most_peers;
        let outputs: Vec<String> = of_kind(false).collect();
        self.board.change(new, &outputs);
        self.workers.stop_some(&outputs);
        self.enter_outputs(&change.enter);
        for connection in new.connections.iter().filter(|connection| connection.kind.is_input()) {
            let join = || self.board.join(connection);
            let joined = self.joined.entry(connection.name.clone()).or_insert_with(join);
            joined.set(self.board.outboxes_of(connection));
        }
        let (into, out): (Vec<_>, Vec<_>) =
            entrances.into_iter().partition(|entrance| entrance.connection.kind.is_input());
        for entrance in into.iter().chain(&out) {
            let Entrance { connection, listeners, guard } = entrance;
            if let Err(error) = self.listening.keep(&connection.name, listeners) {
                let name = &connection.name;
                log::error!(name, "its next change turns peers away for a moment, no file is free: {error}");
            }
            let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
            guards.insert(connection.name.clone(), Arc::clone(guard));
        }
        self.dispatch.change(outputs, out);
        self.enter(into, &change.enter, most_peers);
        self.listening.keep_only(new);
        self.joined.retain(|name, _| new.connections.iter().any(|connection| connection.name == *name));
        let mut guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner);
        guards.retain(|name, _| new.connections.iter().any(|connection| connection.name == *name));
        Ok(())
    }

    /// What is to be opened before anything is changed.
    fn entrances(&mut self, connections: &[Arc<Connection>]) -> Result<Vec<Entrance>, String> {
        let mut entrances = Vec::new();
        for connection in connections {
            let Some(socket) = connection.kind.socket() else { continue };
            let name = &connection.name;
            let guard = Guard::open(name, socket).map_err(|why| format!("[{name}] {why}"))?;
            let listeners = self.listening.open(connection).map_err(|why| format!("[{name}] {why}"))?;
            entrances.push(Entrance {
                connection: Arc::clone(connection),
                listeners,
                guard: Arc::new(guard),
            });
        }
        Ok(entrances)
    }

    /// What lets these begin again, should the others not: with their sockets and by their guards, not by what is in the
    /// files now.
    fn way_back(&mut self, connections: &[Arc<Connection>]) -> Result<Vec<Entrance>, String> {
        let guards = self.guards.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut entrances = Vec::new();
        for connection in connections {
            let Some(guard) = guards.get(&connection.name).cloned() else { continue };
            let opened = self.listening.open(connection);
            let listeners = opened.map_err(|why| format!("[{}] {why}", connection.name))?;
            entrances.push(Entrance { connection: Arc::clone(connection), listeners, guard });
        }
        Ok(entrances)
    }

    /// Incoming connections begin.
    fn enter(&mut self, entrances: Vec<Entrance>, connections: &[Arc<Connection>], most_peers: usize) {
        let sockets = entrances.into_iter().map(|entrance| {
            let joined = self.joined_of(&entrance.connection);
            (entrance, joined)
        });
        let sockets = sockets.collect();
        self.reception.enter(sockets, most_peers);
        for connection in connections {
            if let Kind::FileIn(settings) = &connection.kind {
                let joined = self.joined_of(connection);
                let started = self.workers.read(&connection.name, settings.clone(), &self.journal, joined);
                told_if_not(&connection.name, started);
            }
        }
    }

    fn joined_of(&self, connection: &Connection) -> Joined {
        self.joined.get(&connection.name).cloned().unwrap_or_else(|| self.board.join(connection))
    }

    /// Outgoing file connections begin.
    fn enter_outputs(&mut self, connections: &[Arc<Connection>]) {
        let statedir = self.board.config().general.statedir.path.clone();
        for connection in connections {
            if let (Kind::FileOut(settings), Some(outbox)) =
                (&connection.kind, self.board.outbox(&connection.name))
            {
                let seen_by = (Arc::clone(&self.board), outbox);
                let started =
                    self.workers.write(connection, settings.clone(), &self.journal, seen_by, &statedir);
                told_if_not(&connection.name, started);
            }
        }
    }
}

fn told_if_not(name: &str, started: io::Result<()>) {
    if let Err(error) = started {
        log::critical!(
            name,
            "cannot be served: {error}; send SIGHUP again after a change of it, or start anew"
        );
    }
}
