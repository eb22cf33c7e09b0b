//! Results (ORU): each OBX in CareVue's codes and units, each order a message of its own to CLI.

mod judge;
mod report;

pub(crate) use judge::{Fate, Specimen, judge};
pub(crate) use report::handle;
