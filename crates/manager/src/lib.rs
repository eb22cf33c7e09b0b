//! The command line that loincmgr, labeventinfomgr and unitmgr share: loading files into a table, querying, dumping.
//!
//! A manager's `command()` is [`arguments`] with its own options added; its `main()` is [`main`].

mod input;
mod output;

use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use clap::{Arg, ArgAction, ArgGroup, ArgMatches, Command, ValueHint, value_parser};
use protogen_codes::manage::{Load, ManageError, Manager, Summary};
use protogen_codes::query::{Query, place_of};
use protogen_codes::read::{Notice, Notices};
use protogen_codes::table::{Kind, Table};
use protogen_sys::exit::{Exit, command_line_ends};
use protogen_sys::site::Site;

pub use input::sources;
pub use output::Output;

/// The options that load files, and how each loads them.
const LOADS: [(&str, char, Load, &str); 4] = [
    ("create", 'c', Load::Create, "Make the table of these files (- for standard input)"),
    ("replace", 'r', Load::Replace, "Replace the rows that have the keys of these"),
    ("update", 'u', Load::Add, "Add these rows"),
    ("exclude", 'x', Load::Exclude, "Take the rows with the keys of these out"),
];
/// Errors and warnings shown of each kind; the rest is counted.
const SHOWN: u64 = 20;

/// Adds the options that all managers have; `action` is what a manager has beyond them, for the usage line.
#[must_use]
pub fn arguments(command: Command, action: &str) -> Command {
    let usage =
        format!("{} -c|-r|-u|-x FILES... | -q|-d CLAUSES | -D [CLAUSES] | -R{action}", command.get_name());
    let command = command.override_usage(usage);
    let words = |name: &'static str, short: char, help: &'static str| {
        Arg::new(name).short(short).long(name).value_name("CLAUSES").help(help).allow_negative_numbers(true)
    };
    let flag = |name: &'static str, help: &'static str| {
        Arg::new(name).long(name).action(ArgAction::SetTrue).help(help)
    };
    let mut command = command.disable_help_subcommand(true);
    for (name, short, _, help) in LOADS {
        let files = Arg::new(name).short(short).long(name).value_name("FILES").num_args(0..).help(help);
        let files = files.value_parser(value_parser!(PathBuf)).value_hint(ValueHint::FilePath);
        command = command.arg(files);
    }
    command
        .arg(words("query", 'q', "Print the rows that fulfil FIELD OP VALUE ...").num_args(1..))
        .arg(words("delete", 'd', "Take the rows that fulfil FIELD OP VALUE ... out").num_args(1..))
        .arg(words("dump", 'D', "Print all rows, or those that fulfil the clauses").num_args(0..))
        .arg(flag("reorganize", "Make the compiled table anew from its rows").short('R'))
        .arg(flag("csv", "Print CSV with a header").conflicts_with_all(["json", "field"]))
        .arg(flag("json", "Print a JSON object for each row, one a line").conflicts_with("field"))
        .arg(Arg::new("field").long("field").value_name("NAME").help("Print this field only"))
        .arg(flag("quiet", "Print no closing line; warnings and errors stay"))
        .arg(
            Arg::new("wait")
                .long("wait")
                .value_name("SECONDS")
                .default_value("30")
                .value_parser(value_parser!(u32).range(..=86_400))
                .help("Wait so long for another manager to finish"),
        )
        .arg(
            Arg::new("log")
                .long("log")
                .value_name("FILE")
                .value_parser(value_parser!(PathBuf))
                .help("Write a run log, too"),
        )
        .group(ArgGroup::new("action").required(true).args([
            "create",
            "replace",
            "update",
            "exclude",
            "query",
            "delete",
            "dump",
            "reorganize",
        ]))
}

/// Runs a manager: parses its command line, runs it, prints what went wrong.
pub fn main(
    tool: &'static str,
    command: Command,
    run: impl FnOnce(&Run<'_>, &mut Output) -> anyhow::Result<Exit>,
) -> ExitCode {
    let matches = match command.try_get_matches() {
        Ok(matches) => matches,
        Err(error) => return command_line_ends(&error, Exit::Usage),
    };
    let mut output = Output::new();
    let run_of = Run { tool, matches: &matches, site: Site::from_environment() };
    let result = run_of.open_log().and_then(|()| run(&run_of, &mut output));
    let result = result.and_then(|exit| output.flush().map(|()| exit).map_err(Into::into));
    match result {
        Ok(exit) => exit.into(),
        // Whoever reads us has enough: `loincmgr -D | head` ends quietly.
        Err(error) if output::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = output::cause(&error);
            eprintln!("{tool}: {text}");
            log::error!("{text}");
            Exit::Usage.into()
        }
    }
}

/// One run of a manager.
#[derive(Debug)]
pub struct Run<'m> {
    tool: &'static str,
    /// The options as they were given.
    pub matches: &'m ArgMatches,
    /// Where the tables are.
    pub site: Site,
}

impl Run<'_> {
    fn open_log(&self) -> anyhow::Result<()> {
        let Some(path) = self.matches.get_one::<PathBuf>("log") else { return Ok(()) };
        protogen_sys::log::Setup::new(self.tool).file(Some(path)).install()?;
        Ok(())
    }

    /// Does what the common options ask for. `extensions` are files of the LOINC+ coding system.
    ///
    /// # Errors
    /// What keeps it from being done; nothing was changed then.
    pub fn table<K: Kind + Clone>(
        &self,
        kind: &K,
        extensions: &[PathBuf],
        output: &mut Output,
    ) -> anyhow::Result<Exit> {
        let clauses = |name: &str| -> Option<Vec<String>> {
            Some(self.matches.get_many::<String>(name)?.cloned().collect())
        };
        for (name, _, how, _) in LOADS {
            if self.matches.contains_id(name) {
                let files =
                    self.matches.get_many::<PathBuf>(name).unwrap_or_default().cloned().collect::<Vec<_>>();
                return self.load(kind, how, &files, extensions);
            }
        }
        if self.matches.get_flag("reorganize") {
            let summary = self.manager(kind).reorganize()?;
            self.close(&format!("reorganized; the table has {} rows", summary.rows));
            return Ok(Exit::Done);
        }
        if let Some(words) = clauses("delete") {
            let summary = self.manager(kind).delete(&Query::parse(kind, &words)?)?;
            self.close(&summary.to_string());
            return Ok(if summary.removed > 0 { Exit::Done } else { Exit::Negative });
        }
        let (words, querying) = match clauses("query") {
            Some(words) => (words, true),
            None => (clauses("dump").unwrap_or_default(), false),
        };
        let query = if words.is_empty() { None } else { Some(Query::parse(kind, &words)?) };
        let printed = self.print(kind, query.as_ref(), output)?;
        if querying && printed == 0 {
            self.hint(kind, query.as_ref());
            return Ok(Exit::Negative);
        }
        Ok(Exit::Done)
    }

    fn manager<'k, K: Kind>(&self, kind: &'k K) -> Manager<'k, K> {
        let seconds = self.matches.get_one::<u32>("wait").copied().unwrap_or_default();
        Manager::new(kind, self.site.codes(), Duration::from_secs(seconds.into()))
    }

    fn load<K: Kind>(
        &self,
        kind: &K,
        how: Load,
        files: &[PathBuf],
        extensions: &[PathBuf],
    ) -> anyhow::Result<Exit> {
        if files.is_empty() && extensions.is_empty() {
            anyhow::bail!("no file to load; name the table files, or - for standard input");
        }
        let bar = input::bar();
        let mut sources = sources(files, extensions, &bar)?;
        let (mut errors, mut warnings) = (0, 0);
        let mut tell = |notice: &Notice| {
            match notice.error {
                true => log::error!("{notice}"),
                false => log::warn!("{notice}"),
            }
            let count = if notice.error { &mut errors } else { &mut warnings };
            *count += 1;
            if *count <= SHOWN {
                bar.suspend(|| eprintln!("{}: {notice}", self.tool));
            }
        };
        let result = self.manager(kind).load(how, &mut sources, &mut Notices::new(&mut tell));
        bar.finish_and_clear();
        for (count, what) in [(errors, "errors"), (warnings, "warnings")] {
            if count > SHOWN {
                eprintln!(
                    "{}: {} more {what} not shown; --log FILE keeps them all",
                    self.tool,
                    count - SHOWN
                );
            }
        }
        let summary: Summary = result.map_err(|error| match error {
            ManageError::Store(error) => anyhow::Error::new(error),
            error => error.into(),
        })?;
        self.close(&summary.to_string());
        Ok(Exit::Done)
    }

    /// Warns of something that is in no line of a file.
    pub fn warn(&self, text: &str) {
        log::warn!("{text}");
        eprintln!("{}: warning: {text}", self.tool);
    }

    /// The closing line.
    fn close(&self, text: &str) {
        log::info!("{text}");
        if !self.matches.get_flag("quiet") {
            eprintln!("{}: {text}", self.tool);
        }
    }

    fn print<K: Kind + Clone>(
        &self,
        kind: &K,
        query: Option<&Query>,
        output: &mut Output,
    ) -> anyhow::Result<u64> {
        let form = match self.matches.get_one::<String>("field") {
            Some(name) => output::Form::Field(place_of(kind.fields(), name).context("--field")?),
            None if self.matches.get_flag("json") => output::Form::Json,
            None if self.matches.get_flag("csv") => output::Form::Csv,
            None => output::Form::Table,
        };
        let table = Table::open(kind.clone(), self.site.codes())?;
        let mut printer = output::Printer::new(kind, form, output);
        printer.header()?;
        let (mut printed, mut outcome) = (0, Ok(()));
        let mut each = |row| match printer.row(&row) {
            Ok(()) => {
                printed += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                outcome = Err(error);
                ControlFlow::Break(())
            }
        };
        match query {
            Some(query) => query.run(&table, each)?,
            None => table.each(&mut each)?,
        }
        outcome?;
        Ok(printed)
    }

    /// A key that no row can have is told.
    fn hint<K: Kind>(&self, kind: &K, query: Option<&Query>) {
        let Some(key) = query.and_then(Query::key) else { return };
        if kind.key(key).is_none() {
            eprintln!("{}: {key:?} is no {}", self.tool, kind.fields()[0].name);
        }
    }
}
