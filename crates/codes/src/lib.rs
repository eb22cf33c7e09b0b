//! The code tables that give a result its meaning: LOINC, LabEventInfo and units.
//!
//! For a program that needs them:
//!
//! - [`Table::loinc`](table::Table::loinc), [`record`](table::Table::record) by number and
//!   [`records`](table::Table::records) by the code of another system
//! - [`Table::lab_event_info`](table::Table::lab_event_info) and [`info`](table::Table::info) by observation id: the
//!   unit, the constant, the boundaries, and how a value is rounded and printed
//! - [`Table::unit`](table::Table::unit) by code, and [`units::convert`]
//!
//! An opened [`table::Table`] may be shared by threads and never changes; open it again to see what a manager did.
//!
//! For the managers: [`manage`] loads files and takes rows out, [`query`] finds rows, [`store`] keeps them. A kind of
//! table is a [`table::Kind`].
//!
//! The crate stands beside `protogen-core`, not in it: a table in force needs locks and durable files, which are
//! `protogen-sys`'s, and that stands on core.
#![forbid(unsafe_code)]

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
