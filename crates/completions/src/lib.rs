//! The shell completions of every program: `protogen-completions DIRECTORY` writes them, for scripts/install and the Debian
//! package.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::Command;
use clap_complete::Shell;

/// The shells, each with a directory of its own.
const SHELLS: [Shell; 3] = [Shell::Bash, Shell::Zsh, Shell::Fish];

/// Other names of programs, which are completed like them: the name, and the program's.
const OTHER_NAMES: [(&str, &str); 3] =
    [("LabEventInfoMgr", "labeventinfomgr"), ("ablhl7tocv", "hl7tocv"), ("socketReader", "socketreader")];

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

/// Writes the completions of every program, those of each shell into a directory of its own: `bash`, `zsh`, `fish`.
///
/// # Errors
/// A directory or a file that cannot be written, by its name.
pub fn write(directory: &Path) -> anyhow::Result<()> {
    for shell in SHELLS {
        let directory = directory.join(shell.to_string());
        std::fs::create_dir_all(&directory).with_context(|| directory.display().to_string())?;
        for mut program in programs() {
            let name = program.get_name().to_owned();
            let others = OTHER_NAMES.iter().filter(|(_, of)| *of == name).map(|(other, _)| *other);
            for name in others.chain([name.as_str()]) {
                clap_complete::generate_to(shell, &mut program, name, &directory)
                    .with_context(|| directory.display().to_string())?;
            }
        }
    }
    Ok(())
}

/// The program.
pub fn main() -> ExitCode {
    let directory =
        std::env::args_os().nth(1).map(PathBuf::from).context("usage: protogen-completions DIRECTORY");
    match directory.and_then(|directory| write(&directory)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("protogen-completions: {error:#}");
            ExitCode::FAILURE
        }
    }
}
