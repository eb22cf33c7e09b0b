//! The application ADT. Demographics come from ZDM, the location from PV1.

use protogen_core::hl7::{Message, Segment};

use super::{Judgment, Refusal, part, text};
use crate::census::Patient;
use crate::state::State;

/// Carries out an ADT message; who is admitted by it appears after so many looks at the census.
pub(super) fn carry_out(state: &mut State, message: &Message, hidden: u32) -> Judgment {
    let last = message.segments().next_back();
    if last.is_none_or(|segment| segment.name() != b"ZDM") {
        return Err(Refusal::Content("ZDM must be the last segment".to_owned()));
    }
    let patients = patients(message, hidden);
    let Some(patient) = patients.first() else {
        return Err(Refusal::Content("PID is missing".to_owned()));
    };
    if patients.iter().any(|patient| patient.recno.is_empty()) {
        return Err(Refusal::Content("PID-3 must be the record number".to_owned()));
    }
    let event = message.header(9).component(2);
    let (recno, bed) = (patient.recno.as_str(), patient.bed.as_str());
    let outcome = match event.raw() {
        b"A01" => state.admit(patient.clone()),
        b"A02" | b"A12" => state.transfer(recno, bed),
        b"A03" | b"A11" => state.leave(recno),
        b"A08" => state.update(recno, &patient.name),
        b"A13" => state.come_back(recno, bed),
        b"A17" => match patients.as_slice() {
            [first, second] => state.swap((&first.recno, &first.bed), (&second.recno, &second.bed)),
            _ => return Err(Refusal::Content("A17 needs two PID".to_owned())),
        },
        _ => return Err(Refusal::Address("ADT does not take this event".to_owned())),
    };
    outcome.map_err(Refusal::Unchanged)
}

/// Each PID with the PV1 and the ZDM behind it.
fn patients(message: &Message, hidden: u32) -> Vec<Patient> {
    let mut patients: Vec<Patient> = Vec::new();
    for segment in message.segments() {
        match (segment.name(), patients.last_mut()) {
            (b"PID", _) => {
                patients.push(Patient { recno: text(segment.field(3)), hidden, ..Patient::default() });
            }
            (b"PV1", Some(patient)) => patient.bed = bed(&segment),
            (b"ZDM", Some(patient)) => {
                let names = [text(segment.field(1)), text(segment.field(2))];
                patient.name = names.join(", ").trim_matches([',', ' ']).to_owned();
            }
            _ => {}
        }
    }
    patients
}

/// PV1-3 as a bed: room and bed joined by a dash, or the first component where there are no others.
fn bed(segment: &Segment) -> String {
    let [unit, room, bed] = [1, 2, 3].map(|n| part(segment.field(3), n));
    match (room.is_empty(), bed.is_empty()) {
        (true, true) => unit,
        (false, true) => room,
        (true, false) => bed,
        (false, false) => format!("{room}-{bed}"),
    }
}
