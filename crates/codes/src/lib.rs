//! The code tables that give a result its meaning: LOINC, LabEventInfo and units.

pub mod fuzz;
pub mod lab_event_info;
pub mod lab_event_map;
pub mod loinc;
pub mod manage;
pub mod query;
pub mod read;
pub mod store;
pub mod table;
pub mod units;
