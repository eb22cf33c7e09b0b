//! `--try`: what a new configuration would change, shown on the messages that the journal keeps. Nothing is sent.

mod given;
mod since;
mod tell;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Error;
use protogen_journal::{Reader, Stored};
use protogen_sys::exit::Exit;

use crate::config::{Config, Connection};
use crate::gate::Trial;
use given::Given;
pub(crate) use since::Since;
use tell::Teller;

/// After so many messages, a terminal is told how far it is.
const PROGRESS: u64 = 10_000;

/// An output of the one configuration, the other, or both.
struct Output<'a> {
    name: &'a str,
    old: Option<Side<'a>>,
    new: Option<Side<'a>>,
    counts: Counts,
}

/// An output in one of the configurations.
struct Side<'a> {
    config: &'a Config,
    connection: &'a Connection,
    trial: Trial,
}

impl<'a> Side<'a> {
    fn new(config: &'a Config, connection: &'a Connection) -> Side<'a> {
        Side { config, connection, trial: Trial::new(connection) }
    }

    fn gives(&mut self, stored: &Stored) -> Option<Result<Given, String>> {
        Given::of(self.config, self.connection, &mut self.trial, stored)
    }
}

/// How many messages an output gets.
#[derive(Debug, Default, Clone, Copy)]
struct Counts {
    same: u64,
    changed: u64,
    gone: u64,
    added: u64,
}

/// Runs the kept messages through both configurations, and prints where an output gets something else.
///
/// # Errors
/// The journal cannot be read.
pub(crate) fn run(old: &Config, new: &Path, since: Option<Since>, as_json: bool) -> anyhow::Result<Exit> {
    let report = crate::config::load(new, crate::config::Scope::Check);
    report.problems.iter().for_each(crate::tell);
    let Some(new) = report.config else { return Ok(Exit::Usage) };
    let journal = Reader::open(&old.general.statedir.journal()).map_err(Error::msg)?;
    let since = since.map(|since| since.before(SystemTime::now()));
    let mut outputs = outputs(old, &new);
    let mut teller = Teller::new(as_json);
    let (mut count, mut stopped) = (0, None);
    for output in &outputs {
        if stopped.is_none() {
            stopped = teller.settings(output).err();
        }
    }
    let shows_progress = io::stderr().is_terminal() && !io::stdout().is_terminal();
    journal
        .each(0, |stored| {
            if stopped.is_some() || since.is_some_and(|since| stored.time < since) {
                return if stopped.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
            }
            count += 1;
            if shows_progress && count % PROGRESS == 0 {
                // A terminal that is gone is no reason to stop.
                let _ = write!(io::stderr(), "\r{count} messages");
            }
            for output in &mut outputs {
                if stopped.is_none() {
                    stopped = compare(output, &stored, &mut teller).err();
                }
            }
            ControlFlow::Continue(())
        })
        .map_err(Error::msg)?;
    if shows_progress && count >= PROGRESS {
        let _ = writeln!(io::stderr());
    }
    if stopped.is_none() {
        stopped = teller.summary(count, &outputs).err();
    }
    match stopped {
        // Whoever reads us may have enough.
        Some(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(if teller.has_differences() { Exit::Negative } else { Exit::Done }),
    }
}

/// In the order of the new configuration; those that it lacks last.
fn outputs<'a>(old: &'a Config, new: &'a Config) -> Vec<Output<'a>> {
    let of = |config: &'a Config| {
        let outputs = config.connections.iter().filter(|connection| !connection.kind.is_input());
        outputs.map(|output| (output.name.as_str(), output)).collect::<Vec<_>>()
    };
    let olds: BTreeMap<&str, &Connection> = of(old).into_iter().collect();
    let news = of(new);
    let output = |name: &'a str, connection: Option<&'a Connection>| Output {
        name,
        old: olds.get(name).map(|connection| Side::new(old, connection)),
        new: connection.map(|connection| Side::new(new, connection)),
        counts: Counts::default(),
    };
    let mut outputs: Vec<Output> = news.iter().map(|(name, new)| output(name, Some(new))).collect();
    let removed = of(old).into_iter().filter(|(name, _)| news.iter().all(|(other, _)| other != name));
    outputs.extend(removed.map(|(name, _)| output(name, None)));
    outputs
}

fn compare(output: &mut Output<'_>, stored: &Stored, teller: &mut Teller) -> io::Result<()> {
    let before = output.old.as_mut().and_then(|side| side.gives(stored));
    let after = output.new.as_mut().and_then(|side| side.gives(stored));
    let is_sent = |given: &Option<Result<Given, String>>| matches!(given, Some(Ok(_)));
    let count = match (is_sent(&before), is_sent(&after)) {
        (false, false) => return Ok(()),
        (true, true) if before == after => &mut output.counts.same,
        (true, true) => &mut output.counts.changed,
        (true, false) => &mut output.counts.gone,
        (false, true) => &mut output.counts.added,
    };
    *count += 1;
    if before == after {
        return Ok(());
    }
    teller.message(output.name, stored, before, after)
}
