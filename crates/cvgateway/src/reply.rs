//! What is answered to a sender.

use protogen_core::hl7::Outcome;

/// The longest text of an answer, in bytes; the rest is cut.
const MAX_TEXT: usize = 400;

/// What became of a message, and in words what was done or why not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) outcome: Outcome,
    pub(crate) text: String,
}

impl Reply {
    /// AA.
    pub(crate) fn done(text: impl Into<String>) -> Reply {
        Reply { outcome: Outcome::Accepted, text: text.into() }
    }

    /// AE: the message is at fault.
    pub(crate) fn refused(text: impl Into<String>) -> Reply {
        Reply { outcome: Outcome::Error, text: text.into() }
    }

    /// AR: it may be sent again.
    pub(crate) fn later(text: impl Into<String>) -> Reply {
        Reply { outcome: Outcome::Rejected, text: text.into() }
    }

    /// MSA-1 in original mode.
    pub(crate) fn code(&self) -> &'static str {
        match self.outcome {
            Outcome::Accepted => "AA",
            Outcome::Error => "AE",
            Outcome::Rejected => "AR",
        }
    }

    /// The text as MSA-3 carries it: printable ASCII, within bounds.
    pub(crate) fn told(&self) -> String {
        printable(self.text.as_bytes(), MAX_TEXT)
    }
}

/// Foreign bytes as printable ASCII, at most so many; another byte becomes `?`.
pub(crate) fn printable(bytes: &[u8], most: usize) -> String {
    let plain = |byte: &u8| if matches!(byte, b' '..=b'~') { char::from(*byte) } else { '?' };
    bytes.iter().take(most).map(plain).collect()
}
