//! The site profile, `etc/cvgateway.toml`: everything that differs between sites. See cvgateway.toml(5).

mod read;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

pub use read::{ProfileError, read};
pub use source::Source;

use crate::decide::Where;

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

    /// Where a location (PV1-3 or PV1-6, its components decoded) puts a patient, and the bed's name in CareVue.
    #[must_use]
    pub fn locate(&self, components: &[String]) -> (Where, String) {
        let is_empty = |part: &String| part.is_empty() || part == "\"\"";
        // What the name is not made of, such as the facility, names no bed.
        let mut named = self.bed_name.components().filter(|n| *n > 1).filter_map(|n| components.get(n - 1));
        let is_unnamed = named.all(is_empty);
        let name = self.bed_name.of(components);
        let place = match (components.first().filter(|ward| !is_empty(ward)), &name) {
            (_, Some(name)) if self.beds.iter().any(|pattern| pattern.matches(name)) => Where::Bed,
            (None, _) if is_unnamed => Where::NoBed,
            (Some(ward), name) if self.wards.contains(ward) && (is_unnamed || name.is_none()) => Where::Ward,
            _ => Where::Outside,
        };
        (place, name.filter(|_| place == Where::Bed).unwrap_or_default())
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

/// How a bed's name is made of a location's components: text, and `{N}` for component N.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BedName(Vec<Piece>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Component(usize),
}

impl BedName {
    fn parse(text: &str) -> Option<BedName> {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some(start) = rest.find(['{', '}']) {
            let (before, after) = rest.split_at(start);
            let (number, next) = after.strip_prefix('{')?.split_once('}')?;
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            pieces.push(Piece::Component(number.parse().ok().filter(|n| (1..=20).contains(n))?));
            rest = next;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        pieces.iter().any(|piece| matches!(piece, Piece::Component(_))).then_some(BedName(pieces))
    }

    /// The numbers of the components that it is made of.
    fn components(&self) -> impl Iterator<Item = usize> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Component(n) => Some(*n),
            Piece::Text(_) => None,
        })
    }

    /// The name, if the location has every component that it is made of.
    fn of(&self, components: &[String]) -> Option<String> {
        let mut name = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(text) => name.push_str(text),
                Piece::Component(n) => {
                    let part = components.get(n - 1)?;
                    name.push_str(Some(part).filter(|part| !part.is_empty() && *part != "\"\"")?);
                }
            }
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beds_of_the_care_unit() {
        let profile = Profile::shipped().unwrap();
        for (location, place, name) in [
            ("IOP^601^1", Where::Bed, "601-1"),
            ("^609^9", Where::Bed, "609-9"),
            ("ANY^601^1^more", Where::Bed, "601-1"),
            ("", Where::NoBed, ""),
            ("^^", Where::NoBed, ""),
            ("\"\"", Where::NoBed, ""),
            ("^^^KLINIK", Where::NoBed, ""),
            ("IOP", Where::Ward, ""),
            ("IOP^^", Where::Ward, ""),
            ("IOP^^^KLINIK", Where::Ward, ""),
            ("IOP^601", Where::Ward, ""),
            ("IOP^^1", Where::Ward, ""),
            ("IOP^601^\"\"", Where::Ward, ""),
            ("CHI^^^KLINIK", Where::Outside, ""),
            ("^601", Where::Outside, ""),
            ("CHI", Where::Outside, ""),
            ("CHI^305^2", Where::Outside, ""),
            ("IOP^610^1", Where::Outside, ""),
            ("IOP^601^12", Where::Outside, ""),
            ("iop", Where::Outside, ""),
        ] {
            let components: Vec<String> = location.split('^').map(str::to_owned).collect();
            assert_eq!(profile.locate(&components), (place, name.to_owned()), "{location}");
        }
    }

    /// The ward may be a part of the name.
    #[test]
    fn a_ward_in_the_name_of_its_beds() {
        let profile =
            read::parse("bed-name = \"{1}{3}\"\nbeds = [\"ICU[0-9]\"]\nwards = [\"ICU\"]\n").unwrap();
        for (location, place, name) in [
            ("ICU^601^1", Where::Bed, "ICU1"),
            ("ICU^601^^KLINIK", Where::Ward, ""),
            ("^601", Where::NoBed, ""),
            ("CHI^601", Where::Outside, ""),
            ("ICU^601^X", Where::Outside, ""),
        ] {
            let components: Vec<String> = location.split('^').map(str::to_owned).collect();
            assert_eq!(profile.locate(&components), (place, name.to_owned()), "{location}");
        }
    }

    #[test]
    fn a_name_is_made_of_components() {
        let parts: Vec<String> = ["A", "B", "C"].map(str::to_owned).to_vec();
        let name = |text: &str| BedName::parse(text).and_then(|name| name.of(&parts));
        assert_eq!(name("{1}/{3}.x").as_deref(), Some("A/C.x"));
        assert_eq!(name("{4}"), None);
        for text in ["", "601", "{", "{}", "{0}", "{x}", "}", "{1", "{21}", "{{1}}"] {
            assert_eq!(BedName::parse(text), None, "{text}");
        }
    }
}
