//! The site profile, `etc/cvgateway.toml`: everything that differs between sites. See cvgateway.toml(5).

mod beds;
mod read;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use beds::BedName;
pub use read::{ProfileError, read};
pub use source::Source;

/// The profile that is shipped, in force where a site's says nothing.
const SHIPPED: &str = include_str!("../../../../etc/cvgateway.toml");

/// The key of `[blood-specimen]` for sources that have none of their own, in capitals.
pub(crate) const UNKNOWN: &str = "UNKNOWN";

/// Which id of a message is CareVue's medical record number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatientId {
    /// PV1-19, the visit number; PID-3 and PV1-19 are exchanged.
    Visit,
    /// PID-3.
    Patient,
}

/// The character set towards CareVue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    /// HP Roman-8.
    HpRoman8,
    /// ISO 8859-1.
    Latin1,
    /// ASCII.
    Ascii,
}

/// The profile.
#[derive(Debug, Clone)]
#[allow(missing_docs)] // the keys of cvgateway.toml(5)
pub struct Profile {
    pub patient_id: PatientId,
    pub bed_name: BedName,
    pub beds: Vec<glob::Pattern>,
    pub wards: Vec<String>,
    pub arterial: Vec<String>,
    pub venous: Vec<String>,
    pub ignore: Vec<String>,
    pub charset: Charset,
    pub pv1: Vec<usize>,
    /// By event, `ADT` or `ORU`.
    pub keep: BTreeMap<String, Vec<[u8; 3]>>,
    /// By field, from 1.
    pub zdm: BTreeMap<usize, Source>,
    /// By specimen source in capitals; `UNKNOWN` is for every other one.
    pub blood_specimen: BTreeMap<String, String>,
    pub time: Times,
    pub limit: Limits,
    pub idb_direct: Option<PathBuf>,
}

/// How long is waited for what.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // the keys of cvgateway.toml(5)
pub struct Times {
    pub census: Duration,
    pub commit: Duration,
    pub connect: Duration,
    pub answer: Duration,
    pub idle: Duration,
}

/// What is bounded.
#[derive(Debug, Clone, Copy)]
#[allow(missing_docs)] // the keys of cvgateway.toml(5)
pub struct Limits {
    pub connections: usize,
    pub results: usize,
    pub message: usize,
    pub journal_days: u32,
    pub repeat: Duration,
}

impl Profile {
    /// The one that is shipped.
    ///
    /// # Errors
    /// Never: a test reads it.
    pub fn shipped() -> Result<Profile, ProfileError> {
        read::parse("")
    }

    /// The segments that are sent on for an event.
    #[must_use]
    pub fn kept(&self, kind: &str, event: &str) -> &[[u8; 3]] {
        self.keep.get(event).or_else(|| self.keep.get(kind)).map_or(&[], Vec::as_slice)
    }

    /// Whether an event is answered and not forwarded.
    #[must_use]
    pub fn ignores(&self, kind: &str, event: &str) -> bool {
        self.ignore.iter().any(|one| match one.split_once('^') {
            Some(both) => both == (kind, event),
            None => one == kind,
        })
    }
}
