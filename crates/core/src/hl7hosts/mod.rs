//! `hl7hosts`, the access list of the networked programs: who may send which messages to whom.
//!
//! An entry has the columns `host cid SenApp SenFac RecApp RecFac Messages…`; a request is allowed if any entry
//! allows it. The list fails closed: a text with one syntax error gives no list at all, and the empty list
//! ([`AccessList::default`]) refuses everyone.
//!
//! Nothing here looks up a name: a [`Resolver`] supplies them, and the one that asks the system's name service is in
//! the `sys` crate.
//!
//! ```
//! use protogen_core::hl7hosts::{AccessList, Matching, NoNames, Request};
//!
//! let list = AccessList::parse(b"10.1.0.0/16 * ABL * CVGATEWAY * ORU ADT^A01\n", Matching::Default)?;
//! let mut request = Request::from_peer([10, 1, 2, 3].into());
//! request.sending_application = b"abl";
//! request.receiving_application = b"CVGATEWAY";
//! request.message_type = b"ORU";
//! assert!(list.decide(&request, &NoNames).is_allowed());
//! # Ok::<(), protogen_core::hl7hosts::SyntaxError>(())
//! ```

mod host;
mod messages;
mod parse;
mod request;
mod value;

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use host::HostRule;
pub use host::Peers;
use messages::MessageRule;
pub use parse::{Fault, MAX_BYTES, SyntaxError};
pub use request::Request;
use value::ValueRule;

/// How the values of a request are compared with those of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Matching {
    /// Case is ignored (ASCII letters only), a short host name matches its qualified name, and `*` and `?` inside a
    /// value are a shell pattern; `?` stands for one byte.
    #[default]
    Default,
    /// Whole strings are compared, case counts, and only a lone `*` is special (the option `-x`).
    Exact,
}

/// Supplies names and addresses, so that this module needs no name service.
///
/// Both methods answer with nothing when they do not know: an entry that needs the answer then does not match.
pub trait Resolver {
    /// Every address that `name` stands for.
    fn addresses(&self, name: &str) -> Vec<IpAddr>;
    /// The names that `address` claims; the caller checks each of them forward before it believes them.
    fn names(&self, address: IpAddr) -> Vec<String>;
}

/// A resolver that knows no name: only addresses, CIDR blocks and `*` match.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoNames;

impl Resolver for NoNames {
    fn addresses(&self, _name: &str) -> Vec<IpAddr> {
        Vec::new()
    }

    fn names(&self, _address: IpAddr) -> Vec<String> {
        Vec::new()
    }
}

/// A parsed access list. The empty one, which is the default, refuses everyone.
#[derive(Debug, Clone, Default)]
pub struct AccessList {
    entries: Vec<Entry>,
}

/// One entry: a rule a column.
#[derive(Debug, Clone)]
struct Entry {
    /// The line that the entry begins on, counted from 1.
    line: usize,
    host: HostRule,
    connection_id: ValueRule,
    /// MSH-3 to MSH-6.
    applications: [ValueRule; 4],
    messages: MessageRule,
}

/// What the list says about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Decision {
    /// Allowed by the entry that begins on this line.
    Allowed {
        /// The line, counted from 1.
        line: usize,
    },
    /// No entry allows it.
    Refused,
}

impl Decision {
    /// Whether the request may be served.
    #[must_use]
    pub fn is_allowed(self) -> bool {
        matches!(self, Decision::Allowed { .. })
    }
}

impl AccessList {
    /// Parses the text of an access list.
    ///
    /// # Errors
    ///
    /// The first syntax error, with its line; nothing of a faulty text is used.
    pub fn parse(text: &[u8], matching: Matching) -> Result<AccessList, SyntaxError> {
        Ok(AccessList { entries: parse::entries(text, matching)? })
    }

    /// How many entries the list has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the list has no entry, which refuses everyone.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Judges a request. The resolver is asked only for entries whose other columns all match, since its answers may
    /// take long.
    pub fn decide(&self, request: &Request<'_>, resolver: &dyn Resolver) -> Decision {
        self.entries
            .iter()
            .find(|entry| entry.allows(request, resolver))
            .map_or(Decision::Refused, |entry| Decision::Allowed { line: entry.line })
    }
}

impl Entry {
    fn allows(&self, request: &Request<'_>, resolver: &dyn Resolver) -> bool {
        self.connection_id.matches(request.connection_id)
            && self.applications.iter().zip(request.applications()).all(|(rule, value)| rule.matches(value))
            && self.messages.allows(request.message_type, request.event)
            && self.host.matches(request.peer.to_canonical(), resolver)
    }
}
