//! Writes the shell completions of every program into a directory: `protogen-completions DIRECTORY`.

use std::path::PathBuf;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

/// The shells, each with a directory of its own.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

fn programs() -> Vec<Command> {
    vec![
        protogen_carevue_sim::command(),
        protogen_cvgateway::command(),
        protogen_hl7::command(),
        protogen_hl7tocv::command(),
        protogen_idb_direct::command(),
        protogen_labeventinfomgr::command(),
        protogen_llpdrv::command(),
        protogen_loincmgr::command(),
        protogen_socketreader::command(),
        protogen_unitmgr::command(),
    ]
}

fn main() -> anyhow::Result<()> {
    let directory: PathBuf =
        std::env::args_os().nth(1).context("usage: protogen-completions DIRECTORY")?.into();
    for shell in SHELLS {
        let directory = directory.join(shell.to_string());
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        for mut program in programs() {
            let name = program.get_name().to_owned();
            clap_complete::generate_to(shell, &mut program, name, &directory)
                .with_context(|| directory.display().to_string())?;
        }
    }
    Ok(())
}
