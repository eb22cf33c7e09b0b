//! The sequence number protocol (HL7 v2 chapter 2, "Sequence number protocol"; MSH-13, MSA-4).
//!
//! Messages of network management (NMD, NMQ, NMR) do not count, see
//! [`is_network_management`](super::is_network_management).

use super::delimiters::NULL;

/// What a receiver expects next; kept across restarts by whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Expected {
    /// No number has been seen: the next one is taken, whatever it is.
    #[default]
    Any,
    /// This one.
    Number(u32),
}

/// The receiver's answer to one message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judgment {
    /// Take the message, or reject it (AR; CE in enhanced mode).
    pub accept: bool,
    /// The message is about the link only (`0` or `-1`): it needs no more than its MSH, and AA.
    pub link_only: bool,
    /// MSA-4 of the answer.
    pub answer: i64,
    /// The state to be stored, before the answer is sent.
    pub next: Expected,
}

impl Expected {
    fn value(self) -> i64 {
        match self {
            Expected::Any => -1,
            Expected::Number(n) => i64::from(n),
        }
    }

    /// Judges a message by its MSH-13; none if the field is empty or null, for then the protocol is not in use.
    pub fn judge(self, msh13: &[u8]) -> Option<Judgment> {
        if msh13.is_empty() || msh13 == NULL {
            return None;
        }
        let stay = Judgment { accept: false, link_only: false, answer: self.value(), next: self };
        let number = std::str::from_utf8(msh13).ok().and_then(|text| text.trim().parse::<i64>().ok());
        Some(match number {
            Some(-1) => Judgment { accept: true, link_only: true, answer: -1, next: Expected::Any },
            Some(0) => Judgment { accept: true, link_only: true, ..stay },
            Some(n) if n > 0 && (self == Expected::Any || self.value() == n) => match u32::try_from(n) {
                Ok(n) => Judgment {
                    accept: true,
                    link_only: false,
                    answer: i64::from(n),
                    // The number after the last is the first.
                    next: Expected::Number(n.checked_add(1).unwrap_or(1)),
                },
                Err(_) => stay,
            },
            _ => stay,
        })
    }
}

/// What a sender does after an answer to the message it sent with number `sent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AfterAnswer {
    /// The message was delivered: go on with the next, which has this number.
    Next(u32),
    /// The receiver is behind: send again, starting with this number.
    ReplayFrom(u32),
    /// The two disagree beyond repair: stop the link and call an operator.
    Freeze,
}

/// Judges an answer by its MSA-4.
pub fn after_answer(sent: u32, msa4: &[u8]) -> AfterAnswer {
    let next = sent.checked_add(1).unwrap_or(1);
    let expected = std::str::from_utf8(msa4).ok().and_then(|text| text.trim().parse::<u32>().ok());
    match expected {
        // One more than sent: it was delivered before, and its answer was lost.
        Some(n) if n == sent || n == next => AfterAnswer::Next(next),
        Some(n) if n > 0 && n < sent => AfterAnswer::ReplayFrom(n),
        _ => AfterAnswer::Freeze,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_receivers_table() {
        use Expected::{Any, Number};
        // State, MSH-13, and what follows: accepted, link only, MSA-4, next state.
        for (state, msh13, accept, link_only, answer, next) in [
            (Any, "-1", true, true, -1, Any),
            (Number(5), "-1", true, true, -1, Any),
            (Any, "0", true, true, -1, Any),
            (Number(5), "0", true, true, 5, Number(5)),
            (Any, "7", true, false, 7, Number(8)),
            (Number(5), "5", true, false, 5, Number(6)),
            (Number(5), "4", false, false, 5, Number(5)),
            (Number(5), "6", false, false, 5, Number(5)),
            (Number(5), "x", false, false, 5, Number(5)),
            (Any, "-2", false, false, -1, Any),
            (Any, "5.0", false, false, -1, Any),
            (Any, "4294967295", true, false, 4294967295, Number(1)),
            (Any, "4294967296", false, false, -1, Any),
        ] {
            let expected = Judgment { accept, link_only, answer, next };
            assert_eq!(state.judge(msh13.as_bytes()), Some(expected), "{state:?} {msh13}");
        }
        assert_eq!((Any.judge(b""), Any.judge(b"\"\"")), (None, None));
    }

    #[test]
    fn the_senders_table() {
        for (msa4, after) in [
            ("5", AfterAnswer::Next(6)),
            ("6", AfterAnswer::Next(6)),
            ("3", AfterAnswer::ReplayFrom(3)),
            ("7", AfterAnswer::Freeze),
            ("0", AfterAnswer::Freeze),
            ("-1", AfterAnswer::Freeze),
            ("", AfterAnswer::Freeze),
        ] {
            assert_eq!(after_answer(5, msa4.as_bytes()), after, "{msa4}");
        }
        // The number after the last is the first.
        assert_eq!(after_answer(u32::MAX, b"4294967295"), AfterAnswer::Next(1));
        assert_eq!(after_answer(u32::MAX, b"1"), AfterAnswer::Next(1));
    }
}
