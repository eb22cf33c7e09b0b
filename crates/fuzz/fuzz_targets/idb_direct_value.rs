//! Any bytes as a value from a message: what is let through is one string of idb and one word of a shell.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_idb_direct::value::{MAX_VALUE, check, idb_string, is_measure, shell_word};

fuzz_target!(|bytes: &[u8]| {
    match idb_string(bytes) {
        Ok(string) => {
            // It ends where idb thinks it does: at the first quote after the one it begins with, on the same line.
            assert_eq!(string, [b"\"", bytes, b"\""].concat());
            assert!(bytes.len() <= MAX_VALUE && !bytes.iter().any(|byte| matches!(byte, b'"' | b'\\' | ..b' ')));
            assert_eq!(shell_word(bytes).map(|word| as_a_shell_reads(&word)), Ok(bytes.to_vec()));
        }
        Err(why) => assert!(check(bytes) == Err(why.clone()) && why.len() < 80),
    }
    if let Ok(word) = shell_word(bytes) {
        assert_eq!(as_a_shell_reads(&word), bytes);
    }
    if is_measure(bytes) {
        let number: f64 = std::str::from_utf8(bytes).expect("digits").parse().expect("a number");
        assert!(number > 0.0 && number.is_finite());
    }
});

/// Quotes, and the backslash outside them; anything else that a shell takes for more than itself is a finding.
fn as_a_shell_reads(word: &[u8]) -> Vec<u8> {
    let (mut text, mut quoted, mut bytes) = (Vec::new(), false, word.iter());
    assert!(!word.is_empty());
    while let Some(byte) = bytes.next() {
        match byte {
            b'\'' => quoted = !quoted,
            // csh looks for its history between quotes, too.
            b'!' if quoted => panic!("history"),
            byte if quoted => text.push(*byte),
            b'\\' => text.push(*bytes.next().expect("what is escaped")),
            byte => {
                assert!(byte.is_ascii_alphanumeric() || b"-_./:,@%+".contains(byte), "{word:?}");
                text.push(*byte);
            }
        }
    }
    assert!(!quoted, "{word:?}");
    text
}
