//! What is out of order in the structure of a message, each with its place.

use super::charset::CharacterSet;
use super::delimiters::{CR, LF, Width};
use super::escape;
use super::index::is_segment_name;
use super::message::{Message, Segment};
use super::version::Version;
use std::fmt;

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Against the rules, yet every receiver worth its name copes.
    Warning,
    /// A receiver may misread or refuse the message.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// One thing that is out of order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// The byte of the message at which it stands, from 0.
    pub offset: usize,
    /// The segment or field, as `PID-5`; empty where it concerns the whole message.
    pub place: String,
    /// What is wrong, and what was expected.
    pub text: String,
}

/// The most findings of one message; those after are left out, but for the first error.
pub const MAX_FINDINGS: usize = 100;

/// Checks the structure of one message: header, segments, line ends, characters, escape sequences.
///
/// The content is not checked: which segments and fields a message of some type needs is between its sender and
/// its receiver.
pub fn check(bytes: &[u8]) -> Vec<Finding> {
    let mut findings = Findings(Vec::new());
    match Message::parse(bytes) {
        Err(error) => findings.error(0, "MSH", error.to_string()),
        Ok(message) => {
            check_header(&message, &mut findings);
            check_line_ends(&message, &mut findings);
            let set = CharacterSet::of(&message).unwrap_or(CharacterSet::Ascii);
            for segment in message.segments() {
                check_segment(&message, &segment, set, &mut findings);
            }
        }
    }
    let mut findings = findings.0;
    findings.sort_by_key(|finding| finding.offset);
    findings
}

struct Findings(Vec<Finding>);

impl Findings {
    fn add(&mut self, severity: Severity, offset: usize, place: &str, text: String) {
        let finding = Finding { severity, offset, place: place.into(), text };
        if self.0.len() < MAX_FINDINGS {
            self.0.push(finding);
        } else if severity == Severity::Error && self.0.iter().all(|f| f.severity == Severity::Warning) {
            // However many warnings there are, they do not hide that there is an error.
            self.0[MAX_FINDINGS - 1] = finding;
        }
    }

    fn error(&mut self, offset: usize, place: &str, text: String) {
        self.add(Severity::Error, offset, place, text);
    }

    fn warning(&mut self, offset: usize, place: &str, text: impl Into<String>) {
        self.add(Severity::Warning, offset, place, text.into());
    }
}

fn check_header(message: &Message, findings: &mut Findings) {
    let end = message.at(0).map_or(0, |msh| msh.span().end);
    let offset = |n: usize| message.at(0).and_then(|msh| msh.field_span(n)).map_or(end, |span| span.start);
    for (n, name) in
        [(9, "message type"), (10, "message control id"), (11, "processing id"), (12, "version id")]
    {
        if !message.header(n).is_valued() {
            findings.error(offset(n), &format!("MSH-{n}"), format!("empty, expected a {name}"));
        }
    }
    let version = message.header(12);
    if version.is_valued() && Version::of(message).is_none() {
        findings.warning(offset(12), "MSH-12", "no version number, expected one such as 2.3.1");
    }
    // 20 characters up to v2.6, 199 since v2.7.
    let limit = if Version::of(message).is_some_and(|version| version >= Version::V2_7) { 199 } else { 20 };
    let length = message.control_id().len();
    if length > limit {
        findings.warning(offset(10), "MSH-10", format!("{length} characters, expected at most {limit}"));
    }
    if let Err(error) = CharacterSet::of(message) {
        findings.error(offset(18), "MSH-18", error.to_string());
    }
    let sequence = message.header(13).raw();
    let is_number = |text: &[u8]| std::str::from_utf8(text).is_ok_and(|text| text.parse::<i64>().is_ok());
    if !sequence.is_empty() && !is_number(sequence) {
        findings.error(offset(13), "MSH-13", "no sequence number, expected an integer".into());
    }
}

fn check_line_ends(message: &Message, findings: &mut Findings) {
    let bytes = message.bytes();
    let mut told = false;
    for (i, segment) in message.segments().enumerate() {
        let end = segment.span().end;
        let next = message.at(i + 1).map(|next| next.offset());
        let terminator = &bytes[end..next.unwrap_or(bytes.len())];
        // Said once: of the first segment that does not end in CR.
        match terminator {
            [CR, LF, ..] if !told => findings.warning(end + 1, "", "CR LF ends segments, expected CR alone"),
            [LF, ..] if !told => findings.warning(end, "", "LF ends segments, expected CR"),
            [] => findings.warning(end, "", "the last segment has no end, expected CR"),
            _ => {}
        }
        told |= terminator.contains(&LF);
        if next.is_some() && !matches!(terminator, [_] | [CR, LF]) {
            findings.warning(end + 1, "", "empty segment");
        }
    }
}

fn check_segment(message: &Message, segment: &Segment, set: CharacterSet, findings: &mut Findings) {
    let name = segment.name();
    let shown = name.escape_ascii().to_string();
    if !is_segment_name(name) {
        let text = format!("\"{shown}\" is no segment name, expected three capitals or digits");
        findings.error(segment.offset(), "", text);
        return;
    }
    if name == b"MSH" && segment.position() > 0 {
        findings.error(segment.offset(), "MSH", "a second MSH, expected one a message".into());
    }
    for (i, value) in segment.fields().enumerate() {
        let n = i + 1;
        if segment.is_header() && n <= 2 {
            continue;
        }
        let Some(span) = segment.field_span(n) else { continue };
        let place = || format!("{shown}-{n}");
        check_characters(value.raw(), span.start, set, &place, findings);
        let delimiters = message.delimiters();
        if let Some(at) = escape::first_lone(value.raw(), delimiters) {
            let text = "a lone escape character, expected a sequence such as \\T\\";
            findings.warning(span.start + at, &place(), text);
        }
    }
}

fn check_characters(
    raw: &[u8],
    offset: usize,
    set: CharacterSet,
    place: &impl Fn() -> String,
    findings: &mut Findings,
) {
    const ESC: u8 = 0x1B;
    let shifted = set.width() == Width::Shifted;
    let control = |b: &u8| *b < 0x20 && *b != b'\t' && !(shifted && *b == ESC);
    if let Some(at) = raw.iter().position(control) {
        let byte = raw[at];
        let text = format!("control character 0x{byte:02X}, expected it escaped as \\X{byte:02X}\\");
        match byte {
            0x00 | 0x0B | 0x1C => findings.error(offset + at, &place(), text),
            _ => findings.warning(offset + at, &place(), text),
        }
    }
    if let Some(at) = set.first_fault(raw) {
        match set {
            CharacterSet::Ascii => {
                findings.warning(offset + at, &place(), "not ASCII, but MSH-18 names no other character set");
            }
            _ => findings.error(offset + at, &place(), "not of the character set that MSH-18 names".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &[u8]) -> Vec<String> {
        let show = |f: Finding| format!("{}: {}: {}: {}", f.offset, f.severity, f.place, f.text);
        check(text).into_iter().map(show).collect()
    }

    #[test]
    fn a_sound_message_has_none() {
        let text = b"MSH|^~\\&|A|B|C|D|1996||ADT^A01|1|P|2.3\rPID|1||1^^^X~2||DOE\\T\\CO\rOBX|1|FT|x||a\\.br\\b\\Z1\\\r";
        assert!(findings(text).is_empty(), "{:?}", findings(text));
    }

    #[test]
    fn each_fault_is_named_with_its_byte() {
        const MSH: &str = "MSH|^~\\&|||||||ADT^A01|1|P|2.3";
        let n = MSH.len();
        let with = |tail: &str| [MSH.as_bytes(), tail.as_bytes()].concat();
        let cases: Vec<(Vec<u8>, String)> = vec![
            (b"PID|1\r".into(), "0: error: MSH: begins with \"PID|1\\r\" at byte 0, expected MSH".into()),
            (with(""), format!("{n}: warning: : the last segment has no end, expected CR")),
            (with("\n"), format!("{n}: warning: : LF ends segments, expected CR")),
            (with("\r\n"), format!("{}: warning: : CR LF ends segments, expected CR alone", n + 1)),
            (with("\r\rPID|1\r"), format!("{}: warning: : empty segment", n + 1)),
            (with("\rPID|1\nPV1|1\r"), format!("{}: warning: : LF ends segments, expected CR", n + 6)),
            (
                with("\rPID|1\r\nPV1|1\r\n"),
                format!("{}: warning: : CR LF ends segments, expected CR alone", n + 7),
            ),
            (
                with("\rPID|\u{b}\r"),
                format!("{}: error: PID-1: control character 0x0B, expected it escaped as \\X0B\\", n + 5),
            ),
            (
                with("\rPID|\u{1c}\r"),
                format!("{}: error: PID-1: control character 0x1C, expected it escaped as \\X1C\\", n + 5),
            ),
            (
                b"MSH|^~\\&|||||||A|123456789012345678901|P|2.6\r".into(),
                "17: warning: MSH-10: 21 characters, expected at most 20".into(),
            ),
            (
                b"MSH|^~\\&|||||||A|1|P|2.3||||||~ISO IR87\rPID|\x1B$B;3ED\x1B(B\x1C\r".into(),
                "54: error: PID-1: control character 0x1C, expected it escaped as \\X1C\\".into(),
            ),
            (
                with("\rPIDX|1\r"),
                format!("{}: error: : \"PIDX\" is no segment name, expected three capitals or digits", n + 1),
            ),
            (with("\rMSH|1\r"), format!("{}: error: MSH: a second MSH, expected one a message", n + 1)),
            (
                with("\rPID|\0\r"),
                format!("{}: error: PID-1: control character 0x00, expected it escaped as \\X00\\", n + 5),
            ),
            (
                with("\rPID|\u{1f}\r"),
                format!("{}: warning: PID-1: control character 0x1F, expected it escaped as \\X1F\\", n + 5),
            ),
            (
                with("\rPID||C:\\x\r"),
                format!(
                    "{}: warning: PID-2: a lone escape character, expected a sequence such as \\T\\",
                    n + 8
                ),
            ),
            (
                with("\rPID|é\r"),
                format!("{}: warning: PID-1: not ASCII, but MSH-18 names no other character set", n + 5),
            ),
            (
                b"MSH|^~\\&|||||||A|1|P|2.3|x\r".into(),
                "25: error: MSH-13: no sequence number, expected an integer".into(),
            ),
            (
                b"MSH|^~\\&|||||||A|1|P|x\r".into(),
                "21: warning: MSH-12: no version number, expected one such as 2.3.1".into(),
            ),
            (
                b"MSH|^~\\&|||||||A|123456789012345678901|P|2.3\r".into(),
                "17: warning: MSH-10: 21 characters, expected at most 20".into(),
            ),
            (
                b"MSH|^~\\&|||||||A|1|P|2.3||||||UNICODE UTF-8\rPID|\xFF\r".into(),
                "48: error: PID-1: not of the character set that MSH-18 names".into(),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(findings(&text), [expected], "{}", text.escape_ascii());
        }
        assert_eq!(findings(b"MSH|^~\\&\r").len(), 4, "MSH-9 to MSH-12 are required");
        assert!(findings(b"MSH|^~\\&|||||||A|1|P|2.3||||||UTF-16\r")[0].contains("MSH-18: MSH-18 names"));
    }

    #[test]
    fn findings_are_bounded() {
        let text = [b"MSH|^~\\&|||||||A|1|P|2.3\r".as_slice(), &b"pid|1\r".repeat(1000)].concat();
        assert_eq!(check(&text).len(), MAX_FINDINGS);
        let text = [b"MSH|^~\\&|||||||A|1|P|2.3\rPID", b"|\xFC".repeat(200).as_slice(), b"|\0\r"].concat();
        let found = check(&text);
        assert_eq!((found.len(), found.last().unwrap().severity), (MAX_FINDINGS, Severity::Error));
    }

    #[test]
    fn findings_come_in_the_order_of_their_bytes() {
        let found = check(b"MSH|^~\\&|||||||A|1|P|2.3\rPID|\0\n\nPV1|\0\rpv2|1");
        assert!(found.len() >= 4 && found.is_sorted_by_key(|finding| finding.offset), "{found:?}");
    }
}
