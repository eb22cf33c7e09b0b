//! The last column: the message types that an entry allows.

use super::value::ValueRule;
use super::{Fault, Matching};

/// The types an entry allows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum MessageRule {
    /// No list: every message.
    All,
    /// `+` or no sign: these only.
    Only(Vec<MessageItem>),
    /// `-`: all but these.
    AllBut(Vec<MessageItem>),
}

/// `TYPE` or `TYPE^EVENT`; a bare type covers all its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MessageItem {
    message_type: ValueRule,
    event: Option<ValueRule>,
}

impl MessageRule {
    pub(super) fn parse(items: &[&[u8]], matching: Matching) -> Result<MessageRule, Fault> {
        let Some((&first, rest)) = items.split_first() else { return Ok(MessageRule::All) };
        let (all_but, first) = match first {
            [b'-', item @ ..] => (true, item),
            [b'+', item @ ..] => (false, item),
            item => (false, item),
        };
        let items = std::iter::once(first)
            .chain(rest.iter().copied())
            .map(|item| MessageItem::parse(item, matching))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(if all_but { MessageRule::AllBut(items) } else { MessageRule::Only(items) })
    }

    pub(super) fn allows(&self, message_type: &[u8], event: &[u8]) -> bool {
        let names = |items: &[MessageItem]| items.iter().any(|item| item.matches(message_type, event));
        match self {
            MessageRule::All => true,
            MessageRule::Only(items) => names(items),
            MessageRule::AllBut(items) => !names(items),
        }
    }
}

impl MessageItem {
    fn parse(item: &[u8], matching: Matching) -> Result<MessageItem, Fault> {
        if item.starts_with(b"+") || item.starts_with(b"-") {
            return Err(Fault::SignNotFirst);
        }
        let mut parts = item.split(|byte| *byte == b'^');
        let message_type = parts.next().unwrap_or_default();
        let event = parts.next();
        if message_type.is_empty() || event.is_some_and(<[u8]>::is_empty) || parts.next().is_some() {
            return Err(Fault::BadMessageItem);
        }
        Ok(MessageItem {
            message_type: ValueRule::new(message_type, matching),
            event: event.map(|event| ValueRule::new(event, matching)),
        })
    }

    fn matches(&self, message_type: &[u8], event: &[u8]) -> bool {
        self.message_type.matches(message_type) && self.event.as_ref().is_none_or(|rule| rule.matches(event))
    }
}
