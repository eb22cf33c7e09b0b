//! The running program.

use crate::config::Config;

/// Moves messages until SIGTERM. Logs the configuration's warnings first.
#[allow(clippy::needless_pass_by_value)] // the running program will own its configuration
pub fn run(config: Config) -> anyhow::Result<()> {
    anyhow::bail!("{}: no connection is served yet", config.file.display())
}
