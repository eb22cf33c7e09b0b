use super::*;

fn request(msh9: &str, version: &str, tail: &str) -> Vec<u8> {
    format!("MSH|^~\\&|LAB|L&1|ADT|A|1996||{msh9}|Z^1|P|{version}{tail}\rPID|1\r").into_bytes()
}

fn answer(request: &[u8], ack: &Acknowledgment) -> String {
    let request = Message::parse(request).unwrap();
    String::from_utf8(ack.answer(&request)).unwrap()
}

fn ack(code: AckCode) -> Acknowledgment<'static> {
    Acknowledgment { time: b"2026", control_id: b"9", ..Acknowledgment::new(code) }
}

#[test]
fn the_type_of_the_answer_follows_the_version() {
    for (version, expected) in [
        ("2.1", "ACK"),
        ("2.2", "ACK"),
        ("2.3", "ACK^R01"),
        ("2.3.1", "ACK^R01^ACK"),
        ("2.4", "ACK^R01^ACK"),
        ("2.8.2", "ACK^R01^ACK"),
        ("2.5^DEU", "ACK^R01^ACK"),
        ("", "ACK"),
    ] {
        let text = answer(&request("ORU^R01^ORU_R01", version, ""), &ack(AckCode::AA));
        assert_eq!(text, format!("MSH|^~\\&|ADT|A|LAB|L&1|2026||{expected}|9|P|{version}\rMSA|AA|Z^1\r"));
    }
    assert!(answer(&request("ORU", "2.5", ""), &ack(AckCode::AA)).contains("||ACK|9"));
}

#[test]
fn text_and_errors_stand_where_the_version_has_them() {
    let errors = [
        ErrorDetail {
            location: Some("PID-3[2].1".parse().unwrap()),
            code: ErrorCode::RequiredFieldMissing,
            text: "no id".into(),
        },
        ErrorDetail { location: None, code: ErrorCode::DataTypeError, text: String::new() },
    ];
    let told = Acknowledgment { text: b"bad|id", errors: &errors, ..ack(AckCode::AE) };
    let segments = |version: &str| -> Vec<String> {
        answer(&request("ORU^R01", version, ""), &told).split('\r').skip(1).map(str::to_string).collect()
    };
    assert_eq!(
        segments("2.3"),
        [
            "MSA|AE|Z^1|bad\\F\\id",
            "ERR|PID^1^3^101&Required field missing&HL70357~^^^102&Data type error&HL70357",
            ""
        ]
    );
    assert!(segments("2.4")[1].starts_with("ERR|PID^1^3^101&"));
    assert_eq!(
        segments("2.5"),
        [
            "MSA|AE|Z^1|bad\\F\\id",
            "ERR||PID^1^3^2^1|101^Required field missing^HL70357|E||||no id",
            "ERR|||102^Data type error^HL70357|E",
            ""
        ]
    );
    assert_eq!(segments("2.7")[0], "MSA|AE|Z^1");
    let silent = |error: &ErrorDetail| ErrorDetail { text: String::new(), ..error.clone() };
    let told = Acknowledgment { errors: &errors.each_ref().map(silent), ..told };
    let text = answer(&request("ORU", "2.7", ""), &told);
    assert_eq!(text.matches("bad\\F\\id").count(), 1, "the text stands once, in the first ERR: {text}");
    let plain = Acknowledgment { text: b"no room", ..ack(AckCode::AR) };
    assert!(
        answer(&request("ORU", "2.7", ""), &plain)
            .ends_with("MSA|AR|Z^1\rERR|||207^Application internal error^HL70357|E||||no room\r")
    );
    let plain = Acknowledgment { text: b"noted", ..ack(AckCode::AA) };
    assert!(
        answer(&request("ORU", "2.8", ""), &plain)
            .ends_with("\rERR|||0^Message accepted^HL70357|I||||noted\r")
    );
}

#[test]
fn the_sequence_number_has_its_field() {
    let numbered = Acknowledgment { expected_sequence: Some(1), ..ack(AckCode::AA) };
    assert!(answer(&request("^", "2.1", "|0"), &numbered).ends_with("MSA|AA|Z^1||1\r"));
}

#[test]
fn the_character_set_is_named_where_it_is_used() {
    let request = b"MSH|^~\\&|L\xC4B||A||||ORU|1|P|2.3||||||8859/1\r";
    let text = ack(AckCode::AA).answer(&Message::parse(request).unwrap());
    assert_eq!(text, b"MSH|^~\\&|A||L\xC4B||2026||ACK|9|P|2.3||||||8859/1\rMSA|AA|1\r");
    let answer = answer(b"MSH|^~\\&|LAB||A||||ORU|1|P|2.3||||||8859/1\r", &ack(AckCode::AA));
    assert!(!answer.contains("8859"));
    let request = b"MSH|^~\\&|\x1B$B;3ED\x1B(B||A||||ORU|1|P|2.3||||||~ISO IR87\r";
    let text = ack(AckCode::AA).answer(&Message::parse(request).unwrap());
    assert!(text.windows(9).any(|window| window == b"~ISO IR87"));
}

#[test]
fn foreign_delimiters_are_answered_in_kind() {
    let text = answer(
        b"MSH$%*$LAB$L$ADT$A$$$ORU%R01$1$P$2.5\r",
        &Acknowledgment { text: b"a$b", ..ack(AckCode::AE) },
    );
    assert_eq!(text, "MSH$%*$ADT$A$LAB$L$2026$$ACK%R01%ACK$9$P$2.5\rMSA$AE$1$a b\r");
    // Without a repetition separator ERR-1 has room for one error.
    let error = ErrorDetail { location: None, code: ErrorCode::DataTypeError, text: String::new() };
    let told = Acknowledgment { errors: &[error.clone(), error], ..ack(AckCode::AE) };
    assert!(answer(b"MSH$%$A$$$$$$ORU$1$P$2.3\r", &told).ends_with("\rERR$%%%102\r"));
}

#[test]
fn the_sender_of_the_answer_can_be_named() {
    let named = Acknowledgment { sender: Some((b"ME", b"HERE")), ..ack(AckCode::AA) };
    assert!(answer(&request("ORU", "2.3", ""), &named).starts_with("MSH|^~\\&|ME|HERE|LAB|L&1|"));
}

#[test]
fn what_is_due_in_each_mode() {
    use AckCode::*;
    use Outcome::*;
    // MSH-15, MSH-16, and the code for accepted, error, rejected.
    for (accept, application, codes) in [
        ("", "", [Some(AA), Some(AE), Some(AR)]),
        ("AL", "NE", [Some(CA), Some(CE), Some(CR)]),
        ("AL", "AL", [Some(CA), Some(CE), Some(CR)]),
        ("ER", "AL", [None, Some(CE), Some(CR)]),
        ("SU", "NE", [Some(CA), None, None]),
        ("NE", "AL", [Some(AA), Some(AE), Some(AR)]),
        ("", "SU", [Some(AA), None, None]),
        ("", "ER", [None, Some(AE), Some(AR)]),
        ("NE", "NE", [None, None, None]),
        ("NE", "", [None, None, None]),
        ("\"\"", "\"\"", [Some(AA), Some(AE), Some(AR)]),
        ("\"\"", "AL", [Some(AA), Some(AE), Some(AR)]),
        ("al", "", [Some(CA), Some(CE), Some(CR)]),
        ("??", "", [Some(CA), Some(CE), Some(CR)]),
    ] {
        let text = request("ORU", "2.3", &format!("|||{accept}|{application}"));
        let mode = Mode::of(&Message::parse(&text).unwrap());
        assert_eq!([Accepted, Error, Rejected].map(|o| mode.due(o)), codes, "{accept}/{application}");
    }
}

#[test]
fn an_acknowledgment_gets_none() {
    let is = |text: &str| is_acknowledgment(&Message::parse(text.as_bytes()).unwrap());
    assert!(is("MSH|^~\\&|||||||ACK^A01|1\rMSA|AA|1\r"));
    assert!(is("MSH|^~\\&|||||||MCF|1\rMSA|AA|1\r"));
    assert!(!is("MSH|^~\\&|||||||ORR^O02|1\rMSA|AA|1\r"));
    assert!(!is("MSH|^~\\&|||||||ACK|1\r"));
}

#[test]
fn an_unreadable_header_is_rejected_with_an_empty_reference() {
    let text = reject_unreadable(b"MSH|", b"2026", b"9", b"MSH-2 is empty").unwrap();
    assert_eq!(text, b"MSH|^~\\&|||||2026||ACK|9||\rMSA|AR||MSH-2 is empty\r");
    assert!(reject_unreadable(b"MSH|", b"2026", b"9", b"").unwrap().ends_with(b"\rMSA|AR|\r"));
    assert!(reject_unreadable(b"\xEF\xBB\xBFMSH|", b"", b"", b"").is_some());
    assert_eq!(reject_unreadable(b"GET / HTTP/1.1", b"", b"", b""), None);
}

#[test]
fn codes_read_and_print() {
    for code in AckCode::ALL {
        assert_eq!(AckCode::parse(code.as_str().to_lowercase().as_bytes()), Some(code));
        assert_eq!(code.is_positive(), code.as_str().ends_with('A'));
    }
    assert_eq!(AckCode::parse(b"XX"), None);
    assert_eq!(AckCode::of(&Message::parse(b"MSH|^~\\&|\rMSA|CE|1\r").unwrap()), Some(AckCode::CE));
}

#[test]
fn a_line_feed_in_the_header_makes_no_segment_of_the_answer() {
    let told = Acknowledgment { text: b"bad", ..ack(AckCode::AE) };
    let text = answer(b"MSH|^~\\&|A||B||||ORU|1\nA51\r", &told);
    assert!(text.ends_with("MSA|AE|1 A51|bad\r"), "{text}");
    assert_eq!(Message::parse(text.as_bytes()).map(|message| message.len()), Ok(2));
}

#[test]
fn an_answer_to_a_header_that_a_line_feed_cuts_is_a_message() {
    let text = answer(b"MSH$%\nN\r", &ack(AckCode::AE));
    assert!(text.starts_with("MSH$%$$"), "{text}");
    assert!(Message::parse(text.as_bytes()).is_ok());
}
