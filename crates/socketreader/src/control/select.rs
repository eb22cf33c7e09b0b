//! Which messages an operator means.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use protogen_core::hl7::Message;
use protogen_journal::{Exception, JournalError, Reader, Stored};

/// The most messages of one command.
pub(crate) const MAX_SELECTED: usize = 1_000_000;

/// Some messages of an outgoing connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Which {
    /// By their numbers, the first and the last.
    Numbers(u64, u64),
    /// Those with this control id (MSH-10).
    Id(String),
    /// All dead letters.
    Dead,
    /// All that wait.
    Waiting,
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Which, String> {
        let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number > 0);
        let parsed = match text.split_once('-') {
            _ if text == "dead" => Some(Which::Dead),
            _ if text == "waiting" => Some(Which::Waiting),
            _ if text.starts_with("id:") => Some(Which::Id(text["id:".len()..].to_owned())),
            None => number(text).map(|one| Which::Numbers(one, one)),
            Some((first, "")) => number(first).map(|first| Which::Numbers(first, u64::MAX)),
            Some((first, last)) => {
                let numbers = number(first).zip(number(last)).filter(|(first, last)| first <= last);
                numbers.map(|(first, last)| Which::Numbers(first, last))
            }
        };
        parsed.ok_or_else(|| {
            format!("\"{text}\" names no messages: say N, N-M, N-, dead, waiting or id:CONTROL-ID")
        })
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Which::Numbers(first, last) if first == last => write!(f, "{first}"),
            Which::Numbers(first, u64::MAX) => write!(f, "{first}-"),
            Which::Numbers(first, last) => write!(f, "{first}-{last}"),
            Which::Id(id) => write!(f, "id:{id}"),
            Which::Dead => f.write_str("dead"),
            Which::Waiting => f.write_str("waiting"),
        }
    }
}

/// Where a message of an outgoing connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    Waiting,
    Dead,
    /// Delivered or dropped.
    Done,
}

impl Standing {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Standing::Waiting => "waiting",
            Standing::Dead => "dead",
            Standing::Done => "done",
        }
    }
}

/// An outgoing connection in the journal.
pub(crate) struct Output<'a> {
    journal: &'a Reader,
    pub(crate) name: &'a str,
    cursor: u64,
    exceptions: std::collections::BTreeMap<u64, Exception>,
}

impl<'a> Output<'a> {
    /// The one of this name; `None` if the journal has none.
    pub(crate) fn of(journal: &'a Reader, name: &'a str) -> Option<Output<'a>> {
        let stats = journal.stats();
        let output = stats.outputs.iter().find(|output| output.name == name)?;
        Some(Output {
            journal,
            name,
            cursor: output.cursor.unwrap_or(stats.next),
            exceptions: journal.exceptions(name).into_iter().collect(),
        })
    }

    /// Where a message stands.
    pub(crate) fn standing(&self, sequence: u64) -> Standing {
        match self.exceptions.get(&sequence) {
            Some(Exception::Dead) => Standing::Dead,
            Some(Exception::Resend(_) | Exception::Tries(_)) => Standing::Waiting,
            Some(Exception::Dropped) => Standing::Done,
            _ if sequence >= self.cursor => Standing::Waiting,
            _ => Standing::Done,
        }
    }

    /// The messages that `which` names, by number; `visit` gets each and may break off.
    ///
    /// # Errors
    /// What the journal says.
    pub(crate) fn each(
        &self,
        which: &[Which],
        mut visit: impl FnMut(Stored) -> ControlFlow<()>,
    ) -> Result<(), JournalError> {
        let mut numbers = BTreeSet::new();
        let mut from = u64::MAX;
        for one in which {
            match one {
                Which::Numbers(first, _) => from = from.min(*first),
                Which::Id(_) => from = 0,
                Which::Dead | Which::Waiting => {
                    numbers
                        .extend(self.exceptions.keys().copied().filter(|number| self.is_meant(one, *number)));
                    if *one == Which::Waiting {
                        from = from.min(self.cursor);
                    }
                }
            }
        }
        // Exceptions may be far behind: they are looked up one by one.
        for number in numbers.range(..from) {
            if let Some(stored) = self.journal.read(*number)?
                && visit(stored).is_break()
            {
                return Ok(());
            }
        }
        let last = which.iter().map(|one| match one {
            Which::Numbers(_, last) => *last,
            _ => u64::MAX,
        });
        let last = last.max().unwrap_or(0);
        if from == u64::MAX {
            return Ok(());
        }
        // By what was in force when each message came: one that was stored before its connection joined the queue is
        // not this output's, and what waits for an output that has left the configuration still is.
        self.journal.each_of(self.name, from, |stored| {
            if stored.sequence > last {
                return ControlFlow::Break(());
            }
            if which.iter().any(|one| self.matches(one, &stored)) {
                return visit(stored);
            }
            ControlFlow::Continue(())
        })?;
        Ok(())
    }

    fn is_meant(&self, which: &Which, sequence: u64) -> bool {
        match which {
            Which::Numbers(first, last) => (*first..=*last).contains(&sequence),
            Which::Dead => self.standing(sequence) == Standing::Dead,
            Which::Waiting => self.standing(sequence) == Standing::Waiting,
            Which::Id(_) => false,
        }
    }

    fn matches(&self, which: &Which, stored: &Stored) -> bool {
        match which {
            Which::Id(id) => {
                Message::parse(&stored.bytes).is_ok_and(|message| message.control_id() == id.as_bytes())
            }
            which => self.is_meant(which, stored.sequence),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_named_by_number_range_id_or_standing() {
        for (text, which) in [
            ("7", Which::Numbers(7, 7)),
            ("7-9", Which::Numbers(7, 9)),
            ("7-", Which::Numbers(7, u64::MAX)),
            ("dead", Which::Dead),
            ("waiting", Which::Waiting),
            ("id:A-1", Which::Id("A-1".to_owned())),
        ] {
            assert_eq!(text.parse(), Ok(which.clone()));
            assert_eq!(which.to_string(), text);
        }
        for text in ["", "0", "-7", "9-7", "x", "7-x", "all"] {
            let error = text.parse::<Which>().unwrap_err();
            assert!(error.contains("N-M"), "{error}");
        }
    }
}
