//! What reading a configuration gave, for people and for scripts.

use std::fmt::Write;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Config, Problem, Severity, StateDir, StateDirFrom};

/// What reading a configuration gave.
#[derive(Debug)]
pub struct Report {
    /// The file, as it was named.
    pub file: PathBuf,
    /// All that is wrong or odd, in the order of the lines.
    pub problems: Vec<Problem>,
    /// The configuration, if nothing is wrong.
    pub config: Option<Config>,
    /// Where messages would be kept, if that can be told.
    pub statedir: Option<StateDir>,
}

impl Report {
    /// How many errors there are.
    #[must_use]
    pub fn errors(&self) -> usize {
        self.problems.iter().filter(|problem| problem.severity == Severity::Error).count()
    }

    /// What the configuration comes to, for a person: the queues, the state directory, and how many faults.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut text = String::new();
        let errors = self.errors();
        let warnings = self.problems.len() - errors;
        // Writing to a string does not fail.
        if let Some(config) = &self.config {
            for queue in config.queues() {
                let (inputs, outputs) = (queue.inputs.join(", "), queue.outputs.join(", "));
                let _ = writeln!(text, "queue {}: {inputs} -> {outputs}", queue.name);
            }
        }
        if let Some(statedir) = &self.statedir {
            let _ = writeln!(text, "statedir: {} ({})", statedir.path.display(), statedir.from);
        }
        let verdict = if errors == 0 { "ready to start" } else { "cannot start" };
        let file = self.file.display();
        let _ =
            writeln!(text, "{file}: {verdict}: {}, {}", count(errors, "error"), count(warnings, "warning"));
        text
    }

    /// The same and more, for a script.
    #[must_use]
    pub fn json(&self) -> Value {
        let problems = self.problems.iter().map(|problem| {
            json!({
                "severity": if problem.severity == Severity::Error { "error" } else { "warning" },
                "line": problem.line,
                "section": problem.section,
                "text": problem.text,
            })
        });
        let connections = self.config.iter().flat_map(|config| &config.connections).map(|connection| {
            json!({
                "name": connection.name,
                "line": connection.line,
                "kind": connection.kind.shown(),
                "queue": connection.queue,
                "usehl7": connection.use_hl7,
            })
        });
        let queues = self.config.as_ref().map(Config::queues).unwrap_or_default();
        let queues = queues
            .iter()
            .map(|queue| json!({"name": queue.name, "inputs": queue.inputs, "outputs": queue.outputs}));
        json!({
            "file": self.file.to_string_lossy(),
            "ok": self.config.is_some(),
            "statedir": self.statedir.as_ref().map(|statedir| json!({
                "path": statedir.path.to_string_lossy(),
                "from": statedir.from.to_string(),
            })),
            "connections": connections.collect::<Value>(),
            "queues": queues.collect::<Value>(),
            "problems": problems.collect::<Value>(),
        })
    }
}

impl std::fmt::Display for StateDirFrom {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Option => f.write_str("option statedir"),
            Self::Queuedb(connection) => write!(f, "the directory of queuedb in [{connection}]"),
            Self::Environment => f.write_str("environment STATE_DIRECTORY"),
            Self::BesideConfiguration => {
                f.write_str("beside the configuration: neither statedir nor queuedb is set")
            }
        }
    }
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
