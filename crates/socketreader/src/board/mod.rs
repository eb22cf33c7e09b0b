//! What the outgoing connections are doing, for everybody who looks: operators, alerts, and those that obey a pause.

mod followers;
mod outbox;
mod pauses;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::config::{Config, Connection};
use crate::metrics::{Meter, Meters};
use followers::Followers;
pub(crate) use outbox::{Look, Outbox, Pause, Raised, Trouble};
use pauses::PAUSES;
pub(crate) use pauses::pauses_in;

/// The outgoing connections on the queue of an incoming one, each with the most messages that may wait there. They change
/// with the configuration, for all clones alike.
#[derive(Debug, Clone)]
pub(crate) struct Joined {
    outboxes: Arc<Mutex<Outboxes>>,
    /// What comes in is counted here.
    pub(crate) meter: Arc<Meter>,
}

/// Some outgoing connections, each with the most messages that may wait there.
pub(crate) type Outboxes = Arc<[(Arc<Outbox>, u64)]>;

impl Joined {
    /// As they are now.
    pub(crate) fn now(&self) -> Outboxes {
        Arc::clone(&self.outboxes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, outboxes: Outboxes) {
        *self.outboxes.lock().unwrap_or_else(PoisonError::into_inner) = outboxes;
    }
}

/// Where the pauses are kept, and those of connections that are not in the configuration just now.
#[derive(Debug)]
struct Pauses {
    file: PathBuf,
    away: BTreeMap<String, Pause>,
}

/// All outgoing connections, and who follows what they deliver.
#[derive(Debug)]
pub(crate) struct Board {
    config: Mutex<Arc<Config>>,
    outboxes: Mutex<Arc<[Arc<Outbox>]>>,
    pub(crate) meters: Meters,
    /// Held while the file of the pauses is written.
    pauses: Mutex<Pauses>,
    pub(crate) followers: Followers,
    /// What is wrong with the whole process, by a name of its own.
    warnings: Mutex<BTreeMap<String, Raised>>,
}

impl Board {
    /// The board of the outgoing connections in use, with the pauses of earlier runs.
    ///
    /// # Errors
    /// The file of the pauses cannot be read.
    pub(crate) fn open(config: &Arc<Config>) -> io::Result<Board> {
        let outputs = config.connections.iter().filter(|connection| !connection.kind.is_input());
        let file = config.general.statedir.path.join(PAUSES);
        let mut away = pauses::read(&file)?;
        let outboxes = outputs.map(|connection| {
            let outbox = Outbox::new(&connection.name);
            outbox.set_pause(away.remove(&connection.name));
            Arc::new(outbox)
        });
        let outboxes = outboxes.collect();
        Ok(Board {
            config: Mutex::new(Arc::clone(config)),
            outboxes: Mutex::new(outboxes),
            meters: Meters::default(),
            pauses: Mutex::new(Pauses { file, away }),
            followers: Followers::default(),
            warnings: Mutex::default(),
        })
    }

    /// Something of the whole process needs a person from now on: `what` names it, such as a certificate's file, and
    /// `text` says what it is and what to do.
    pub(crate) fn warn(&self, what: &str, text: impl FnOnce() -> String) {
        let mut warnings = self.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        let raised = || Raised { since: SystemTime::now(), text: text(), message: None };
        warnings.entry(what.to_owned()).or_insert_with(raised);
    }

    /// It no longer does.
    pub(crate) fn unwarn(&self, what: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).remove(what);
    }

    /// What needs a person now, of the whole process.
    pub(crate) fn warnings(&self) -> BTreeMap<String, Raised> {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// In the order of the configuration.
    pub(crate) fn outboxes(&self) -> Arc<[Arc<Outbox>]> {
        Arc::clone(&self.outboxes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration that is in force.
    pub(crate) fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Another configuration is in force. The outgoing connections that `anew` names begin anew, paused as they were.
    pub(crate) fn change(&self, config: &Arc<Config>, anew: &[String]) {
        let mut pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        let before = self.outboxes();
        let outputs = config.connections.iter().filter(|connection| !connection.kind.is_input());
        let outboxes = outputs.map(|connection| {
            let here = self.outbox(&connection.name);
            match here.as_ref().filter(|_| !anew.contains(&connection.name)) {
                Some(outbox) => Arc::clone(outbox),
                None => {
                    let outbox = Outbox::new(&connection.name);
                    let pause = match here {
                        Some(outbox) => outbox.look().pause,
                        None => pauses.away.remove(&connection.name),
                    };
                    outbox.set_pause(pause);
                    Arc::new(outbox)
                }
            }
        });
        let outboxes: Arc<[Arc<Outbox>]> = outboxes.collect();
        // A connection that comes back is as it was when it left.
        for gone in before.iter().filter(|before| !outboxes.iter().any(|outbox| outbox.name == before.name)) {
            pauses.away.extend(gone.look().pause.map(|pause| (gone.name.to_string(), pause)));
        }
        *self.outboxes.lock().unwrap_or_else(PoisonError::into_inner) = outboxes;
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(config);
    }

    /// What an incoming connection is joined to.
    pub(crate) fn join(&self, input: &Connection) -> Joined {
        let outboxes = Arc::new(Mutex::new(self.outboxes_of(input)));
        Joined { outboxes, meter: self.meters.of(&input.name) }
    }

    /// The outgoing connections on the queue of this one.
    pub(crate) fn outboxes_of(&self, input: &Connection) -> Outboxes {
        let config = self.config();
        let outputs = config.connections.iter().filter(|output| output.queue == input.queue);
        outputs.filter_map(|output| Some((self.outbox(&output.name)?, output.max_pending))).collect()
    }

    /// The one of this name.
    pub(crate) fn outbox(&self, name: &str) -> Option<Arc<Outbox>> {
        self.outboxes().iter().find(|outbox| &*outbox.name == name).cloned()
    }

    /// Pauses a connection, or resumes it; the change survives a restart.
    ///
    /// # Errors
    /// What the system says about the file; the change holds until the end of this run then.
    pub(crate) fn set_pause(&self, outbox: &Outbox, pause: Option<Pause>) -> io::Result<()> {
        let pauses = self.pauses.lock().unwrap_or_else(PoisonError::into_inner);
        outbox.set_pause(pause);
        self.save(&pauses)
    }

    /// Lets the pauses survive a restart, as they stand at that moment: whoever has paused without waiting for the file
    /// may come after an operator who has resumed.
    ///
    /// # Errors
    /// What the system says about the file.
    pub(crate) fn save_pauses(&self) -> io::Result<()> {
        self.save(&self.pauses.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn save(&self, pauses: &Pauses) -> io::Result<()> {
        let outboxes = self.outboxes();
        let here = outboxes.iter().filter_map(|outbox| Some((outbox.name.to_string(), outbox.look().pause?)));
        pauses::save(&pauses.file, here.chain(pauses.away.clone()))
    }
}
