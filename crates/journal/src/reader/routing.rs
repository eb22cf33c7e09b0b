//! Which messages are an output's: each segment has a routing of its own.

use std::collections::BTreeSet;

use crate::record::{Line, encode};

/// The inputs of one output in the segment that is read.
#[derive(Debug)]
pub(super) struct Routing {
    /// The output's name, encoded.
    output: String,
    /// The names of its inputs, encoded.
    inputs: BTreeSet<String>,
}

impl Routing {
    /// Of an output, before its first segment.
    pub(super) fn of(output: &str) -> Routing {
        Routing { output: encode(output.as_bytes()).into_owned(), inputs: BTreeSet::new() }
    }

    /// The inputs as they are now.
    pub(super) fn set(&mut self, inputs: BTreeSet<String>) {
        self.inputs = inputs;
    }

    /// Takes note of a line, and says whether it is a message of this output.
    pub(super) fn takes(&mut self, line: &Line<'_>) -> bool {
        match line {
            Line::Head(_) => self.inputs.clear(),
            Line::Route { output, connection } if *output == self.output => {
                self.inputs.insert((*connection).to_owned());
            }
            Line::Message { connection, .. } => return self.inputs.contains(*connection),
            _ => {}
        }
        false
    }
}
