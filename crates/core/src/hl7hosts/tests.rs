use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

/// A name service of a few fixed rows: name, address, and whether the address answers with that name.
struct Names(&'static [(&'static str, &'static str, bool)]);

impl Resolver for Names {
    fn addresses(&self, name: &str) -> Vec<IpAddr> {
        self.0.iter().filter(|row| row.0.eq_ignore_ascii_case(name)).map(|row| ip(row.1)).collect()
    }

    fn names(&self, address: IpAddr) -> Vec<String> {
        // The liar's address claims a name of somebody else.
        if address == ip("10.6.6.6") {
            return vec!["uks3p.klinik.example".into()];
        }
        self.0.iter().filter(|row| row.2 && ip(row.1) == address).map(|row| row.0.to_owned()).collect()
    }
}

const NAMES: Names = Names(&[
    ("localhost", "127.0.0.1", true),
    ("localhost", "::1", true),
    ("uks3p.klinik.example", "10.1.2.3", true),
    ("alias.klinik.example", "10.1.2.3", false),
    ("lab1.klinik.example", "10.1.4.1", true),
    ("10.1.attacker.example", "192.0.2.7", true),
    ("dual.klinik.example", "10.1.9.9", true),
    ("dual.klinik.example", "2001:db8::9", true),
]);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// `host cid SenApp SenFac RecApp RecFac TYPE^EVENT`, with `-` for an empty value.
fn request(text: &'static str) -> Request<'static> {
    let mut values = text.split(' ').map(|v| if v == "-" { "" } else { v });
    let mut next = || values.next().unwrap();
    let mut request = Request::from_peer(ip(next()));
    request.connection_id = next().as_bytes();
    request.sending_application = next().as_bytes();
    request.sending_facility = next().as_bytes();
    request.receiving_application = next().as_bytes();
    request.receiving_facility = next().as_bytes();
    let message = next();
    let (message_type, event) = message.split_once('^').unwrap_or((message, ""));
    request.message_type = message_type.as_bytes();
    request.event = event.as_bytes();
    request
}

const LIST: &str = "\
# the examples of the manual page
localhost  *     TEST_APP TEST_FAC  *         *        NMD

uks3p      *     *        *         CVGATEWAY 060_IOP  +NMD ORU ADT^A01 ADT^A02
           ADT^A03
10.1.0.0/16 abl  ABL      060_IOP   CVGATEWAY 060_IOP  -ADT
";

/// The rule, the list, the request, allowed by default, allowed by exact matching.
const RULES: &[(&str, &str, &str, bool, bool)] = &[
    ("the manual's first entry", LIST, "127.0.0.1 - TEST_APP TEST_FAC X Y NMD", true, true),
    ("over IPv6 too", LIST, "::1 - TEST_APP TEST_FAC X Y NMD", true, true),
    ("another type is refused", LIST, "127.0.0.1 - TEST_APP TEST_FAC X Y ORU^R01", false, false),
    ("short name: default only", LIST, "10.1.2.3 - A B CVGATEWAY 060_IOP ORU^R01", true, false),
    ("an event that is listed", LIST, "10.1.2.3 - A B CVGATEWAY 060_IOP ADT^A02", true, false),
    ("an event on the continuation line", LIST, "10.1.2.3 - A B CVGATEWAY 060_IOP ADT^A03", true, false),
    ("an event that is not listed", LIST, "10.1.2.3 - A B CVGATEWAY 060_IOP ADT^A08", false, false),
    ("a listed event asks for one", LIST, "10.1.2.3 - A B CVGATEWAY 060_IOP ADT", false, false),
    ("CIDR and all but ADT", LIST, "10.1.200.1 abl ABL 060_IOP CVGATEWAY 060_IOP ORU^R01", true, true),
    (
        "a bare type covers its events",
        LIST,
        "10.1.200.1 abl ABL 060_IOP CVGATEWAY 060_IOP ADT^A01",
        false,
        false,
    ),
    ("outside the block", LIST, "10.2.0.1 abl ABL 060_IOP CVGATEWAY 060_IOP ORU^R01", false, false),
    ("another connection id", LIST, "10.1.200.1 abx ABL 060_IOP CVGATEWAY 060_IOP ORU^R01", false, false),
    ("no connection id", LIST, "10.1.200.1 - ABL 060_IOP CVGATEWAY 060_IOP ORU^R01", false, false),
    ("case of a value", LIST, "10.1.200.1 ABL abl 060_iop CvGateway 060_IOP oru^r01", true, false),
    (
        "first component only",
        LIST,
        "10.1.200.1 abl ABL^1.2^ISO 060_IOP^x CVGATEWAY 060_IOP^^ ORU",
        true,
        true,
    ),
    ("IPv4 in IPv6 clothes", LIST, "::ffff:10.1.200.1 abl ABL 060_IOP CVGATEWAY 060_IOP ORU", true, true),
    ("no list allows all", "* * * * * *", "192.0.2.1 - - - - - ZZZ^Z99", true, true),
    ("a star matches the empty value", "* * * * * * *", "192.0.2.1 - - - - - -", true, true),
    ("a value does not match the empty one", "* * A * * *", "192.0.2.1 - - - - - ORU", false, false),
    ("any entry is enough", "* x * * * *\n* y * * * *", "192.0.2.1 y - - - - ORU", true, true),
    ("the empty list refuses", "", "127.0.0.1 - - - - - ORU", false, false),
    ("a list of comments refuses", "# * * * * * *\n\n", "127.0.0.1 - - - - - ORU", false, false),
    ("pattern: star inside", "* * LAB*X * * *", "192.0.2.1 - LABORX - - - ORU", true, false),
    ("pattern: star is empty", "* * LAB*X * * *", "192.0.2.1 - LABX - - - ORU", true, false),
    ("pattern: two stars", "* * *B*X * * *", "192.0.2.1 - LABOXRX - - - ORU", true, false),
    ("pattern: no match at the end", "* * *B*X * * *", "192.0.2.1 - LABOXR - - - ORU", false, false),
    ("pattern: question mark", "* * LAB? * * *", "192.0.2.1 - LAB1 - - - ORU", true, false),
    ("pattern: one byte, not none", "* * LAB? * * *", "192.0.2.1 - LAB - - - ORU", false, false),
    ("exact: the characters themselves", "* * LAB? * * *", "192.0.2.1 - LAB? - - - ORU", true, true),
    ("brackets are no pattern", "* * [AB] * * *", "192.0.2.1 - A - - - ORU", false, false),
    ("a pattern of types", "* * * * * * OR?", "192.0.2.1 - - - - - ORU^R01", true, false),
    ("a pattern of events", "* * * * * * ADT^A0?", "192.0.2.1 - - - - - ADT^A08", true, false),
    ("a lone star as event, forbidden", "* * * * * * -ADT^*", "192.0.2.1 - - - - - ADT^A08", false, false),
    ("plus holds for the list", "* * * * * * +ORU ADT", "192.0.2.1 - - - - - ADT^A08", true, true),
    ("minus holds for the list", "* * * * * * -ORU ADT", "192.0.2.1 - - - - - ADT^A08", false, false),
    (
        "minus with an event leaves the others",
        "* * * * * * -ADT^A08",
        "192.0.2.1 - - - - - ADT^A01",
        true,
        true,
    ),
    ("minus star allows nothing", "* * * * * * -*", "192.0.2.1 - - - - - ORU", false, false),
    ("host: one address", "10.1.4.1 * * * * *", "10.1.4.1 - - - - - ORU", true, true),
    ("host: another address", "10.1.4.1 * * * * *", "10.1.4.2 - - - - - ORU", false, false),
    ("host: IPv6 address", "2001:db8::9 * * * * *", "2001:db8:0::9 - - - - - ORU", true, true),
    ("host: IPv6 block", "2001:db8::/32 * * * * *", "2001:db8:7::1 - - - - - ORU", true, true),
    ("host: IPv6 outside", "2001:db8::/32 * * * * *", "2001:db9::1 - - - - - ORU", false, false),
    ("host: a block of all IPv4", "0.0.0.0/0 * * * * *", "203.0.113.9 - - - - - ORU", true, true),
    ("host: which is not IPv6", "0.0.0.0/0 * * * * *", "2001:db8::1 - - - - - ORU", false, false),
    ("host: block of one", "10.1.4.1/32 * * * * *", "10.1.4.1 - - - - - ORU", true, true),
    ("host: odd prefix", "10.1.4.0/23 * * * * *", "10.1.5.255 - - - - - ORU", true, true),
    ("host: odd prefix, outside", "10.1.4.0/23 * * * * *", "10.1.6.0 - - - - - ORU", false, false),
    ("host: qualified name", "uks3p.klinik.example * * * * *", "10.1.2.3 - - - - - ORU", true, true),
    ("host: its case", "UKS3P.Klinik.example * * * * *", "10.1.2.3 - - - - - ORU", true, false),
    (
        "host: an alias resolves forward",
        "alias.klinik.example * * * * *",
        "10.1.2.3 - - - - - ORU",
        true,
        false,
    ),
    (
        "host: all addresses of a name",
        "dual.klinik.example * * * * *",
        "2001:db8::9 - - - - - ORU",
        true,
        true,
    ),
    ("host: pattern over names", "*.klinik.example * * * * *", "10.1.4.1 - - - - - ORU", true, false),
    ("host: pattern over short names", "lab? * * * * *", "10.1.4.1 - - - - - ORU", true, false),
    (
        "host: a claimed name is checked",
        "uks3p.klinik.example * * * * *",
        "10.6.6.6 - - - - - ORU",
        false,
        false,
    ),
    ("host: a claimed short name too", "uks3p * * * * *", "10.6.6.6 - - - - - ORU", false, false),
    (
        "host: a claimed name in a pattern",
        "*.klinik.example * * * * *",
        "10.6.6.6 - - - - - ORU",
        false,
        false,
    ),
    ("host: short is not a prefix", "uks3 * * * * *", "10.1.2.3 - - - - - ORU", false, false),
    ("host: unknown name", "nowhere * * * * *", "10.1.2.3 - - - - - ORU", false, false),
    ("tabs and DOS line ends", "*\t*\t* *  * *\tORU\r\n", "10.1.2.3 - - - - - ORU", true, true),
    ("comments inside an entry", "* * *\n# x\n  # y\n\n\t* * * ORU", "10.1.2.3 - - - - - ORU", true, true),
];

#[test]
fn every_rule_in_both_modes() {
    for (rule, list, asked, by_default, exactly) in RULES {
        for (matching, expected) in [(Matching::Default, by_default), (Matching::Exact, exactly)] {
            let list = AccessList::parse(list.as_bytes(), matching).unwrap();
            let decision = list.decide(&request(asked), &NAMES);
            assert_eq!(decision.is_allowed(), *expected, "{rule} ({matching:?})");
        }
    }
}

/// Kept from the rules, for exact matching does not know the pattern at all.
#[test]
fn address_patterns_are_compared_with_the_address_only() {
    let list = AccessList::parse(b"10.1.* * * * * *\nfe80:* * * * * *\n", Matching::Default).unwrap();
    let allows = |address| list.decide(&Request::from_peer(ip(address)), &NAMES).is_allowed();
    assert!(allows("10.1.77.1"));
    assert!(allows("fe80::7"));
    assert!(!allows("10.2.1.1"));
    assert!(!allows("192.0.2.7"), "a name that begins like the address must not match");
}

#[test]
fn one_syntax_error_refuses_everyone_and_names_its_line() {
    let good = "* * * * * *\n";
    let faults: &[(&str, usize, Fault)] = &[
        ("localhost * A B C", 2, Fault::MissingColumn("RecFac")),
        ("localhost", 2, Fault::MissingColumn("cid")),
        ("\n# c\nlocalhost * A\n B", 4, Fault::MissingColumn("RecApp")),
        ("* * * * * * ORU -ADT", 2, Fault::SignNotFirst),
        ("* * * * * * -ORU\n +ADT", 2, Fault::SignNotFirst),
        ("* * * * * * +-ORU", 2, Fault::SignNotFirst),
        ("* * * * * * -", 2, Fault::BadMessageItem),
        ("* * * * * * ADT^", 2, Fault::BadMessageItem),
        ("* * * * * * ^A01", 2, Fault::BadMessageItem),
        ("* * * * * * ADT^A01^ADT_A01", 2, Fault::BadMessageItem),
        ("* * LAB^1.2 * * *", 2, Fault::Component("SenApp")),
        ("10.1.2 * * * * *", 2, Fault::BadAddress),
        ("10.1.2.300 * * * * *", 2, Fault::BadAddress),
        ("2001:db8::g * * * * *", 2, Fault::BadAddress),
        ("lab/16 * * * * *", 2, Fault::BadAddress),
        ("10.1.0.0/33 * * * * *", 2, Fault::BadPrefix),
        ("10.1.0.0/+8 * * * * *", 2, Fault::BadPrefix),
        ("10.1.0.0/ * * * * *", 2, Fault::BadPrefix),
        ("10.1.2.0/16 * * * * *", 2, Fault::HostBits),
        ("lab!x * * * * *", 2, Fault::BadHost),
        ("lab\u{fc} * * * * *", 2, Fault::BadHost),
        ("* * A\u{0}B * * *", 2, Fault::ControlCharacter),
    ];
    for (text, line, fault) in faults {
        let text = format!("{good}{text}\n{good}");
        let error = AccessList::parse(text.as_bytes(), Matching::Default).unwrap_err();
        assert_eq!(error, SyntaxError { line: *line, fault: *fault }, "{text}");
        assert!(error.to_string().starts_with(&format!("line {line}: ")), "{error}");
    }
    let first = AccessList::parse(b" * * * * * *", Matching::Default).unwrap_err();
    assert_eq!(first, SyntaxError { line: 1, fault: Fault::NothingToContinue });
    let long = vec![b'#'; MAX_BYTES + 1];
    assert_eq!(AccessList::parse(&long, Matching::Default).unwrap_err().fault, Fault::TooLong);
}

#[test]
fn the_decision_names_the_entry_and_the_request_prints_on_one_line() {
    let list = AccessList::parse(LIST.as_bytes(), Matching::Default).unwrap();
    assert_eq!(list.len(), 3);
    let asked = request("10.1.2.3 - A B CVGATEWAY 060_IOP ADT^A03");
    assert_eq!(list.decide(&asked, &NAMES), Decision::Allowed { line: 4 });
    let mut forged = asked;
    forged.sending_application = b"A\nroot: all is well\x1b[2J\"";
    assert_eq!(
        forged.to_string(),
        "host 10.1.2.3 cid \"\" MSH-3 \"A\\nroot: all is well\\x1b[2J\\\"\" MSH-4 \"B\" MSH-5 \"CVGATEWAY\" \
         MSH-6 \"060_IOP\" type \"ADT\" event \"A03\""
    );
}

#[test]
fn the_resolver_is_asked_last() {
    struct Never;
    impl Resolver for Never {
        fn addresses(&self, name: &str) -> Vec<IpAddr> {
            panic!("asked for {name}")
        }
        fn names(&self, address: IpAddr) -> Vec<String> {
            panic!("asked for {address}")
        }
    }
    let list = AccessList::parse(b"lab x * * * *\n10.0.0.0/8 * * * * * NMD", Matching::Default).unwrap();
    assert_eq!(list.decide(&request("10.1.2.3 y - - - - ORU"), &Never), Decision::Refused);
}

/// The plain definition of a shell pattern, to compare the fast one with.
fn naive(pattern: &[u8], value: &[u8]) -> bool {
    match (pattern.split_first(), value.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), None) => naive(rest, value),
        (Some((b'*', rest)), Some((_, shorter))) => naive(rest, value) || naive(pattern, shorter),
        (Some((p, rest)), Some((v, shorter))) if *p == b'?' || p.eq_ignore_ascii_case(v) => {
            naive(rest, shorter)
        }
        _ => false,
    }
}

proptest! {
    #[test]
    fn patterns_match_as_defined(pattern in "[aAb*?]{0,8}", value in "[aAbc]{0,10}") {
        let rule = ValueRule::new(pattern.as_bytes(), Matching::Default);
        prop_assert_eq!(rule.matches(value.as_bytes()), naive(pattern.as_bytes(), value.as_bytes()));
    }

    #[test]
    fn exact_is_never_wider_than_default(line in "(\\*|[a-z]{1,3}) (\\*|[aA?]{1,2}) (\\*|[aA?]{1,2}) \\* \\* \\* ?[aA?]{0,3}",
                                         cid in "[aA?]{0,2}", app in "[aA?]{0,2}", kind in "[aA?]{0,3}") {
        let mut asked = Request::from_peer(ip("127.0.0.1"));
        asked.connection_id = cid.as_bytes();
        asked.sending_application = app.as_bytes();
        asked.message_type = kind.as_bytes();
        let parse = |matching| AccessList::parse(line.as_bytes(), matching).unwrap();
        if parse(Matching::Exact).decide(&asked, &NAMES).is_allowed() {
            prop_assert!(parse(Matching::Default).decide(&asked, &NAMES).is_allowed());
        }
    }

    #[test]
    fn any_bytes_parse_or_name_a_line_within_the_text(text in prop::collection::vec(any::<u8>(), 0..400)) {
        for matching in [Matching::Default, Matching::Exact] {
            match AccessList::parse(&text, matching) {
                Ok(list) => { let _ = list.decide(&Request::from_peer(ip("127.0.0.1")), &NAMES); }
                Err(error) => {
                    let lines = text.split(|b| *b == b'\n').count();
                    prop_assert!((1..=lines).contains(&error.line));
                }
            }
        }
    }

    #[test]
    fn blocks_hold_what_their_first_bits_say(address: u32, peer: u32, prefix in 0u32..=32) {
        let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
        let line = format!("{}/{prefix} * * * * *", std::net::Ipv4Addr::from(address & mask));
        let list = AccessList::parse(line.as_bytes(), Matching::Default).unwrap();
        let asked = Request::from_peer(IpAddr::from(std::net::Ipv4Addr::from(peer)));
        prop_assert_eq!(list.decide(&asked, &NoNames).is_allowed(), peer & mask == address & mask);
    }
}
