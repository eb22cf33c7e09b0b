//! The idb script that makes CareVue's LabEventMap from the LabEventInfo table.

use std::ops::ControlFlow;

use crate::lab_event_info::{Charset, LabEventInfo, LabEventInfos};
use crate::store::StoreError;
use crate::table::Table;

/// The script for a care unit: it clears the map, finds the care unit and inserts every row that is a lab event.
///
/// # Errors
/// What is wrong with a row or the care unit's name: idb has no way to write a quote, a backslash or a control
/// character within a string, and CareVue's character set does not have every character.
pub fn lab_event_map(
    table: &Table<LabEventInfos>,
    careunit: &str,
    charset: Charset,
) -> Result<Result<Vec<u8>, String>, StoreError> {
    let mut script = match quoted(careunit) {
        Ok(careunit) => format!(
            "SET ColumnMode;\nCLEAR FROM LabEventMap WHERE objectId != NULL;\n\
             SELECT objectId INTO OID FROM CISCareUnitCfg WHERE name = {careunit};\n"
        ),
        Err(why) => return Ok(Err(format!("care unit {careunit:?}: {why}"))),
    };
    let mut outcome = Ok(());
    table.each(|row| {
        let line = LabEventInfo::of(&row).and_then(|info| insert(&info));
        match line {
            Ok(line) => {
                script.push_str(&line);
                ControlFlow::Continue(())
            }
            Err(why) => {
                outcome = Err(format!("{}: {why}", row.field(0)));
                ControlFlow::Break(())
            }
        }
    })?;
    let encode = |()| {
        charset
            .encode(&script)
            .map_err(|c| format!("{c:?} is no character of {}, which CareVue reads", charset.name()))
    };
    Ok(outcome.and_then(encode))
}

/// The statement of a row; empty for one that is no lab event.
fn insert(info: &LabEventInfo) -> Result<String, String> {
    let Some(class) = &info.lab_event_class else { return Ok(String::new()) };
    let values =
        [Some(&info.loinc_num), Some(class), info.property.as_ref(), info.msmt.as_ref(), info.unit.as_ref()];
    let values = values.map(|value| value.map_or(Ok("NULL".to_owned()), |text| quoted(text)));
    let values = values.into_iter().collect::<Result<Vec<_>, _>>()?.join(", ");
    Ok(format!(
        "INSERT INTO LabEventMap (careUnit, labTestCode, mappedPtEvent, property, msmt, unit) VALUES (OID, {values});\n"
    ))
}

fn quoted(text: &str) -> Result<String, String> {
    match text.chars().find(|c| *c == '"' || *c == '\\' || c.is_control()) {
        Some(c) => Err(format!("{text:?} holds {c:?}, which idb cannot have within a string")),
        None => Ok(format!("\"{text}\"")),
    }
}
