//! Looks into CareVue's census, and what is written into it: by idb_direct(8), whose exit status is the answer.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use protogen_sys::child::{self, Limits};

use crate::decide::{Event, Status};
use crate::patient::Patient;
use crate::reply::{Reply, printable};

/// What is kept of what idb_direct writes, in bytes.
const MAX_OUTPUT: usize = 4096;
/// What is told of it.
const MAX_TOLD: usize = 120;
/// The error flag alone: the question was wrong.
const ERROR: i32 = 128;
/// The bits of an error: 7, and 6 where trying again may help.
const ERROR_BITS: i32 = 0b1100_0000;

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum CensusError {
    /// The values are at fault: an unknown bed, a number that CareVue cannot hold.
    Values(String),
    /// CareVue could not be asked.
    Later(String),
}

impl CensusError {
    pub(crate) fn text(&self) -> &str {
        match self {
            CensusError::Values(text) | CensusError::Later(text) => text,
        }
    }

    pub(crate) fn reply(&self) -> Reply {
        match self {
            CensusError::Values(text) => Reply::refused(format!("the census refuses: {text}")),
            CensusError::Later(text) => Reply::later(format!("the census cannot be asked: {text}")),
        }
    }
}

/// Who plays idb_direct(8).
#[derive(Debug, Clone)]
pub(crate) enum IdbDirect {
    /// The program at this path.
    Program(PathBuf),
    /// A function from the arguments to the exit status, for measurements.
    Function(fn(&[OsString]) -> u8),
}

/// How the census is reached.
#[derive(Debug, Clone)]
pub(crate) struct Census {
    pub(crate) idb_direct: IdbDirect,
    /// The most that a look takes.
    pub(crate) look: Duration,
    /// The most that `-c` takes.
    pub(crate) commit: Duration,
}

impl Census {
    /// Asks about an event of these patients: one, or two for A17. A cancellation is not asked about.
    pub(crate) fn ask(&self, event: Event, patients: &[&Patient]) -> Result<(Status, Status), CensusError> {
        let (Some(number), Some(first)) = (event.number(), patients.first()) else {
            return Ok((Status::default(), Status::default()));
        };
        let bed = if event == Event::A02 { &first.prior } else { &first.bed };
        let mut arguments = arguments(number, first, bed);
        match (event, patients.get(1)) {
            (Event::A02, _) => arguments.extend(["-n".into(), OsString::from(&first.bed)]),
            (Event::A17, Some(second)) => {
                arguments.extend([
                    "-s".into(),
                    second.number.clone(),
                    "-m".into(),
                    OsString::from(&second.bed),
                ]);
            }
            _ => {}
        }
        self.run(&arguments, self.look, event.has_two())
    }

    /// Waits until CareVue has the patient (event A01), and writes admit observations (A01 and A08); what the census says
    /// then.
    pub(crate) fn commit(
        &self,
        event: Event,
        patient: &Patient,
        observed: &BTreeMap<char, String>,
    ) -> Result<Status, CensusError> {
        let mut arguments = arguments(event.number().unwrap_or_default(), patient, &patient.bed);
        arguments.push("-c".into());
        for (kind, value) in observed {
            arguments.extend([format!("-{kind}").into(), OsString::from(value)]);
        }
        let (status, _) = self.run(&arguments, self.commit, false)?;
        match status.is_known() {
            true => Ok(status),
            false => Err(CensusError::Values("the patient is not in the census".into())),
        }
    }

    fn run(
        &self,
        arguments: &[OsString],
        time: Duration,
        two: bool,
    ) -> Result<(Status, Status), CensusError> {
        let program = match &self.idb_direct {
            IdbDirect::Program(path) => path,
            IdbDirect::Function(function) => {
                let answer = statuses(function(arguments), two);
                return answer.ok_or_else(|| CensusError::Later("no status".to_owned()));
            }
        };
        let mut command = Command::new(program);
        command.args(arguments);
        let finished = child::run(&mut command, b"", Limits { time, output: MAX_OUTPUT });
        let name = program.display();
        let finished = finished.map_err(|error| {
            log::error!("{name}: {error}");
            CensusError::Later("idb_direct does not run".into())
        })?;
        let errors = String::from_utf8_lossy(&finished.stderr).into_owned();
        let first_line = errors.lines().next().unwrap_or_default();
        log::debug!("{name}: {}: {errors}", finished.status);
        if finished.timed_out {
            log::error!("{name}: no answer within {time:?}; it was ended");
            return Err(CensusError::Later("idb_direct takes too long".into()));
        }
        let told = || printable(first_line.as_bytes(), MAX_TOLD);
        match finished.status.code() {
            Some(ERROR) => Err(CensusError::Values(told())),
            Some(code) if code & ERROR_BITS == 0 => statuses(code as u8, two).ok_or_else(|| {
                log::error!("{name}: exit status {code} is no answer to this question");
                CensusError::Later(format!("idb_direct answered {code}, which has no meaning"))
            }),
            _ => {
                log::error!("{name}: {}", finished.status);
                let told = Some(told()).filter(|told| !told.is_empty());
                Err(CensusError::Later(told.unwrap_or_else(|| format!("idb_direct: {}", finished.status))))
            }
        }
    }
}

/// What every question has.
fn arguments(number: u8, patient: &Patient, bed: &str) -> Vec<OsString> {
    let event = number.to_string().into();
    vec!["-e".into(), event, "-r".into(), patient.number.clone(), "-l".into(), bed.into()]
}

/// The two triples; the second must be empty where one was asked about.
fn statuses(code: u8, two: bool) -> Option<(Status, Status)> {
    let second = Status::of_bits(code >> 3)?;
    (two || second == Status::default()).then_some((Status::of_bits(code & 7)?, second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_interface_allows_is_an_answer() {
        assert_eq!(statuses(0o72, true), Some((Status::FreeKnown, Status::There)));
        assert_eq!(statuses(7, false), Some((Status::There, Status::FreeUnknown)));
        for (code, two) in [(4, false), (5, false), (6, true), (0o10, false), (0o42, true), (0o62, true)] {
            assert_eq!(statuses(code, two), None, "{code:o}");
        }
    }
}
