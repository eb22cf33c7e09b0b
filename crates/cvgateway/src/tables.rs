//! The code tables, as far as there are any. What each result needs is kept in memory; SIGHUP opens them anew.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use protogen_codes::lab_event_info::LabEventInfo;
use protogen_codes::loinc::Loinc;
use protogen_codes::store::StoreError;
use protogen_codes::table::Table;
use protogen_codes::units::{Unit, Units};

/// The most units that are remembered. Senders could make up more, for UCUM has no end; then they are read again.
const MOST_UNITS: usize = 1000;

/// What a result is understood by. Without LabEventInfo and units there are no results; without LOINC only the ids of
/// LabEventInfo are known.
#[derive(Debug, Default, Clone)]
pub(crate) struct Tables {
    /// The rows of LabEventInfo by their ids.
    pub(crate) infos: Option<Arc<HashMap<String, LabEventInfo>>>,
    pub(crate) units: Option<Arc<KnownUnits>>,
    pub(crate) loinc: Option<Arc<Table<Loinc>>>,
}

impl Tables {
    /// Opens what there is, and says what is missing. What was open before stays in the place of what is broken.
    pub(crate) fn open(codes: &Path, old: Option<&Tables>) -> (Tables, Vec<String>) {
        let old = old.cloned().unwrap_or_default();
        let mut missing = Vec::new();
        let mut tell = |error: StoreError, is_old: bool, what: &str| {
            missing.push(format!("{error}; {}", if is_old { "the old table stays in force" } else { what }));
        };
        let results = "ORU is answered AR until it is there";
        let infos = infos(codes).map(Arc::new).map_err(|error| tell(error, old.infos.is_some(), results));
        let units = Table::open(Units, codes).map(|table| Arc::new(KnownUnits::new(table)));
        let units = units.map_err(|error| tell(error, old.units.is_some(), results));
        let only = "only the ids of LabEventInfo are known";
        let loinc = Table::loinc(codes).map(Arc::new);
        let loinc = loinc.map_err(|error| tell(error, old.loinc.is_some(), only));
        let tables = Tables {
            infos: infos.ok().or(old.infos),
            units: units.ok().or(old.units),
            loinc: loinc.ok().or(old.loinc),
        };
        (tables, missing)
    }

    /// Whether results can be taken.
    pub(crate) fn has_results(&self) -> bool {
        self.infos.is_some() && self.units.is_some()
    }
}

fn infos(codes: &Path) -> Result<HashMap<String, LabEventInfo>, StoreError> {
    let mut infos = HashMap::new();
    Table::lab_event_info(codes)?.each(|row| {
        // What cannot be understood was not loaded.
        infos.extend(LabEventInfo::of(&row).ok().map(|info| (info.loinc_num.clone(), info)));
        ControlFlow::Continue(())
    })?;
    Ok(infos)
}

/// The units table, and the units that were looked up.
#[derive(Debug)]
pub(crate) struct KnownUnits {
    table: Table<Units>,
    known: Mutex<HashMap<String, Arc<Unit>>>,
}

impl KnownUnits {
    fn new(table: Table<Units>) -> KnownUnits {
        KnownUnits { table, known: Mutex::default() }
    }

    /// The unit of a code; `None` for a code that is none.
    ///
    /// # Errors
    /// When the table cannot be read.
    pub(crate) fn unit(&self, code: &str) -> Result<Option<Arc<Unit>>, StoreError> {
        let known = || self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unit) = known().get(code) {
            return Ok(Some(Arc::clone(unit)));
        }
        let Ok(unit) = self.table.unit(code)? else { return Ok(None) };
        let unit = Arc::new(unit);
        let mut known = known();
        if known.len() >= MOST_UNITS {
            known.clear();
        }
        known.insert(code.to_owned(), Arc::clone(&unit));
        Ok(Some(unit))
    }
}
