//! The command's side.

use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Error, bail};
use nix::unistd::Uid;
use protogen_journal::{Journal, Reader};
use protogen_sys::exit::Exit;
use protogen_sys::log::printable;
use protogen_sys::unix_socket;
use serde_json::{Value, json};

use super::perform::{Change, Ground};
use super::{queues as standing, server, table};
use crate::board::Board;
use crate::config::Config;
use crate::log;

/// How long the daemon may take for its answer.
const PATIENCE: Duration = Duration::from_secs(600);

/// Asks the daemon; `None` while it is down.
fn ask(config: &Config, request: &Value) -> anyhow::Result<Option<BufReader<UnixStream>>> {
    let path = server::path(&config.general.statedir.path);
    let mut stream = match unix_socket::connect(&path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => bail!("{}: {error}", path.display()),
    };
    stream.set_read_timeout(Some(PATIENCE))?;
    // One that has too much to do says so without listening.
    let _ = stream.write_all(format!("{request}\n").as_bytes());
    Ok(Some(BufReader::new(stream)))
}

fn line(reader: &mut impl BufRead) -> anyhow::Result<Option<Value>> {
    let mut line = String::new();
    reader.read_line(&mut line).context("no answer of the daemon")?;
    if line.is_empty() {
        return Ok(None);
    }
    if line == "\n" {
        return Ok(Some(Value::Null));
    }
    let answer: Value = serde_json::from_str(&line).context("the daemon's answer cannot be read")?;
    match answer["error"].as_str() {
        Some(error) => bail!("{error}"),
        None => Ok(Some(answer)),
    }
}

fn answer(reader: &mut impl BufRead) -> anyhow::Result<Value> {
    line(reader)?.context("the daemon has ended")
}

/// Prints how the queues stand.
pub(crate) fn queues(config: &Config, as_json: bool) -> anyhow::Result<Exit> {
    let found = match ask(config, &json!({ "command": "queues" }))? {
        Some(mut reader) => answer(&mut reader)?,
        None => {
            let journal = Reader::open(&config.general.statedir.journal()).map_err(Error::msg)?;
            standing::at_rest(config, &journal)
        }
    };
    print(&if as_json { format!("{found:#}\n") } else { table::queues(&found) });
    Ok(Exit::Done)
}

/// Makes a change, by the daemon or, while it is down, here.
pub(crate) fn perform(config: &Config, name: &str, change: &Change, as_json: bool) -> anyhow::Result<Exit> {
    let done = match ask(config, &change.request(name))? {
        Some(mut reader) => answer(&mut reader)?,
        None => at_rest(config, name, change)?,
    };
    print(&if as_json { format!("{done:#}\n") } else { table::done(name, change, &done) });
    let is_refused = done["refused"].as_u64().is_some_and(|refused| refused > 0);
    let is_empty = done["messages"].as_u64() == Some(0);
    Ok(if is_refused || is_empty { Exit::Negative } else { Exit::Done })
}

/// The daemon is down: the journal's lock keeps it from starting meanwhile.
fn at_rest(config: &Config, name: &str, change: &Change) -> anyhow::Result<Value> {
    let _log =
        log::start(config.general.logfile.as_deref(), config.general.loglvl, true).map_err(Error::msg)?;
    let opened = Journal::open(&config.general.statedir.journal(), config.journal_settings());
    let (journal, _) = opened.map_err(Error::msg)?;
    let board = Arc::new(Board::open(&Arc::new(config.clone()))?);
    let (reader, producer) = (journal.reader(), journal.producer(|| {}));
    let who = format!("{} (process {})", server::user(Uid::current()), std::process::id());
    let ground = Ground { board: &board, journal: &reader, producer: &producer };
    let done = ground.perform(name, change, &who).map_err(Error::msg);
    journal.close();
    done
}

/// Prints a line for each message that is delivered, until it is interrupted.
pub(crate) fn follow(config: &Config, as_json: bool) -> anyhow::Result<Exit> {
    let Some(mut reader) = ask(config, &json!({ "command": "follow" }))? else {
        bail!("the daemon is down, there is nothing to follow");
    };
    answer(&mut reader)?;
    if io::stderr().is_terminal() {
        eprintln!("socketreader: following; end it with ^C");
    }
    let mut out = io::stdout();
    while let Some(delivery) = line(&mut reader)? {
        if delivery.is_null() {
            continue;
        }
        let text = if as_json { format!("{delivery}\n") } else { table::delivery(&delivery) };
        if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
            // Whoever reads us has enough.
            return Ok(Exit::Done);
        }
    }
    bail!("the daemon has ended")
}

/// Prints text that may hold anything: what a terminal would obey is escaped.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    for line in text.lines() {
        // Whoever reads us may have enough.
        if writeln!(out, "{}", printable(&format_args!("{line}"))).is_err() {
            return;
        }
    }
}
