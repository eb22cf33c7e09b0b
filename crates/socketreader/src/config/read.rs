//! The way from a file to a report.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use protogen_sys::files::read_bounded;

use super::ini::{Ini, MAX_FILE, Section};
use super::problem::{At, Problems};
use super::resolve::{self, Found};
use super::section::{Parsed, SectionReader, likely};
use super::{Config, Report, Severity, StateDir, surroundings, together};

/// How much is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What is needed to start.
    Start,
    /// Also the sections that are not in use, and the names of peers.
    Check,
}

/// Reads a configuration and looks at what it names on this host. A name server may be asked.
#[must_use]
pub fn load(file: &Path, scope: Scope) -> Report {
    let environment = std::env::var_os("STATE_DIRECTORY");
    match read_bounded(file, MAX_FILE) {
        Ok(text) => read(file, &text, environment.as_deref(), scope, true),
        Err(error) => {
            let mut problems = Problems::new(file);
            problems.error(At::default(), unreadable(&error));
            Report { file: file.to_owned(), problems: problems.into_sorted(), config: None, statedir: None }
        }
    }
}

/// Reads the text of a configuration, and looks at nothing else. `environment` is `STATE_DIRECTORY`.
#[must_use]
pub fn parse(file: &Path, text: &[u8], environment: Option<&OsStr>, scope: Scope) -> Report {
    read(file, text, environment, scope, false)
}

fn unreadable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => {
            "there is no such file; name the configuration with --configfile FILE".into()
        }
        io::ErrorKind::FileTooLarge => format!("longer than {MAX_FILE} bytes, so this is no configuration"),
        _ => error.to_string(),
    }
}

fn read(file: &Path, text: &[u8], environment: Option<&OsStr>, scope: Scope, look: bool) -> Report {
    let absolute = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
    let mut problems = Problems::new(file);
    let ini = Ini::parse(text);
    let reader = SectionReader::new(&ini);
    let empty = Section::default();
    let general = reader.general(general_section(&ini, &empty, &mut problems), &mut problems);
    let used = used_sections(&general, &ini, &mut problems);
    faults(&ini, &used, scope, &mut problems);

    let found: Vec<Found<'_>> = used.iter().map(|section| found(&reader, section, &mut problems)).collect();
    let complete = used.len() == general.draft.useconnections.len();
    together::check(&found, complete, &mut problems);
    let statedir = resolve::statedir(&general.draft, &found, environment, &absolute);
    queue_directories(&general, &found, &statedir, &mut problems);
    if !general.draft.durable {
        problems
            .warning(general.at("durable"), "durable = False: a power cut may lose acknowledged messages");
    }
    if look {
        surroundings::general(&general, &statedir, &mut problems);
        found.iter().for_each(|found| surroundings::connection(found, &mut problems));
        surroundings::addresses(&found, scope == Scope::Check, &mut problems);
    }
    if scope == Scope::Check {
        unused(&reader, &ini, &used, look, &mut problems);
    }
    finish(absolute, file, &general, found, statedir, problems)
}

fn general_section<'a>(ini: &'a Ini, empty: &'a Section, problems: &mut Problems) -> &'a Section {
    ini.section("general").unwrap_or_else(|| {
        let mut names = ini.sections.iter().map(|section| section.name.as_str());
        let other = names.find(|name| name.trim().eq_ignore_ascii_case("general"));
        let hint = other.map_or(String::new(), |name| format!(", and [{name}] is not the same"));
        problems.error(
            At::default(),
            format!(
                "there is no section [general]{hint}; begin the file with it, and name the connections in it"
            ),
        );
        empty
    })
}

/// The sections that `useconnections` names and that are there, each once.
fn used_sections<'a>(general: &Parsed<'_>, ini: &'a Ini, problems: &mut Problems) -> Vec<&'a Section> {
    let at = general.at("useconnections");
    let others =
        || ini.sections.iter().map(|section| section.name.as_str()).filter(|name| *name != "general");
    if general.section.line > 0 && general.draft.useconnections.is_empty() && general.sound("useconnections")
    {
        let there = listed(others());
        problems.error(
            at,
            format!(
                "useconnections is missing; name the connections to start, with commas between them{there}"
            ),
        );
    }
    let mut used: Vec<&Section> = Vec::new();
    for name in &general.draft.useconnections {
        match ini.section(name) {
            Some(_) if name == "general" => {
                problems.error(at, "useconnections names general, which is no connection; remove it");
            }
            Some(section) if used.iter().any(|other| other.name == section.name) => {
                problems.warning(at, format!("useconnections names {name} twice; it is started once"));
            }
            Some(section) => used.push(section),
            None => {
                let likely = likely(name, others()).map(|likely| format!("; did you mean {likely}?"));
                let likely = likely.unwrap_or_else(|| listed(others()));
                problems.error(
                    at,
                    format!("useconnections names {name}, but there is no section [{name}]: add it, or correct the name{likely}"),
                );
            }
        }
    }
    used
}

/// The first few sections, for a message.
fn listed<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.take(8).collect();
    if names.is_empty() { String::new() } else { format!("; this file has {}", names.join(", ")) }
}

/// What the grammar found. Sections that are not in use cannot stop the start.
fn faults(ini: &Ini, used: &[&Section], scope: Scope, problems: &mut Problems) {
    for fault in &ini.faults {
        let name = fault.section.as_deref();
        let needed = name.is_none_or(|name| {
            name == "general"
                || name == super::ini::DEFAULT
                || used.iter().any(|section| section.name == name)
        });
        if !needed && scope == Scope::Start {
            continue;
        }
        let at = At { line: Some(fault.line), section: name };
        if needed && !fault.kind.is_warning() {
            problems.error(at, fault.kind.to_string());
        } else {
            problems.warning(at, fault.kind.to_string());
        }
    }
}

fn found<'a>(reader: &SectionReader<'a>, section: &'a Section, problems: &mut Problems) -> Found<'a> {
    let parsed = reader.connection(section, problems);
    let connection = resolve::connection(&parsed, problems);
    Found { parsed, connection }
}

/// Which queuedb comes first decides on the state directory: with several, a new order would leave messages behind.
fn queue_directories(
    general: &Parsed<'_>,
    found: &[Found<'_>],
    statedir: &StateDir,
    problems: &mut Problems,
) {
    if general.draft.statedir.is_some() {
        return;
    }
    for Found { parsed, connection } in found {
        let socket = connection.as_ref().and_then(|connection| connection.kind.socket());
        let directory = socket.and_then(|socket| socket.queuedb.as_deref()).and_then(Path::parent);
        if directory.is_some_and(|directory| directory != statedir.path) {
            let text = format!(
                "queuedb is not in {0}, where the journal of all connections is; write statedir = {0} into [general], \
                 so that no other order moves it",
                statedir.path.display()
            );
            problems.warning(parsed.at("queuedb"), text);
        }
    }
}

/// Names the faults of the other sections, as warnings.
fn unused(reader: &SectionReader<'_>, ini: &Ini, used: &[&Section], look: bool, problems: &mut Problems) {
    problems.lenient(true);
    let is_used = |section: &Section| used.iter().any(|other| other.name == section.name);
    for section in ini.sections.iter().filter(|section| section.name != "general" && !is_used(section)) {
        let found = found(reader, section, problems);
        if look {
            surroundings::connection(&found, problems);
        }
    }
    problems.lenient(false);
}

fn finish(
    absolute: PathBuf,
    file: &Path,
    general: &Parsed<'_>,
    found: Vec<Found<'_>>,
    statedir: StateDir,
    problems: Problems,
) -> Report {
    let problems = problems.into_sorted();
    let sound = problems.iter().all(|problem| problem.severity == Severity::Warning);
    let connections: Option<Vec<_>> = found.into_iter().map(|found| found.connection).collect();
    let config = connections.filter(|_| sound).map(|mut connections| {
        together::widen_outputs(&mut connections);
        let general = resolve::general(&general.draft, statedir.clone());
        Config { file: absolute, general, connections, warnings: problems.clone() }
    });
    let statedir = general.sound("statedir").then_some(statedir);
    Report { file: file.to_owned(), problems, config, statedir }
}
