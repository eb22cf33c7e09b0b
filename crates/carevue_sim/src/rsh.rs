//! What stands in for the remote shell: the command runs here, with CareVue's commands on its path.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use protogen_sys::durable;
use protogen_sys::files::RealFiles;

use crate::COMMANDS;
use crate::manner::Manner;
use crate::state::Store;

/// The script that inserts the admit observations of a patient, as a site copies it to its CareVue host.
const NEW_WT_HT_BSA: &[u8] = include_bytes!("../../../scripts/new_wt_ht_bsa");
/// The status of a remote shell that could not reach its host.
const NO_CONNECTION: u8 = 255;

/// Replaces this process by a shell that runs the words, joined by blanks. Returns the status of a host that cannot be
/// reached, if it is to play that.
pub(crate) fn run(store: &Store, account: &str, words: &[OsString]) -> Result<u8> {
    if !account.contains('@') || account.starts_with('-') {
        bail!("{account}: must be LOGIN@HOST");
    }
    if store.read()?.manner == Manner::NoRsh {
        eprintln!("carevue-sim: connect to host: Connection refused");
        return Ok(NO_CONNECTION);
    }
    let state = std::path::absolute(store.directory())?;
    let commands = provide(&state)?;
    let mut path = commands.into_os_string();
    if let Some(inherited) = std::env::var_os("PATH") {
        path.push(":");
        path.push(inherited);
    }
    let error = Command::new("/bin/sh")
        .arg("-c")
        .arg(words.join(OsStr::new(" ")))
        .env("PATH", path)
        .env("CAREVUE_SIM_STATE", state)
        .exec();
    Err(error).context("/bin/sh")
}

/// Makes the directory `bin` of the state: links to this program, and the script.
pub(crate) fn provide(state: &Path) -> Result<PathBuf> {
    let commands = state.join("bin");
    let program = std::env::current_exe().context("this program")?;
    let is_there = COMMANDS
        .iter()
        .all(|name| std::fs::read_link(commands.join(name)).is_ok_and(|target| target == program));
    if is_there && commands.join("new_wt_ht_bsa").is_file() {
        return Ok(commands);
    }
    let failed = || commands.display().to_string();
    std::fs::create_dir_all(&commands).with_context(failed)?;
    // Several may be at it: each makes its own file and renames it.
    let own = commands.join(format!(".new.{}", std::process::id()));
    for name in COMMANDS {
        let _ = std::fs::remove_file(&own);
        std::os::unix::fs::symlink(&program, &own).with_context(failed)?;
        std::fs::rename(&own, commands.join(name)).with_context(failed)?;
    }
    durable::write(&RealFiles, &own, NEW_WT_HT_BSA)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(&own, mode).with_context(failed)?;
    std::fs::rename(&own, commands.join("new_wt_ht_bsa")).with_context(failed)?;
    Ok(commands)
}
