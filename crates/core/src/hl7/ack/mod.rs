//! Acknowledgments (HL7 v2 chapter 2, "Message processing rules"): when one is due, and what it says.

use super::delimiters::LF;
use super::escape;
use super::message::{Message, UTF8_BOM};
use super::path::Path;
use super::version::Version;
use std::borrow::Cow;
use std::fmt;

/// The acknowledgment codes of MSA-1 (HL7 table 0008).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AckCode {
    /// Application accept.
    AA,
    /// Application error: the content is at fault.
    AE,
    /// Application reject: not processed for reasons outside the content; may be sent again.
    AR,
    /// Commit accept: stored safely.
    CA,
    /// Commit error.
    CE,
    /// Commit reject: type, version or processing id is unacceptable.
    CR,
}

impl AckCode {
    const ALL: [AckCode; 6] = [AckCode::AA, AckCode::AE, AckCode::AR, AckCode::CA, AckCode::CE, AckCode::CR];

    /// The code as MSA-1 has it.
    pub fn as_str(self) -> &'static str {
        match self {
            AckCode::AA => "AA",
            AckCode::AE => "AE",
            AckCode::AR => "AR",
            AckCode::CA => "CA",
            AckCode::CE => "CE",
            AckCode::CR => "CR",
        }
    }

    /// The code of these two letters, in any case.
    pub fn parse(text: &[u8]) -> Option<AckCode> {
        Self::ALL.into_iter().find(|code| text.eq_ignore_ascii_case(code.as_str().as_bytes()))
    }

    /// The code of an answer, by its MSA-1.
    pub fn of(answer: &Message) -> Option<AckCode> {
        Self::parse(answer.field(*b"MSA", 1).raw())
    }

    /// AA or CA.
    pub fn is_positive(self) -> bool {
        matches!(self, AckCode::AA | AckCode::CA)
    }
}

impl fmt::Display for AckCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When the sender wants an acknowledgment (HL7 table 0155).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// AL.
    Always,
    /// NE; also an empty field of a message whose other field is valued.
    Never,
    /// ER: errors and rejects only.
    Error,
    /// SU: success only.
    Success,
}

impl Condition {
    fn parse(text: &[u8]) -> Condition {
        match text.to_ascii_uppercase().as_slice() {
            b"" | b"NE" | b"\"\"" => Condition::Never,
            b"ER" => Condition::Error,
            b"SU" => Condition::Success,
            // An unknown wish is answered: silence would have the sender wait.
            _ => Condition::Always,
        }
    }

    fn holds(self, outcome: Outcome) -> bool {
        match self {
            Condition::Always => true,
            Condition::Never => false,
            Condition::Error => outcome != Outcome::Accepted,
            Condition::Success => outcome == Outcome::Accepted,
        }
    }
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was accepted.
    Accepted,
    /// Its content is at fault: AE or CE.
    Error,
    /// It was not taken, for reasons outside its content: AR or CR.
    Rejected,
}

/// The rules a message asks to be acknowledged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// MSH-15 and MSH-16 are both empty or null: one application acknowledgment.
    Original,
    /// At least one is valued.
    Enhanced {
        /// MSH-15, for the acknowledgment that says "stored".
        accept: Condition,
        /// MSH-16, for the one that says "processed".
        application: Condition,
    },
}

impl Mode {
    /// The mode of a message by its MSH-15 and MSH-16.
    pub fn of(message: &Message) -> Mode {
        let (accept, application) = (message.header(15), message.header(16));
        if !accept.is_valued() && !application.is_valued() {
            return Mode::Original;
        }
        Mode::Enhanced {
            accept: Condition::parse(accept.raw()),
            application: Condition::parse(application.raw()),
        }
    }

    /// The acknowledgment due on the exchange that brought the message, if any.
    ///
    /// In enhanced mode that is the accept acknowledgment. A sender that wants none but wants the application's
    /// gets an AA as in original mode: the receiver that stores is all the application it will hear.
    pub fn due(self, outcome: Outcome) -> Option<AckCode> {
        let original = match outcome {
            Outcome::Accepted => AckCode::AA,
            Outcome::Error => AckCode::AE,
            Outcome::Rejected => AckCode::AR,
        };
        let commit = match outcome {
            Outcome::Accepted => AckCode::CA,
            Outcome::Error => AckCode::CE,
            Outcome::Rejected => AckCode::CR,
        };
        match self {
            Mode::Original => Some(original),
            Mode::Enhanced { accept: Condition::Never, application } => {
                application.holds(outcome).then_some(original)
            }
            Mode::Enhanced { accept, .. } => accept.holds(outcome).then_some(commit),
        }
    }
}

/// A message that is itself an acknowledgment: it gets none (an ACK of an ACK would never end).
pub fn is_acknowledgment(message: &Message) -> bool {
    message.named(*b"MSA").next().is_some() && matches!(message.header(9).component(1).raw(), b"ACK" | b"MCF")
}

/// The error codes of HL7 table 0357.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // the names are the table's
pub enum ErrorCode {
    MessageAccepted = 0,
    SegmentSequenceError = 100,
    RequiredFieldMissing = 101,
    DataTypeError = 102,
    TableValueNotFound = 103,
    UnsupportedMessageType = 200,
    UnsupportedEventCode = 201,
    UnsupportedProcessingId = 202,
    UnsupportedVersionId = 203,
    UnknownKeyIdentifier = 204,
    DuplicateKeyIdentifier = 205,
    ApplicationRecordLocked = 206,
    ApplicationInternalError = 207,
}

impl ErrorCode {
    /// The table's text for the code.
    pub fn text(self) -> &'static str {
        match self {
            ErrorCode::MessageAccepted => "Message accepted",
            ErrorCode::SegmentSequenceError => "Segment sequence error",
            ErrorCode::RequiredFieldMissing => "Required field missing",
            ErrorCode::DataTypeError => "Data type error",
            ErrorCode::TableValueNotFound => "Table value not found",
            ErrorCode::UnsupportedMessageType => "Unsupported message type",
            ErrorCode::UnsupportedEventCode => "Unsupported event code",
            ErrorCode::UnsupportedProcessingId => "Unsupported processing id",
            ErrorCode::UnsupportedVersionId => "Unsupported version id",
            ErrorCode::UnknownKeyIdentifier => "Unknown key identifier",
            ErrorCode::DuplicateKeyIdentifier => "Duplicate key identifier",
            ErrorCode::ApplicationRecordLocked => "Application record locked",
            ErrorCode::ApplicationInternalError => "Application internal error",
        }
    }

    /// The code of that number.
    pub fn from_number(number: u16) -> Option<ErrorCode> {
        use ErrorCode::*;
        let all = [
            MessageAccepted,
            SegmentSequenceError,
            RequiredFieldMissing,
            DataTypeError,
            TableValueNotFound,
            UnsupportedMessageType,
            UnsupportedEventCode,
            UnsupportedProcessingId,
            UnsupportedVersionId,
            UnknownKeyIdentifier,
            DuplicateKeyIdentifier,
            ApplicationRecordLocked,
            ApplicationInternalError,
        ];
        all.into_iter().find(|&code| code as u16 == number)
    }

    fn severity(self) -> &'static [u8] {
        if self == ErrorCode::MessageAccepted { b"I" } else { b"E" }
    }
}

/// One thing that is wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorDetail {
    /// Where.
    pub location: Option<Path>,
    /// What, by HL7 table 0357.
    pub code: ErrorCode,
    /// What, for a person; empty if the code says it all.
    pub text: String,
}

/// An acknowledgment to be written.
///
/// ```
/// use protogen_core::hl7::{AckCode, Acknowledgment, Message};
/// let request = Message::parse(b"MSH|^~\\&|LAB|L|ADT|A|1996||ORU^R01|42|P|2.1\r").unwrap();
/// let ack = Acknowledgment { time: b"19960102", control_id: b"7", ..Acknowledgment::new(AckCode::AA) };
/// assert_eq!(ack.answer(&request), b"MSH|^~\\&|ADT|A|LAB|L|19960102||ACK|7|P|2.1\rMSA|AA|42\r");
/// ```
#[derive(Debug, Clone)]
pub struct Acknowledgment<'a> {
    /// MSA-1.
    pub code: AckCode,
    /// MSH-7, the time of the answer as HL7 writes it.
    pub time: &'a [u8],
    /// MSH-10, the answer's own control id.
    pub control_id: &'a [u8],
    /// For a person: MSA-3 up to HL7 v2.6, ERR-8 from v2.7 on, which withdrew MSA-3.
    pub text: &'a [u8],
    /// MSA-4, where sequence numbers are in use.
    pub expected_sequence: Option<i64>,
    /// What is wrong, for ERR segments.
    pub errors: &'a [ErrorDetail],
    /// MSH-3 and MSH-4 as they stand, in place of the request's MSH-5 and MSH-6.
    pub sender: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Acknowledgment<'a> {
    /// An acknowledgment that says no more than its code.
    pub fn new(code: AckCode) -> Self {
        Acknowledgment {
            code,
            time: b"",
            control_id: b"",
            text: b"",
            expected_sequence: None,
            errors: &[],
            sender: None,
        }
    }

    /// The answer to a message.
    pub fn answer(&self, request: &Message) -> Vec<u8> {
        let mut out = Vec::with_capacity(192);
        self.write(request, &mut out);
        out
    }

    /// Appends the answer to a message to `out`: MSH with its parties exchanged, MSA, and ERR where there is
    /// something to say. Delimiters, MSH-11, MSH-12 and the control id are the request's, byte for byte.
    pub fn write(&self, request: &Message, out: &mut Vec<u8>) {
        let message_type = acknowledgment_type(request);
        self.write_as(request, &message_type, out);
    }

    /// As [`write`](Self::write), with another MSH-9, as for NMR.
    pub(crate) fn write_as(&self, request: &Message, message_type: &[u8], out: &mut Vec<u8>) {
        let start = out.len();
        let delimiters = request.delimiters();
        let field = delimiters.field;
        let header: [Cow<[u8]>; 19] = std::array::from_fn(|n| one_line(request.header(n).raw()));
        let raw = |n: usize| &*header[n];
        let (application, facility) = self.sender.unwrap_or((raw(5), raw(6)));
        // Not MSH-2 as it stands: a line feed may have ended it, with data behind.
        let encoding = delimiters.encoding_characters();
        let version = Version::of(request);
        out.extend_from_slice(b"MSH");
        let fields: [&[u8]; 11] = [
            &encoding,
            application,
            facility,
            raw(3),
            raw(4),
            self.time,
            b"",
            message_type,
            self.control_id,
            raw(11),
            raw(12),
        ];
        for value in fields {
            out.push(field);
            out.extend_from_slice(value);
        }
        out.push(b'\r');
        let header_end = out.len() - 1;

        let text = encoded(self.text, request);
        let text_in_err = version.is_some_and(|version| version >= Version::V2_7);
        let sequence = self.expected_sequence.map(|number| number.to_string()).unwrap_or_default();
        out.extend_from_slice(b"MSA");
        let mut fields: Vec<&[u8]> = Vec::with_capacity(4);
        fields.extend([self.code.as_str().as_bytes(), raw(10)]);
        fields.push(if text_in_err { b"" } else { &text });
        fields.push(sequence.as_bytes());
        let used = fields.iter().rposition(|value| !value.is_empty()).map_or(0, |last| last + 1).max(2);
        for value in &fields[..used] {
            out.push(field);
            out.extend_from_slice(value);
        }
        out.push(b'\r');
        self.write_errors(request, version, if text_in_err { &text } else { b"" }, out);
        // The character set is named where the answer uses it.
        if !raw(18).is_empty() && out[start..].iter().any(|&b| b >= 0x80 || b == 0x1B) {
            let tail = [&[field; 6][..], raw(18)].concat();
            out.splice(header_end..header_end, tail);
        }
    }

    fn write_errors(&self, request: &Message, version: Option<Version>, text: &[u8], out: &mut Vec<u8>) {
        let new_form = version.is_some_and(|version| version >= Version::V2_5);
        if self.errors.is_empty() && !text.is_empty() {
            let code = match self.code.is_positive() {
                true => ErrorCode::MessageAccepted,
                false => ErrorCode::ApplicationInternalError,
            };
            write_error(request, None, code, text, out);
            return;
        }
        match self.errors {
            [] => {}
            errors if new_form => {
                for (i, error) in errors.iter().enumerate() {
                    // The text that MSA-3 would have had stands in the first ERR, if that has none of its own.
                    let own = encoded(error.text.as_bytes(), request);
                    let shown = if i == 0 && own.is_empty() { text } else { &own };
                    write_error(request, error.location.as_ref(), error.code, shown, out);
                }
            }
            errors => write_old_errors(request, errors, out),
        }
    }
}

/// ERR since v2.5: one segment an error, location, code, severity and text each in a field of its own.
fn write_error(request: &Message, path: Option<&Path>, code: ErrorCode, text: &[u8], out: &mut Vec<u8>) {
    let delimiters = request.delimiters();
    let (field, component) = (delimiters.field, delimiters.component);
    out.extend_from_slice(b"ERR");
    out.extend([field, field]);
    out.extend(path.map(|path| location(path, component, 6)).unwrap_or_default());
    out.push(field);
    let code_text =
        joined(&[(code as u16).to_string().as_bytes(), code.text().as_bytes(), b"HL70357"], component);
    out.extend(code_text);
    out.push(field);
    out.extend_from_slice(code.severity());
    if !text.is_empty() {
        out.extend([field; 4]);
        out.extend_from_slice(text);
    }
    out.push(b'\r');
}

/// ERR up to v2.4: one segment, ERR-1 repeating, `segment^sequence^field^code`.
fn write_old_errors(request: &Message, errors: &[ErrorDetail], out: &mut Vec<u8>) {
    let delimiters = request.delimiters();
    // Without a repetition separator there is room for one.
    let count = if delimiters.repetition.is_some() { errors.len() } else { 1 };
    out.extend_from_slice(b"ERR");
    for (i, error) in errors[..count].iter().enumerate() {
        out.push(if i == 0 { delimiters.field } else { delimiters.repetition.unwrap_or(delimiters.field) });
        let code = (error.code as u16).to_string();
        let code =
            joined(&[code.as_bytes(), error.code.text().as_bytes(), b"HL70357"], delimiters.subcomponent);
        let mut place = error.location.map(|path| location_parts(&path, 3)).unwrap_or_default();
        place.resize(3, Vec::new());
        let parts: Vec<&[u8]> = place.iter().map(Vec::as_slice).chain([code.as_slice()]).collect();
        out.extend(joined(&parts, delimiters.component));
    }
    out.push(b'\r');
}

fn location(path: &Path, component: Option<u8>, parts: usize) -> Vec<u8> {
    let mut place = location_parts(path, parts);
    while place.last().is_some_and(Vec::is_empty) {
        place.pop();
    }
    let parts: Vec<&[u8]> = place.iter().map(Vec::as_slice).collect();
    joined(&parts, component)
}

fn location_parts(path: &Path, parts: usize) -> Vec<Vec<u8>> {
    let number = |n: Option<u32>| n.map(|n| n.to_string().into_bytes()).unwrap_or_default();
    let repetition = path.field.map(|_| path.repetition.unwrap_or(1));
    let mut place = vec![path.segment.to_vec(), number(path.occurrence.or(Some(1)))];
    place.extend([path.field, repetition, path.component, path.subcomponent].map(number));
    place.truncate(parts);
    place
}

/// Parts with a delimiter between them; only the first where there is no such delimiter.
fn joined(parts: &[&[u8]], delimiter: Option<u8>) -> Vec<u8> {
    match delimiter {
        Some(delimiter) => parts.join(&delimiter),
        None => parts.first().map(|part| part.to_vec()).unwrap_or_default(),
    }
}

/// A value as it stands; a line feed in it, which the answer's reader might take for the end of a segment, as a blank.
fn one_line(value: &[u8]) -> Cow<'_, [u8]> {
    match value.contains(&LF) {
        true => Cow::Owned(value.iter().map(|&b| if b == LF { b' ' } else { b }).collect()),
        false => Cow::Borrowed(value),
    }
}

/// Text with the request's escape sequences; where it has none, what would divide the text becomes a blank.
fn encoded(text: &[u8], request: &Message) -> Vec<u8> {
    let mut text = text.to_vec();
    while let Err(error) = escape::encode(&text, request.delimiters()) {
        text[error.offset] = b' ';
    }
    escape::encode(&text, request.delimiters()).map(Cow::into_owned).unwrap_or_default()
}

/// MSH-9 of the answer: `ACK` up to v2.2, with the event from v2.3 on, and the structure from v2.3.1 on.
fn acknowledgment_type(request: &Message) -> Vec<u8> {
    let event = request.header(9).component(2).raw();
    let version = Version::of(request).unwrap_or(Version::V2_1);
    let component = request.delimiters().component;
    if event.is_empty() || version < Version::V2_3 {
        b"ACK".to_vec()
    } else if version < Version::V2_3_1 {
        joined(&[b"ACK", event], component)
    } else {
        joined(&[b"ACK", event, b"ACK"], component)
    }
}

/// The AR for bytes that begin like a message but whose header cannot be read: `MSA-2` is empty, for the control
/// id is unknown. None for anything else: what is no HL7 gets no HL7 answer.
pub fn reject_unreadable(bytes: &[u8], time: &[u8], control_id: &[u8], text: &[u8]) -> Option<Vec<u8>> {
    if !bytes.strip_prefix(UTF8_BOM).unwrap_or(bytes).starts_with(b"MSH") {
        return None;
    }
    let request = Message::parse(b"MSH|^~\\&|").ok()?;
    Some(Acknowledgment { time, control_id, text, ..Acknowledgment::new(AckCode::AR) }.answer(&request))
}

#[cfg(test)]
mod tests;
