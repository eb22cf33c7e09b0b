//! The application CLI: results.

use protogen_core::hl7::Message;

use super::{Judgment, Refusal, part, text};
use crate::state::{LabResult, State};

/// Takes the results of an ORU for its patient.
pub(super) fn carry_out(state: &mut State, message: &Message) -> Judgment {
    if message.named(*b"PV1").next().is_some() {
        return Err(Refusal::Content("PV1 is not allowed in ORU".to_owned()));
    }
    let recno = text(message.field(*b"PID", 3));
    if recno.is_empty() {
        return Err(Refusal::Content("PID-3 must be the record number".to_owned()));
    }
    if message.named(*b"PID").count() != 1 {
        return Err(Refusal::Content("ORU must be for one patient".to_owned()));
    }
    if state.patient(&recno).is_none() {
        return Err(Refusal::Unchanged("unknown patient"));
    }
    let results: Vec<LabResult> = message
        .named(*b"OBX")
        .map(|segment| LabResult {
            recno: recno.clone(),
            code: text(segment.field(3)),
            value: part(segment.field(5), 1),
            unit: text(segment.field(6)),
            flag: text(segment.field(8)),
        })
        .collect();
    if results.is_empty() {
        return Err(Refusal::Content("ORU without OBX".to_owned()));
    }
    for result in results {
        state.add_result(result);
    }
    Ok(())
}
