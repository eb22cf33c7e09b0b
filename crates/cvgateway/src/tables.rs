//! The code tables, as far as there are any.

use std::path::Path;

use protogen_codes::lab_event_info::LabEventInfos;
use protogen_codes::loinc::Loinc;
use protogen_codes::table::Table;
use protogen_codes::units::Units;

/// What a result is understood by. Without LabEventInfo and units there are no results; without LOINC only the ids of
/// LabEventInfo are known.
#[derive(Debug, Default)]
pub(crate) struct Tables {
    pub(crate) infos: Option<Table<LabEventInfos>>,
    pub(crate) units: Option<Table<Units>>,
    pub(crate) loinc: Option<Table<Loinc>>,
}

impl Tables {
    /// Opens what there is, and says what is missing.
    pub(crate) fn open(codes: &Path) -> (Tables, Vec<String>) {
        let mut missing = Vec::new();
        let mut tell = |what: &str, error: String| missing.push(format!("{error}; {what}"));
        let results = "ORU is answered AR until it is there";
        let tables = Tables {
            infos: Table::lab_event_info(codes).map_err(|e| tell(results, e.to_string())).ok(),
            units: Table::open(Units, codes).map_err(|e| tell(results, e.to_string())).ok(),
            loinc: Table::loinc(codes)
                .map_err(|e| tell("only the ids of LabEventInfo are known", e.to_string()))
                .ok(),
        };
        (tables, missing)
    }

    /// Whether results can be taken.
    pub(crate) fn has_results(&self) -> bool {
        self.infos.is_some() && self.units.is_some()
    }
}
