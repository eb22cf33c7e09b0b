//! Any bytes: findings within them; a message differs from itself in nothing, and from another in something.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_core::hl7::*;

const OTHER: &[u8] = include_bytes!("../../../tests/data/hl7/adt.hl7");

fuzz_target!(|data: &[u8]| {
    let findings = check(data);
    assert!(findings.len() <= MAX_FINDINGS && findings.iter().all(|finding| finding.offset <= data.len()));
    let Ok(message) = Message::parse(data) else {
        assert!(!findings.is_empty());
        return;
    };
    assert!(diff(&message, &message).is_empty());
    let other = Message::parse(OTHER).expect("the sample");
    diff(&other, &message);
    assert_eq!(diff(&message, &other).is_empty(), same(&message, &other));
});

/// The two have the same segments, however these end.
fn same(a: &Message, b: &Message) -> bool {
    a.len() == b.len() && a.segments().zip(b.segments()).all(|(a, b)| a.raw() == b.raw())
}
