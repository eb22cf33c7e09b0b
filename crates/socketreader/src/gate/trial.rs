//! The gate tried out: what it would make of a message, with nothing recorded.

use protogen_core::hl7::Message;
use protogen_journal::Stored;

use super::FILTER;
use super::command::{Answer, Child, NoAnswer};
use super::pipe::refusal;
use crate::config::Connection;

/// The gate of one outgoing connection. Its command runs as long as this lives; repeats are not looked for.
#[derive(Debug)]
pub(crate) struct Trial {
    rules: crate::config::Gate,
    child: Option<Child>,
}

impl Trial {
    pub(crate) fn new(connection: &Connection) -> Trial {
        let rules = connection.gate.clone();
        let child = rules.pipe.clone().map(|pipe| Child::new(&connection.name, pipe));
        Trial { rules, child }
    }

    /// What would be sent.
    ///
    /// # Errors
    /// Why nothing would.
    pub(crate) fn pass(&mut self, stored: &Stored) -> Result<Vec<u8>, String> {
        if let Some(filter) = &self.rules.filter
            && !Message::parse(&stored.bytes).is_ok_and(|message| filter.matches(&message))
        {
            return Err(FILTER.to_owned());
        }
        let Some(child) = &mut self.child else { return Ok(stored.bytes.clone()) };
        match child.ask(&stored.bytes, &|| false) {
            Ok(Answer::Message(answer)) => match refusal(&answer, &stored.bytes) {
                Some(code) => Err(format!("its pipe answers {code}")),
                None => Ok(answer),
            },
            Ok(Answer::Nothing) => Err(super::pipe::DROPPED.to_owned()),
            Err(NoAnswer::Unframed(why)) => Err(format!("cannot be framed for its pipe: {why}")),
            Err(NoAnswer::Failed(why)) => Err(format!("its pipe fails: {why}")),
            Err(NoAnswer::Stopped) => Err("its pipe was stopped".to_owned()),
        }
    }
}
