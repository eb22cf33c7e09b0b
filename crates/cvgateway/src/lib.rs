//! The gateway between HL7 and CareVue. See cvgateway(8).

pub mod decide;
pub mod profile;

use std::process::ExitCode;

/// Runs the program.
pub fn main() -> ExitCode {
    ExitCode::SUCCESS
}
