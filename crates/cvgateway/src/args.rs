//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueHint};

/// The gateway from HL7 to CareVue: the census cases of ADT, results in CareVue's codes and units.
#[derive(Parser, Debug, Clone)]
#[command(
    name = "cvgateway",
    version,
    override_usage = "cvgateway [OPTION...] SERVICE FSI_SERVICE FSI_HOST FACILITY\n       cvgateway --check [-x]"
)]
pub(crate) struct Args {
    /// Where to listen: a service's name or a port
    #[arg(value_name = "SERVICE", required_unless_present = "check")]
    pub(crate) service: Option<String>,
    /// CareVue's interface, the FSI: a service's name or a port
    #[arg(value_name = "FSI_SERVICE", required_unless_present = "check")]
    pub(crate) fsi_service: Option<String>,
    /// The host that the FSI is on
    #[arg(value_name = "FSI_HOST", required_unless_present = "check")]
    pub(crate) fsi_host: Option<String>,
    /// The care unit: MSH-4 and MSH-6 of what CareVue gets
    #[arg(value_name = "FACILITY", required_unless_present = "check")]
    pub(crate) facility: Option<String>,
    /// Match hl7hosts exactly
    #[arg(short = 'x')]
    pub(crate) exact: bool,
    /// Check profile, access list, tables and addresses, and end
    #[arg(long)]
    pub(crate) check: bool,
    /// Print what would be sent for the messages in FILE, and send nothing
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath, conflicts_with = "check")]
    pub(crate) dry_run: Option<PathBuf>,
    /// Log to this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub(crate) log: Option<PathBuf>,
    /// Log to this syslog facility
    #[arg(long, value_name = "NAME")]
    pub(crate) log_facility: Option<String>,
}
