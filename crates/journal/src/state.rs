//! What every output has still to get: its cursor, its exceptions and its counts.

use std::collections::{BTreeMap, HashMap};

use crate::error::Refusal;
use crate::record::{Counts, Exception, Line, Outcome, decode_name, encode};
use crate::settings::Output;

/// The bytes of an exception's line beside the output's name, at most.
const EXCEPTION_BYTES: u64 = 48;

/// The state that a segment's opening holds and its records move on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    /// The sequence of the next message.
    pub next: u64,
    pub outputs: Vec<OutputState>,
    by_name: HashMap<String, usize>,
    /// The outputs of each connection.
    routes: HashMap<String, Vec<usize>>,
    exception_bytes: u64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct OutputState {
    pub name: String,
    pub inputs: Vec<String>,
    /// All its messages before this one are settled, but for the exceptions.
    pub cursor: u64,
    /// Its last message; before the cursor, when nothing waits.
    pub last: u64,
    pub counts: Counts,
    pub exceptions: BTreeMap<u64, Exception>,
}

impl OutputState {
    /// Whether a message at or after the cursor waits.
    pub(crate) fn is_busy(&self) -> bool {
        self.cursor <= self.last
    }

    /// How many messages wait, those to be sent again included.
    pub(crate) fn pending(&self) -> u64 {
        let Counts { accepted, resent, delivered, dead, dropped, .. } = self.counts;
        let settled = delivered.saturating_add(dead).saturating_add(dropped);
        accepted.saturating_add(resent).saturating_sub(settled)
    }

    /// The first message that it still needs; `next` for none.
    fn floor(&self, next: u64) -> u64 {
        let head = if self.is_busy() { self.cursor } else { next };
        // Exceptions at or after the cursor do not hold more than the cursor does.
        self.exceptions.keys().next().map_or(head, |first| head.min(*first))
    }
}

impl State {
    /// A state without outputs, before the message `next`.
    pub(crate) fn new(next: u64) -> State {
        State { next, ..State::default() }
    }

    /// The first message that any output still needs.
    pub(crate) fn floor(&self) -> u64 {
        self.outputs.iter().map(|output| output.floor(self.next)).min().unwrap_or(self.next)
    }

    pub(crate) fn output(&self, name: &str) -> Option<&OutputState> {
        self.by_name.get(name).map(|index| &self.outputs[*index])
    }

    /// Whether the outputs and their inputs are these.
    pub(crate) fn is_configured(&self, outputs: &[Output]) -> bool {
        let mut configured = self.clone();
        configured.configure(outputs);
        configured == *self
    }

    /// Takes over outputs and inputs. A new output begins with the next message; one that is gone gets no further
    /// messages, and is forgotten when it holds none.
    pub(crate) fn configure(&mut self, outputs: &[Output]) {
        for old in &mut self.outputs {
            old.inputs.clear();
        }
        for new in outputs {
            let index = self.output_index(&new.name);
            self.outputs[index].inputs = new.inputs.clone();
            self.outputs[index].inputs.sort();
            self.outputs[index].inputs.dedup();
        }
        self.outputs.retain(|output| {
            outputs.iter().any(|new| new.name == output.name)
                || output.pending() > 0
                || output.counts.dead > 0
        });
        self.outputs.sort_by(|a, b| a.name.cmp(&b.name));
        self.index();
    }

    fn output_index(&mut self, name: &str) -> usize {
        if let Some(index) = self.by_name.get(name) {
            return *index;
        }
        let output = OutputState { name: name.to_owned(), cursor: self.next, ..OutputState::default() };
        self.outputs.push(output);
        self.by_name.insert(name.to_owned(), self.outputs.len() - 1);
        self.outputs.len() - 1
    }

    fn index(&mut self) {
        self.by_name.clear();
        self.routes.clear();
        for (index, output) in self.outputs.iter().enumerate() {
            self.by_name.insert(output.name.clone(), index);
            for input in &output.inputs {
                self.routes.entry(input.clone()).or_default().push(index);
            }
        }
        self.exception_bytes = self.outputs.iter().map(Self::bytes_of_exceptions).sum();
    }

    fn bytes_of_exceptions(output: &OutputState) -> u64 {
        output.exceptions.len() as u64 * exception_bytes(&output.name)
    }

    /// Appends the lines of a segment's opening, the last of them [`Line::End`].
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for output in &self.outputs {
            let name = encode(output.name.as_bytes());
            let line =
                Line::Output { name: &name, cursor: output.cursor, last: output.last, counts: output.counts };
            line.write(b"", out);
            for input in &output.inputs {
                Line::Route { output: &name, connection: &encode(input.as_bytes()) }.write(b"", out);
            }
            for (sequence, exception) in &output.exceptions {
                let (sequence, exception) = (*sequence, *exception);
                Line::Exception { sequence, output: &name, exception }.write(b"", out);
            }
        }
        Line::End.write(b"", out);
    }

    /// Takes in one line of an opening; false if it does not belong there.
    pub(crate) fn read(&mut self, line: &Line<'_>) -> bool {
        match line {
            Line::Output { name, cursor, last, counts } => {
                let name = decode_name(name);
                if self.by_name.contains_key(&name) {
                    return false;
                }
                let index = self.output_index(&name);
                let output = &mut self.outputs[index];
                (output.cursor, output.last, output.counts) = (*cursor, *last, *counts);
            }
            Line::Route { output, connection } => {
                let Some(index) = self.by_name.get(&decode_name(output)) else { return false };
                self.outputs[*index].inputs.push(decode_name(connection));
            }
            Line::Exception { sequence, output, exception } => {
                let Some(index) = self.by_name.get(&decode_name(output)) else { return false };
                self.outputs[*index].exceptions.insert(*sequence, *exception);
            }
            Line::End => self.index(),
            _ => return false,
        }
        true
    }

    /// A message of `connection` was stored as `sequence`.
    pub(crate) fn stored(&mut self, sequence: u64, connection: &str) {
        self.next = sequence.saturating_add(1);
        for index in self.routes.get(connection).into_iter().flatten() {
            let output = &mut self.outputs[*index];
            if !output.is_busy() {
                // What lies between was not for this output.
                output.cursor = sequence;
            }
            output.last = sequence;
            add(&mut output.counts.accepted, 1);
        }
    }

    /// An outcome was recorded.
    ///
    /// An output settles its messages in order, so one at or after the cursor moves the cursor behind it.
    pub(crate) fn settle(
        &mut self,
        sequence: u64,
        name: &str,
        outcome: Outcome,
        max_bytes: u64,
    ) -> Result<(), Refusal> {
        let (next, used) = (self.next, self.exception_bytes);
        let index = *self.by_name.get(name).ok_or(Refusal::NotPending)?;
        let output = &mut self.outputs[index];
        let before = Self::bytes_of_exceptions(output);
        let adds = matches!(outcome, Outcome::Dead | Outcome::Dropped | Outcome::Resend | Outcome::Tries(_))
            && !output.exceptions.contains_key(&sequence);
        if adds && used + exception_bytes(name) > max_bytes {
            return Err(Refusal::TooMany);
        }
        if sequence == 0 || sequence >= next {
            return Err(Refusal::NotPending);
        }
        let settled = if sequence < output.cursor {
            output.settle_behind(sequence, outcome)
        } else {
            output.settle_ahead(sequence, outcome)
        };
        let after = Self::bytes_of_exceptions(&self.outputs[index]);
        self.exception_bytes = used - before + after;
        settled.ok_or(Refusal::NotPending)
    }
}

impl OutputState {
    /// An outcome of a message before the cursor: only exceptions change there.
    fn settle_behind(&mut self, sequence: u64, outcome: Outcome) -> Option<()> {
        let counts = &mut self.counts;
        let exception = self.exceptions.get(&sequence).copied();
        let becomes = match (exception, outcome) {
            (Some(Exception::Resend(_)), Outcome::Delivered) => {
                add(&mut counts.delivered, 1);
                None
            }
            (Some(Exception::Resend(_)), Outcome::Dead) => {
                add(&mut counts.dead, 1);
                Some(Exception::Dead)
            }
            (Some(Exception::Resend(_)), Outcome::Dropped) => {
                add(&mut counts.dropped, 1);
                None
            }
            (Some(Exception::Resend(_)), Outcome::Filtered) => {
                add(&mut counts.dropped, 1);
                add(&mut counts.filtered, 1);
                None
            }
            (Some(Exception::Resend(_)), Outcome::Tries(tries)) => Some(Exception::Resend(tries)),
            (Some(Exception::Dead), Outcome::Dropped) => {
                counts.dead = counts.dead.saturating_sub(1);
                add(&mut counts.dropped, 1);
                None
            }
            (Some(Exception::Dead), Outcome::Resend) => {
                counts.dead = counts.dead.saturating_sub(1);
                Some(Exception::Resend(0))
            }
            (None, Outcome::Resend) => {
                add(&mut counts.resent, 1);
                Some(Exception::Resend(0))
            }
            _ => return None,
        };
        match becomes {
            Some(exception) => self.exceptions.insert(sequence, exception),
            None => self.exceptions.remove(&sequence),
        };
        Some(())
    }

    /// An outcome of a message that waits.
    fn settle_ahead(&mut self, sequence: u64, outcome: Outcome) -> Option<()> {
        if sequence > self.last {
            return None;
        }
        let was_dropped = self.exceptions.get(&sequence) == Some(&Exception::Dropped);
        match outcome {
            Outcome::Resend => return None,
            // Its operator was faster than its receiver: it counts as dropped.
            _ if was_dropped && !matches!(outcome, Outcome::DroppedThrough(_)) => {
                if matches!(outcome, Outcome::Delivered | Outcome::Dead | Outcome::Filtered) {
                    self.move_behind(sequence);
                }
            }
            Outcome::Delivered => {
                add(&mut self.counts.delivered, 1);
                self.move_behind(sequence);
            }
            Outcome::Dead => {
                add(&mut self.counts.dead, 1);
                self.move_behind(sequence);
                self.exceptions.insert(sequence, Exception::Dead);
            }
            Outcome::Filtered => {
                add(&mut self.counts.dropped, 1);
                add(&mut self.counts.filtered, 1);
                self.move_behind(sequence);
            }
            Outcome::DroppedThrough(count) => {
                let count = count.min(self.pending());
                add(&mut self.counts.dropped, count);
                self.move_behind(sequence);
            }
            Outcome::Dropped => {
                add(&mut self.counts.dropped, 1);
                if sequence == self.cursor {
                    self.move_behind(sequence);
                } else {
                    self.exceptions.insert(sequence, Exception::Dropped);
                }
            }
            Outcome::Tries(tries) => {
                // Only the first that waits is tried, so an older count is of no more use.
                self.exceptions.retain(|_, exception| !matches!(exception, Exception::Tries(_)));
                self.exceptions.insert(sequence, Exception::Tries(tries));
            }
        }
        Some(())
    }

    fn move_behind(&mut self, sequence: u64) {
        let from = self.cursor;
        self.cursor = sequence.saturating_add(1);
        while self.exceptions.get(&self.cursor) == Some(&Exception::Dropped) {
            self.cursor = self.cursor.saturating_add(1);
            if self.cursor == u64::MAX {
                break;
            }
        }
        let passed: Vec<u64> = self.exceptions.range(from..self.cursor).map(|(passed, _)| *passed).collect();
        for passed in passed {
            self.exceptions.remove(&passed);
        }
    }
}

/// Counts in a file that was tampered with may be anything; they are for people to read.
fn add(count: &mut u64, more: u64) {
    *count = count.saturating_add(more);
}

fn exception_bytes(name: &str) -> u64 {
    encode(name.as_bytes()).len() as u64 + EXCEPTION_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: u64 = 1 << 20;

    fn state() -> State {
        let output = |name: &str, inputs: &[&str]| Output {
            name: name.to_owned(),
            inputs: inputs.iter().map(|input| (*input).to_owned()).collect(),
        };
        let mut state = State::new(1);
        state.configure(&[output("x", &["a", "b"]), output("y", &["b"])]);
        state
    }

    fn settle(state: &mut State, sequence: u64, name: &str, outcome: Outcome) {
        state.settle(sequence, name, outcome, ROOM).unwrap();
    }

    #[test]
    fn a_message_waits_in_the_outputs_of_its_connection() {
        let mut state = state();
        state.stored(1, "a");
        state.stored(2, "b");
        state.stored(3, "elsewhere");
        let (x, y) = (state.output("x").unwrap(), state.output("y").unwrap());
        assert_eq!((x.cursor, x.last, x.pending()), (1, 2, 2));
        assert_eq!((y.cursor, y.last, y.pending()), (2, 2, 1));
        settle(&mut state, 2, "y", Outcome::Delivered);
        assert_eq!(state.floor(), 1);
        settle(&mut state, 1, "x", Outcome::Delivered);
        assert_eq!(state.floor(), 2);
        settle(&mut state, 2, "x", Outcome::Delivered);
        assert_eq!(state.floor(), 4, "the third was for nobody");
    }

    #[test]
    fn a_dead_letter_holds_its_place_until_it_is_settled() {
        let mut state = state();
        state.stored(1, "a");
        state.stored(2, "a");
        settle(&mut state, 1, "x", Outcome::Tries(2));
        settle(&mut state, 1, "x", Outcome::Dead);
        settle(&mut state, 2, "x", Outcome::Delivered);
        assert_eq!(state.floor(), 1);
        assert_eq!(state.settle(1, "x", Outcome::Delivered, ROOM), Err(Refusal::NotPending));
        settle(&mut state, 1, "x", Outcome::Resend);
        assert_eq!(state.output("x").unwrap().pending(), 1);
        settle(&mut state, 1, "x", Outcome::Tries(1));
        settle(&mut state, 1, "x", Outcome::Delivered);
        assert_eq!((state.floor(), state.output("x").unwrap().pending()), (3, 0));
    }

    #[test]
    fn dropped_before_its_turn_is_passed_by() {
        let mut state = state();
        (1..=4).for_each(|sequence| state.stored(sequence, "a"));
        settle(&mut state, 2, "x", Outcome::Dropped);
        settle(&mut state, 3, "x", Outcome::Dropped);
        assert_eq!(state.output("x").unwrap().pending(), 2);
        settle(&mut state, 1, "x", Outcome::Delivered);
        let x = state.output("x").unwrap();
        assert_eq!((x.cursor, x.exceptions.len()), (4, 0));
        settle(&mut state, 4, "x", Outcome::DroppedThrough(1));
        assert_eq!((state.floor(), state.output("x").unwrap().pending()), (5, 0));
        assert_eq!(state.settle(5, "x", Outcome::Dropped, ROOM), Err(Refusal::NotPending));
        assert_eq!(state.settle(4, "z", Outcome::Resend, ROOM), Err(Refusal::NotPending));
    }

    #[test]
    fn what_an_output_does_not_want_is_settled_in_its_turn_and_takes_no_room() {
        let mut state = state();
        for sequence in 1..=1000 {
            state.stored(sequence, if sequence % 2 == 0 { "a" } else { "elsewhere" });
        }
        for sequence in (2..=998).step_by(2) {
            state.settle(sequence, "x", Outcome::Filtered, 0).unwrap();
        }
        settle(&mut state, 998, "x", Outcome::Resend);
        settle(&mut state, 998, "x", Outcome::Filtered);
        let x = state.output("x").unwrap();
        assert_eq!((x.counts.dropped, x.counts.filtered, x.pending(), x.exceptions.len()), (500, 500, 1, 0));
        // Its operator was faster.
        settle(&mut state, 1000, "x", Outcome::Dropped);
        assert_eq!(state.settle(1000, "x", Outcome::Filtered, ROOM), Ok(()));
        let x = state.output("x").unwrap();
        assert_eq!((x.counts.dropped, x.counts.filtered, x.pending()), (501, 500, 0));
        assert_eq!(state.floor(), 1001);
    }

    #[test]
    fn exceptions_are_bounded() {
        let mut state = state();
        let room = 2 * exception_bytes("x");
        for sequence in 1..=3 {
            state.stored(sequence, "a");
        }
        state.settle(1, "x", Outcome::Dead, room).unwrap();
        state.settle(2, "x", Outcome::Dead, room).unwrap();
        assert_eq!(state.settle(3, "x", Outcome::Dead, room), Err(Refusal::TooMany));
        state.settle(1, "x", Outcome::Dropped, room).unwrap();
        state.settle(3, "x", Outcome::Dead, room).unwrap();
    }

    #[test]
    fn an_opening_reads_back() {
        let mut state = state();
        (1..=9).for_each(|sequence| state.stored(sequence, if sequence % 2 == 0 { "a" } else { "b" }));
        settle(&mut state, 1, "x", Outcome::Dead);
        settle(&mut state, 4, "x", Outcome::Dropped);
        settle(&mut state, 1, "y", Outcome::Delivered);
        let mut text = Vec::new();
        state.write(&mut text);
        let mut read = State::new(state.next);
        for line in text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            assert!(read.read(&Line::parse(line).unwrap()));
        }
        assert_eq!(read, state);
    }

    #[test]
    fn an_output_that_is_gone_is_kept_while_it_holds_messages() {
        let mut state = state();
        state.stored(1, "b");
        settle(&mut state, 1, "y", Outcome::Delivered);
        state.configure(&[]);
        assert!(state.output("y").is_none());
        assert_eq!(state.output("x").unwrap().pending(), 1);
        state.stored(2, "b");
        assert_eq!(state.output("x").unwrap().pending(), 1);
        assert_eq!(state.floor(), 1);
    }
}
