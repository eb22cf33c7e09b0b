//! What differs between two configurations.

use std::sync::Arc;

use crate::config::{Config, Connection, General};

/// What is different.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// Gone, or altered: by name.
    pub(super) leave: Vec<String>,
    /// New, or altered.
    pub(super) enter: Vec<Arc<Connection>>,
}

impl Change {
    pub(super) fn between(old: &Config, new: &Config) -> Change {
        let find = |config: &Config, name: &str| {
            config.connections.iter().find(|connection| connection.name == name).cloned()
        };
        let same = |one: &Connection, other: &Connection| {
            // Its place in the file is no part of it.
            Connection { line: 0, ..one.clone() } == Connection { line: 0, ..other.clone() }
        };
        let stays = |connection: &Connection| {
            find(new, &connection.name).is_some_and(|other| same(connection, &other))
        };
        let (staying, leaving): (Vec<_>, Vec<_>) =
            old.connections.iter().partition(|connection| stays(connection));
        let is_new = |connection: &&Connection| !staying.iter().any(|other| other.name == connection.name);
        Change {
            leave: leaving.iter().map(|connection| connection.name.clone()).collect(),
            enter: new.connections.iter().filter(is_new).cloned().map(Arc::new).collect(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.leave.is_empty() && self.enter.is_empty()
    }
}

/// The options of `[general]` that count at the start only, of those that differ.
pub(super) fn kept_until_restart(old: &General, new: &General) -> Vec<&'static str> {
    let rows = [
        ("logfile", old.logfile != new.logfile),
        ("statedir", old.statedir.path != new.statedir.path),
        ("durable", old.durable != new.durable),
        ("metrics", old.metrics != new.metrics),
    ];
    rows.into_iter().filter(|(_, differs)| *differs).map(|(option, _)| option).collect()
}

/// The change in words.
pub(super) fn told(old: &Config, new: &Config, change: &Change) -> String {
    let is_in = |config: &Config, name: &str| config.connections.iter().any(|other| other.name == name);
    let mut parts = Vec::new();
    let entering = || change.enter.iter().map(|connection| connection.name.as_str());
    for (what, names) in [
        ("new", entering().filter(|name| !is_in(old, name)).collect::<Vec<_>>()),
        ("altered", entering().filter(|name| is_in(old, name)).collect()),
        ("gone", change.leave.iter().map(String::as_str).filter(|name| !is_in(new, name)).collect()),
    ] {
        if !names.is_empty() {
            parts.push(format!("{what}: {}", names.join(", ")));
        }
    }
    if parts.is_empty() { "no connection has changed".to_owned() } else { parts.join("; ") }
}
