//! What each command does.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use protogen_core::roman8;
use protogen_sys::exit::Exit;
use protogen_sys::files::read_bounded;

use crate::census::Patient;
use crate::manner::Manner;
use crate::state::{State, Store};
use crate::{Command, dbload, fsi, idb, rsh};

/// Carries out a command on the state in `directory`; gives the exit status.
pub(crate) fn run(command: Command, directory: &Path, output: &mut impl Write) -> Result<u8> {
    if let Command::Init { careunit, bed } = command {
        return init(directory, careunit, bed);
    }
    let store = Store::open(directory)?;
    match command {
        // Above.
        Command::Init { .. } => {}
        Command::Serve { port, host } => fsi::serve(&store, &format!("{port}%{host}"))?,
        Command::Census => {
            for Patient { recno, bed, name, .. } in store.read()?.census() {
                writeln!(output, "{recno}\t{bed}\t{name}")?;
            }
        }
        Command::Results => {
            for one in store.read()?.results {
                writeln!(output, "{}\t{}\t{}\t{}\t{}", one.recno, one.code, one.value, one.unit, one.flag)?;
            }
        }
        Command::Messages => {
            for text in store.read()?.messages {
                writeln!(output, "{text}")?;
            }
        }
        Command::Admit { recno, bed, name } => {
            let patient = Patient { recno, bed: bed.unwrap_or_default(), name, hidden: 0 };
            if [&patient.recno, &patient.bed, &patient.name]
                .iter()
                .any(|text| text.contains(char::is_control))
            {
                bail!("a control character in a record number, bed or name");
            }
            store.change(|state| state.admit(patient).map_err(|why| anyhow!("not admitted: {why}")))?;
        }
        Command::Misbehave { manner, number, times } => {
            let manner = Manner::parse(&manner, number)?;
            store.change(|state| {
                (state.manner, state.times) = (manner, times);
                Ok(())
            })?;
        }
        Command::Rsh { account, command } => {
            return rsh::run(&store, &account, &command);
        }
        Command::Idb => {
            let mut script = Vec::new();
            std::io::stdin().take(idb::MAX_SCRIPT as u64 + 1).read_to_end(&mut script)?;
            if script.len() > idb::MAX_SCRIPT {
                bail!("more than {} bytes of statements", idb::MAX_SCRIPT);
            }
            let printed = store.change(|state| idb::run(state, &roman8::decode(&script)))?;
            output.write_all(&encoded(&printed))?;
        }
        Command::PtMgrSup { .. } => {
            let census = |state: &mut State| {
                state.look();
                Ok(state.census().map(|one| format!("{}\t{}\n", one.recno, one.bed)).collect::<String>())
            };
            output.write_all(&encoded(&store.change(census)?))?;
        }
        Command::Dbload { file } => {
            let text = read_bounded(&file, dbload::MAX_FILE).with_context(|| file.display().to_string())?;
            let load = |state: &mut State| dbload::load(state, &roman8::decode(&text));
            let count = store.change(load).with_context(|| file.display().to_string())?;
            writeln!(output, "{count} loaded")?;
        }
        Command::SysMsg { text } => {
            let text = roman8::decode(text.join(&OsString::from(" ")).as_bytes());
            store.change(|state| {
                state.show(&text);
                Ok(())
            })?;
        }
    }
    Ok(Exit::Done.status())
}

fn init(directory: &Path, careunit: String, beds: Vec<String>) -> Result<u8> {
    for name in beds.iter().chain([&careunit]) {
        if name.is_empty() || name.contains(char::is_control) || name.contains('"') {
            bail!("{name:?}: a name must have characters, and no quotes or control characters");
        }
    }
    Store::init(directory, &State { careunit, beds, ..State::default() })?;
    rsh::provide(&std::path::absolute(directory)?)?;
    Ok(Exit::Done.status())
}

/// In CareVue's character set; what that does not have becomes a question mark.
fn encoded(text: &str) -> Vec<u8> {
    text.chars().map(|c| roman8::encode_char(c).unwrap_or(b'?')).collect()
}
