//! One attempt to deliver a message, and what came of it.

use std::ffi::OsStr;
use std::fmt::Write;
use std::io;
use std::path::Path;

use protogen_core::hl7::{AckCode, Message};
use protogen_sys::files::read_bounded;
use protogen_sys::illp::{Error, Server};

use crate::settings::MAX_MESSAGE;

/// The longest value of a message that is told, in characters.
const MAX_TOLD: usize = 80;
/// The longest name: the log directory needs `.NAME.ack.tmp` beside it, and a file name has 255 bytes.
const MAX_NAME: usize = 240;

/// What came of an attempt.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// AA or CA: the gateway has it.
    Taken(Vec<u8>),
    /// AE, CE or CR, or no message at all: sending it again does not help.
    Refused {
        /// The answer; empty where the message was not sent.
        answer: Vec<u8>,
        /// Code and text.
        told: String,
    },
    /// AR, no answer, a lost connection: it may help.
    Failed {
        /// The answer; empty where there was none.
        answer: Vec<u8>,
        /// What happened.
        why: String,
    },
}

/// Reads a message; `None` if it is gone.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match read_bounded(path, MAX_MESSAGE) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        result => result.map(Some),
    }
}

/// Whether the files that belong to a message can have their names.
pub(crate) fn is_name_short(name: &OsStr) -> bool {
    name.len() <= MAX_NAME
}

/// Sends a message and judges the answer.
pub(crate) fn attempt(server: &Server, bytes: &[u8]) -> Outcome {
    let message = match Message::parse(bytes) {
        Ok(message) => message,
        Err(error) => return unfit(&format!("not sent, for it is no HL7 message: {error}")),
    };
    match server.exchange(bytes) {
        Ok(answer) => judge(&message, answer),
        Err(Error::Unsendable(error)) => unfit(&format!("not sent: {error}")),
        Err(error) => Outcome::Failed { answer: Vec::new(), why: error.to_string() },
    }
}

fn unfit(told: &str) -> Outcome {
    Outcome::Refused { answer: Vec::new(), told: told.to_owned() }
}

fn judge(message: &Message, answer: Vec<u8>) -> Outcome {
    let failed = |why: String| Outcome::Failed { answer: answer.clone(), why };
    let parsed = match Message::parse(&answer) {
        Ok(parsed) => parsed,
        Err(error) => return failed(format!("an answer that is no HL7 message: {error}")),
    };
    let Some(code) = AckCode::of(&parsed) else {
        return failed("an answer without a known code in MSA-1".to_owned());
    };
    // An answer to another message says nothing about this one; one that names none is taken.
    let answered = parsed.field(*b"MSA", 2);
    if answered.is_valued() && answered.raw() != message.control_id() {
        let (answered, sent) = (printable(answered.raw()), printable(message.control_id()));
        return failed(format!("an answer to {answered} (MSA-2), where {sent} was sent"));
    }
    let told = format!("{} {}", code.as_str(), printable(parsed.field(*b"MSA", 3).raw()));
    let told = told.trim_end().to_owned();
    match code {
        AckCode::AA | AckCode::CA => Outcome::Taken(answer),
        AckCode::AR => failed(told),
        AckCode::AE | AckCode::CE | AckCode::CR => Outcome::Refused { answer, told },
    }
}

/// A message's control id, type and size, for the log and for mails.
pub(crate) fn describe(bytes: &[u8]) -> String {
    match Message::parse(bytes) {
        Ok(message) => format!(
            "{} {} ({} bytes)",
            printable(message.control_id()),
            printable(message.header(9).raw()),
            bytes.len()
        ),
        Err(_) => format!("no message ({} bytes)", bytes.len()),
    }
}

/// A value as one line of printable characters; `-` for an empty one.
pub(crate) fn printable(value: &[u8]) -> String {
    let mut line = String::new();
    for c in String::from_utf8_lossy(value).chars().take(MAX_TOLD) {
        let _ = if c.is_control() { write!(line, "{}", c.escape_default()) } else { line.write_char(c) };
    }
    if line.is_empty() { "-".to_owned() } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENT: &[u8] = b"MSH|^~\\&|A|B|C|D|||ORU^R01|17|P|2.1\rPID|||4711\r";

    fn judged(msa: &str) -> Outcome {
        judge(&Message::parse(SENT).unwrap(), format!("MSH|^~\\&|||||||ACK|1|P|2.1\r{msa}").into_bytes())
    }

    #[test]
    fn a_code_says_whether_trying_again_helps() {
        for taken in ["MSA|AA|17\r", "MSA|CA|17\r", "MSA|AA\r"] {
            assert!(matches!(judged(taken), Outcome::Taken(_)), "{taken}");
        }
        for (refused, expected) in [
            ("MSA|AE|17|unknown bed\r", "AE unknown bed"),
            ("MSA|CR|17\r", "CR -"),
            ("MSA|CE|17|a\x1bb\r", "CE a\\u{1b}b"),
        ] {
            let Outcome::Refused { told, .. } = judged(refused) else { panic!("{refused}") };
            assert_eq!(told, expected);
        }
        for (failed, expected) in [
            ("MSA|AR|17|try later\r", "AR try later"),
            ("MSA|AA|18\r", "an answer to 18 (MSA-2), where 17 was sent"),
            ("MSA|XX|17\r", "without a known code"),
            ("", "without a known code"),
        ] {
            let Outcome::Failed { why, .. } = judged(failed) else { panic!("{failed}") };
            assert!(why.contains(expected), "{why}");
        }
        let bad = judge(&Message::parse(SENT).unwrap(), b"hello".to_vec());
        assert!(matches!(bad, Outcome::Failed { why, .. } if why.contains("no HL7 message")));
    }

    #[test]
    fn a_message_is_told_by_id_type_and_size() {
        assert_eq!(describe(SENT), "17 ORU^R01 (47 bytes)");
        assert_eq!(describe(b"hello"), "no message (5 bytes)");
    }
}
