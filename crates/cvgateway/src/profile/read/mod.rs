//! Reading the profile: the shipped one first, then the site's over it.

mod keys;
mod tables;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use protogen_sys::files::read_bounded;
use protogen_sys::toml_file::{Fault, Text, text_of};

use super::{BedName, Charset, Limits, PatientId, Profile, SHIPPED, Times};
use keys::{charset, codes, fields, ignored, patient_id, patterns};
use tables::{kept, limits, specimen_texts, times, zdm};

/// The longest profile, in bytes.
const MAX_PROFILE: usize = 1 << 20;

/// A profile that cannot be used.
#[derive(Debug)]
#[non_exhaustive]
pub enum ProfileError {
    /// The file cannot be read.
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A key is wrong.
    Wrong {
        /// The file; empty for the shipped one.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The key, and what was expected.
        what: String,
    },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProfileError::Unreadable { path, source } => {
                write!(
                    f,
                    "{}: {source}; start from the cvgateway.toml that is shipped, and set its beds",
                    path.display()
                )
            }
            ProfileError::Wrong { path, line, what } => write!(f, "{}:{line}: {what}", path.display()),
        }
    }
}

impl std::error::Error for ProfileError {}

/// Reads a profile.
///
/// # Errors
/// Names the file, and the line and the key of the first fault.
pub fn read(path: &Path) -> Result<Profile, ProfileError> {
    let wrong = |line, what: &str| ProfileError::Wrong { path: path.to_owned(), line, what: what.to_owned() };
    let bytes = read_bounded(path, MAX_PROFILE)
        .map_err(|source| ProfileError::Unreadable { path: path.to_owned(), source })?;
    let text = text_of(bytes).map_err(|fault| wrong(fault.line, &fault.what))?;
    parse(&text).map_err(|error| match error {
        ProfileError::Wrong { line, what, .. } => wrong(line, &what),
        other => other,
    })
}

/// A profile of this text; the path of an error is empty.
pub(super) fn parse(text: &str) -> Result<Profile, ProfileError> {
    let wrong = |Fault { line, what }| ProfileError::Wrong { path: PathBuf::new(), line, what };
    let mut profile = blank();
    apply(SHIPPED, &mut profile).map_err(wrong)?;
    apply(text, &mut profile).map_err(wrong)?;
    Ok(profile)
}

/// What the shipped profile is laid over: it sets every key.
fn blank() -> Profile {
    let zero = Duration::ZERO;
    Profile {
        patient_id: PatientId::Visit,
        bed_name: BedName::blank(),
        beds: Vec::new(),
        wards: Vec::new(),
        arterial: Vec::new(),
        venous: Vec::new(),
        ignore: Vec::new(),
        charset: Charset::Ascii,
        pv1: Vec::new(),
        keep: Default::default(),
        zdm: Default::default(),
        blood_specimen: Default::default(),
        time: Times { census: zero, commit: zero, connect: zero, answer: zero, idle: zero },
        limit: Limits { connections: 1, results: 1, message: 1, journal_days: 1, repeat: zero },
        idb_direct: None,
    }
}

fn apply(text: &str, profile: &mut Profile) -> Result<(), Fault> {
    let text = Text(text);
    let table = text.parse()?;
    let mut needs_visit = None;
    for (key, value) in table.get_ref() {
        let value = text.value(key.get_ref().as_ref(), value);
        match key.get_ref().as_ref() {
            "patient-id" => profile.patient_id = patient_id(&value)?,
            "bed-name" => {
                let name = BedName::parse(&value.string()?);
                profile.bed_name = name.ok_or_else(|| value.fault("expected a text such as \"{2}-{3}\""))?;
            }
            "beds" => profile.beds = patterns(&value)?,
            "wards" => profile.wards = value.strings()?,
            "arterial" => profile.arterial = codes(&value)?,
            "venous" => profile.venous = codes(&value)?,
            "ignore" => profile.ignore = ignored(&value)?,
            "charset" => profile.charset = charset(&value)?,
            "pv1" => {
                profile.pv1 = fields(&value)?;
                needs_visit = Some(value.fault("19 must be sent on where patient-id is \"visit\""));
            }
            "keep" => profile.keep = value.table()?.into_iter().map(kept).collect::<Result<_, _>>()?,
            "zdm" => profile.zdm = value.table()?.into_iter().map(zdm).collect::<Result<_, _>>()?,
            "blood-specimen" => {
                profile.blood_specimen = specimen_texts(&value)?;
            }
            "time" => times(&value, &mut profile.time)?,
            "limit" => limits(&value, &mut profile.limit)?,
            "idb-direct" => profile.idb_direct = Some(value.string()?.into()),
            _ => return Err(value.fault("is no key of cvgateway.toml(5)")),
        }
    }
    if let Some(fault) = needs_visit
        && profile.patient_id == PatientId::Visit
        && !profile.pv1.contains(&19)
    {
        return Err(fault);
    }
    if let Some(both) = profile.arterial.iter().find(|code| profile.venous.contains(code)) {
        return Err(Fault {
            line: 1,
            what: format!("{both:?} is both arterial and venous; it must be one of the two"),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
