//! What all transactions share.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use anyhow::{Context, Result};
use jiff::ZonedDateTime;
use protogen_core::hl7hosts::{AccessList, Matching};
use protogen_sys::illp::Server;
use protogen_sys::services::Place;
use protogen_sys::site::Site;

use crate::APPLICATION;
use crate::census::{Census, IdbDirect};
use crate::journal::Journal;
use crate::notices::Notices;
use crate::profile::{self, Profile};
use crate::repeats::{InWork, Repeats};
use crate::tables::Tables;

/// Everything that SIGHUP reads again.
pub(crate) struct Loaded {
    pub(crate) profile: Profile,
    pub(crate) hosts: AccessList,
    pub(crate) tables: Tables,
    pub(crate) census: Census,
    pub(crate) fsi: Server,
}

/// Where things are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) site: Site,
    pub(crate) matching: Matching,
    pub(crate) fsi: Place,
    /// Played by a function instead of the program.
    pub(crate) stub: Option<fn(&[OsString]) -> u8>,
}

impl Places {
    pub(crate) fn profile(&self) -> PathBuf {
        self.site.etc("cvgateway.toml")
    }

    pub(crate) fn hosts(&self) -> PathBuf {
        self.site.etc("hl7hosts")
    }

    /// `idb_direct` as the profile names it, else the site's, else the one beside this program.
    pub(crate) fn idb_direct(&self, profile: &Profile) -> PathBuf {
        if let Some(path) = &profile.idb_direct {
            return path.clone();
        }
        let of_site = self.site.etc("idb_direct");
        let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join("idb_direct")));
        match beside {
            Some(beside) if !of_site.exists() => beside,
            _ => of_site,
        }
    }

    /// Reads everything. `old` stands in for what is broken; without it an access list that is broken refuses everybody,
    /// and a profile that is broken is an error.
    pub(crate) fn load(&self, old: Option<&Loaded>) -> Result<Loaded> {
        let profile = match (profile::read(&self.profile()), old) {
            (Ok(profile), _) => profile,
            (Err(error), None) => return Err(error.into()),
            (Err(error), Some(old)) => {
                log::error!("{error}; the old profile stays in force");
                old.profile.clone()
            }
        };
        for doubt in profile.doubts() {
            log::warn!("{}: {doubt}", self.profile().display());
        }
        let hosts = protogen_sys::hl7hosts::read(&self.hosts(), self.matching).unwrap_or_else(|error| {
            let then = if old.is_some() { "the old list stays in force" } else { "everyone is refused" };
            log::error!("{error}; {then}");
            old.map(|old| old.hosts.clone()).unwrap_or_default()
        });
        let (tables, missing) = Tables::open(self.site.codes(), old.map(|old| &old.tables));
        for what in missing {
            log::warn!("{what}");
        }
        let census = Census {
            idb_direct: match self.stub {
                Some(function) => IdbDirect::Function(function),
                None => IdbDirect::Program(self.idb_direct(&profile)),
            },
            look: profile.time.census,
            commit: profile.time.commit,
        };
        let fsi = Server {
            place: self.fsi.clone(),
            token: Vec::new(),
            connect: profile.time.connect,
            answer: profile.time.answer,
            probe: None,
            max_message: profile.limit.message,
        };
        Ok(Loaded { profile, hosts, tables, census, fsi })
    }
}

/// A gateway.
pub(crate) struct Gateway {
    pub(crate) facility: String,
    pub(crate) journal: Journal,
    pub(crate) notices: Notices,
    pub(crate) repeats: Mutex<Repeats>,
    pub(crate) in_work: InWork,
    /// How many messages the profile ignored.
    pub(crate) ignored: AtomicU64,
    places: Places,
    loaded: RwLock<Arc<Loaded>>,
    /// Held while a patient's place in the census is judged and changed: a gateway serves one care unit.
    census: Mutex<()>,
    /// How many ORU and NMD are in work.
    results: Mutex<usize>,
    free: Condvar,
    ids: AtomicU64,
}

impl Gateway {
    /// A gateway whose journal is not touched yet.
    pub(crate) fn new(places: Places, facility: &str) -> Result<Gateway> {
        let loaded = places.load(None)?;
        let journal = Journal::at(places.site.log(APPLICATION).join(Path::new(facility)));
        Ok(Gateway {
            facility: facility.to_owned(),
            journal,
            notices: Notices::start(places.site.clone()).context("no thread")?,
            repeats: Mutex::default(),
            in_work: InWork::default(),
            ignored: AtomicU64::new(0),
            places,
            loaded: RwLock::new(Arc::new(loaded)),
            census: Mutex::new(()),
            results: Mutex::new(0),
            free: Condvar::new(),
            ids: AtomicU64::new(0),
        })
    }

    /// Opens the journal, and learns from it which messages were answered AA.
    pub(crate) fn open_journal(&self) -> Result<()> {
        let limit = self.loaded().profile.limit;
        let directory = self.journal.directory().display();
        self.journal.open(limit.journal_days).with_context(|| format!("{directory}: cannot be made"))?;
        let repeats = Repeats::read(&self.journal, limit.repeat, SystemTime::now());
        *self.repeats.lock().unwrap_or_else(PoisonError::into_inner) = repeats;
        Ok(())
    }

    /// What is in force now.
    pub(crate) fn loaded(&self) -> Arc<Loaded> {
        Arc::clone(&self.loaded.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Reads everything again; what is broken leaves the old in force.
    pub(crate) fn reload(&self) {
        match self.places.load(Some(&self.loaded())) {
            Ok(new) => {
                *self.loaded.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
                log::info!("profile, access list and tables were read again");
            }
            Err(error) => log::error!("{error:#}; nothing was read again"),
        }
    }

    /// Does something that no other transaction with the census may overtake.
    pub(crate) fn one_at_a_time<T>(&self, work: impl FnOnce() -> T) -> T {
        let _held = self.census.lock().unwrap_or_else(PoisonError::into_inner);
        work()
    }

    /// Does something as one of at most `limit.results`.
    pub(crate) fn beside_others<T>(&self, work: impl FnOnce() -> T) -> T {
        let most = self.loaded().profile.limit.results;
        let running = self.results.lock().unwrap_or_else(PoisonError::into_inner);
        let mut running =
            self.free.wait_while(running, |count| *count >= most).unwrap_or_else(PoisonError::into_inner);
        *running += 1;
        drop(running);
        let _place = Turn(self);
        work()
    }

    /// A control id of the gateway's own, at most 20 characters: the second and a count.
    pub(crate) fn own_id(&self) -> String {
        let count = self.ids.fetch_add(1, Ordering::Relaxed) % 100_000;
        format!("CVG{}{count:05}", ZonedDateTime::now().strftime("%y%m%d%H%M%S"))
    }
}

/// A place among those that work on results, given back at the end.
struct Turn<'a>(&'a Gateway);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.results.lock().unwrap_or_else(PoisonError::into_inner) -= 1;
        self.0.free.notify_one();
    }
}

/// The time as MSH-7 has it.
pub(crate) fn now() -> String {
    ZonedDateTime::now().strftime("%Y%m%d%H%M%S").to_string()
}
