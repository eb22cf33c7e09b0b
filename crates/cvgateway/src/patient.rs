//! The patients of a message: who they are and where they are put.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use protogen_core::hl7::{CR, Message, Value};

use crate::decide::Where;
use crate::profile::{PatientId, Profile};

/// One patient of a message.
#[derive(Debug, Clone)]
pub(crate) struct Patient {
    /// A message of this patient alone: MSH, what stands before the first PID, and the patient's own segments.
    pub(crate) bytes: Vec<u8>,
    /// CareVue's medical record number, as it stands in the message.
    pub(crate) record: Vec<u8>,
    /// The same decoded, for idb_direct.
    pub(crate) number: OsString,
    /// The account number, as it stands in the message; empty where there is none.
    pub(crate) account: Vec<u8>,
    /// Where PV1-3 puts the patient.
    pub(crate) place: Where,
    /// CareVue's name of that bed; empty where it is none of the care unit.
    pub(crate) bed: String,
    /// The bed of PV1-6, likewise.
    pub(crate) prior: String,
}

/// The patients of a message, in order: each PID with what follows it.
///
/// # Errors
/// What is missing, for the sender.
pub(crate) fn patients(message: &Message, profile: &Profile) -> Result<Vec<Patient>, String> {
    let mut common = Vec::new();
    let mut groups: Vec<Vec<u8>> = Vec::new();
    for segment in message.segments() {
        if segment.name() == b"PID" {
            groups.push(common.clone());
        }
        let group = groups.last_mut().unwrap_or(&mut common);
        group.extend_from_slice(segment.raw());
        group.push(CR);
    }
    groups.into_iter().map(|bytes| Patient::of(bytes, profile)).collect()
}

impl Patient {
    fn of(bytes: Vec<u8>, profile: &Profile) -> Result<Patient, String> {
        let message = Message::parse(&bytes).map_err(|error| error.to_string())?;
        let patient = id(message.field(*b"PID", 3));
        let visit = id(message.field(*b"PV1", 19));
        let (record, account, wanted) = match profile.patient_id {
            PatientId::Visit => (visit, patient, "PV1-19"),
            PatientId::Patient => {
                let account = id(message.field(*b"PID", 18));
                (patient, if account.is_valued() { account } else { visit }, "PID-3")
            }
        };
        let number = record.text().trim_ascii().to_vec();
        let (record, account) = (trimmed(record), trimmed(account));
        if record.is_empty() {
            return Err(format!("no patient id: {wanted} is empty or blank"));
        }
        let (place, bed) = profile.locate(&components(message.field(*b"PV1", 3)));
        let (_, prior) = profile.locate(&components(message.field(*b"PV1", 6)));
        Ok(Patient {
            number: OsString::from_vec(number),
            record: record.to_vec(),
            account: account.to_vec(),
            place,
            bed,
            prior,
            bytes,
        })
    }
}

/// An id: the first component of the first repetition.
fn id(field: Value<'_>) -> Value<'_> {
    field.repetition(1).component(1).subcomponent(1)
}

/// An id without the blanks around it; empty where there is none.
fn trimmed(id: Value<'_>) -> &[u8] {
    let raw = id.raw().trim_ascii();
    if id.is_valued() && raw != b"\"\"" { raw } else { b"" }
}

fn components(field: Value<'_>) -> Vec<String> {
    let location = field.repetition(1);
    location.components().map(|part| String::from_utf8_lossy(&part.text()).into_owned()).collect()
}
