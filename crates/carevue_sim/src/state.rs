//! What the simulated CareVue knows: one file, changed under a lock and replaced in one step.
//!
//! `state.json` is written beside itself and renamed, so that a process which is killed leaves the old state or the new
//! one. `.lock` is held (flock) by whoever changes it; reading needs no lock.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use protogen_sys::durable;
use protogen_sys::files::{RealFiles, read_bounded};
use serde::{Deserialize, Serialize};

use crate::census::Patient;
use crate::manner::Manner;

/// The file within the state directory.
const FILE: &str = "state.json";
/// The most that is read of it, in bytes.
const MAX_STATE: usize = 256 << 20;
/// Results and system messages that are kept; older ones are forgotten.
const KEPT: usize = 10_000;
/// How long another process may hold the state, and how often it is tried.
const LOCK_LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(2);

/// An entity of a class: its attributes that are not NULL.
pub(crate) type Entity = BTreeMap<String, String>;

/// A result that came for a patient.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
pub(crate) struct LabResult {
    pub(crate) recno: String,
    pub(crate) code: String,
    pub(crate) value: String,
    pub(crate) unit: String,
    pub(crate) flag: String,
}

/// All of it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq)]
pub(crate) struct State {
    pub(crate) careunit: String,
    pub(crate) beds: Vec<String>,
    pub(crate) patients: Vec<Patient>,
    /// Those who left, for the cancellation of a discharge; at most [`KEPT`].
    pub(crate) discharged: Vec<Patient>,
    /// The classes that idb and dbload write to.
    pub(crate) classes: BTreeMap<String, Vec<Entity>>,
    pub(crate) results: Vec<LabResult>,
    pub(crate) messages: Vec<String>,
    pub(crate) manner: Manner,
    /// For how many messages the manner still holds; for ever without a number.
    pub(crate) times: Option<u32>,
}

impl State {
    /// Adds a result, and forgets the oldest beyond [`KEPT`].
    pub(crate) fn add_result(&mut self, result: LabResult) {
        push(&mut self.results, result);
    }

    /// Shows a system message: one line, whatever came.
    pub(crate) fn show(&mut self, text: &str) {
        push(&mut self.messages, text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect());
    }

    /// Keeps a patient who left.
    pub(crate) fn remember(&mut self, patient: Patient) {
        push(&mut self.discharged, patient);
    }
}

fn push<T>(list: &mut Vec<T>, item: T) {
    list.push(item);
    if list.len() > KEPT {
        list.drain(..list.len() - KEPT);
    }
}

/// The state directory.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    directory: PathBuf,
}

impl Store {
    /// Makes the directory, private, with a fresh state.
    pub(crate) fn init(directory: &Path, state: &State) -> Result<Store> {
        let made = std::fs::DirBuilder::new().mode(0o700).recursive(true).create(directory);
        made.with_context(|| directory.display().to_string())?;
        let store = Store { directory: directory.to_owned() };
        let _lock = store.lock()?;
        if store.file().exists() {
            bail!("{}: it is there already; remove the directory to begin anew", store.file().display());
        }
        store.write(state)?;
        Ok(store)
    }

    /// A directory that [`init`](Store::init) made.
    pub(crate) fn open(directory: &Path) -> Result<Store> {
        let store = Store { directory: directory.to_owned() };
        if !store.file().is_file() {
            bail!("{}: no state here; make it with carevue-sim init", directory.display());
        }
        Ok(store)
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    fn file(&self) -> PathBuf {
        self.directory.join(FILE)
    }

    /// What is known at this moment.
    pub(crate) fn read(&self) -> Result<State> {
        let file = self.file();
        let bytes = read_bounded(&file, MAX_STATE).with_context(|| file.display().to_string())?;
        serde_json::from_slice(&bytes).with_context(|| format!("{}: not a state", file.display()))
    }

    /// Changes it: all of what `change` does, or, if that fails, nothing. On disk when this returns.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let _lock = self.lock()?;
        let before = self.read()?;
        let mut state = before.clone();
        let outcome = change(&mut state)?;
        if state != before {
            self.write(&state)?;
        }
        Ok(outcome)
    }

    fn write(&self, state: &State) -> Result<()> {
        let text = serde_json::to_vec_pretty(state).context("the state")?;
        Ok(durable::write(&RealFiles, &self.file(), &text)?)
    }

    /// Held until dropped. The file stays: a lock that is removed while others wait for it is two locks.
    fn lock(&self) -> Result<File> {
        let path = self.directory.join(".lock");
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
        let file = file.with_context(|| path.display().to_string())?;
        let end = Instant::now() + LOCK_LIMIT;
        loop {
            match fs2::FileExt::try_lock_exclusive(&file) {
                Ok(()) => return Ok(file),
                Err(error) if error.raw_os_error() != fs2::lock_contended_error().raw_os_error() => {
                    return Err(error).with_context(|| path.display().to_string());
                }
                Err(_) if Instant::now() > end => {
                    bail!("{}: held by another process for {} s", path.display(), LOCK_LIMIT.as_secs());
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }
}
