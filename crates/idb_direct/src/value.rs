//! Values that come from messages, on their way into idb statements and remote commands.
//!
//! A value goes into an idb string, which has no escapes, and, as an argument of a command, through the remote
//! account's shell. What neither can carry is refused; the rest is quoted. Both functions are total over bytes.

pub use protogen_sys::carevue::shell_word;

/// The longest record number or bed, in bytes (HL7 v2.1 allows 20).
pub const MAX_VALUE: usize = 64;

/// Why a value is refused; the text does not repeat it.
pub fn check(value: &[u8]) -> Result<(), String> {
    if value.len() > MAX_VALUE {
        return Err(format!("{} bytes, {MAX_VALUE} are the most", value.len()));
    }
    match value.iter().position(|byte| !is_allowed(*byte)) {
        Some(place) => {
            Err(format!("byte 0x{:02X} at {}, which CareVue cannot have there", value[place], place + 1))
        }
        None => Ok(()),
    }
}

/// No control character of HP Roman-8 (0x80 to 0x9F are some too), nor what ends an idb string.
fn is_allowed(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | 0xA0..=0xFE) && byte != b'"' && byte != b'\\'
}

/// The value as a string of an idb statement.
///
/// # Errors
/// As [`check`].
pub fn idb_string(value: &[u8]) -> Result<Vec<u8>, String> {
    check(value)?;
    Ok([b"\"", value, b"\""].concat())
}

/// An admit observation as CareVue stores it: digits, perhaps with a decimal point and more digits, above 0, 12
/// characters at most.
pub fn is_measure(value: &[u8]) -> bool {
    let mut parts = value.split(|byte| *byte == b'.');
    let digits =
        |part: Option<&[u8]>| part.is_some_and(|p| !p.is_empty() && p.iter().all(u8::is_ascii_digit));
    let whole = digits(parts.next());
    let fraction = parts.next().is_none_or(|part| digits(Some(part)));
    let above_zero = value.iter().any(|byte| (b'1'..=b'9').contains(byte));
    value.len() <= 12 && whole && fraction && parts.next().is_none() && above_zero
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::process::Command;

    #[test]
    fn what_is_refused() {
        for good in [&b"12345"[..], b"", b"-c", b"$(id)", b"`id`;'|&<>*?~!#", b"M\xCFller", &[b'9'; 64]] {
            assert_eq!(check(good), Ok(()), "{}", good.escape_ascii());
        }
        for (bad, told) in [
            (&b"1\"2"[..], "0x22 at 2"),
            (b"1\\", "0x5C at 2"),
            (b"1\n2", "0x0A at 2"),
            (b"\t", "0x09 at 1"),
            (b"\0", "0x00 at 1"),
            (b"\x7F", "0x7F at 1"),
            (b"\x9B", "0x9B at 1"),
            (b"\xFF", "0xFF at 1"),
            (&[b'9'; 65], "65 bytes, 64 are the most"),
        ] {
            assert!(check(bad).unwrap_err().contains(told), "{}", bad.escape_ascii());
            assert!(idb_string(bad).is_err());
        }
    }

    #[test]
    fn measures() {
        for good in ["182", "75", "2.7", "0.5", "999999.99999", "0082"] {
            assert!(is_measure(good.as_bytes()), "{good}");
        }
        for bad in [
            "",
            "0",
            "0.0",
            "-1",
            "+1",
            "1e3",
            "1,5",
            ".5",
            "5.",
            "1.2.3",
            " 1",
            "1 ",
            "NaN",
            "inf",
            "0x1",
            "1234567890123",
        ] {
            assert!(!is_measure(bad.as_bytes()), "{bad}");
        }
    }

    /// What this shell makes of a word.
    fn as_the_shell_sees(shell: &str, word: &[u8]) -> Vec<u8> {
        let line = [b"printf '%s|' ", word].concat();
        let output = Command::new(shell).arg("-c").arg(OsStr::from_bytes(&line)).output().unwrap();
        assert!(output.status.success(), "{shell}: {}", line.escape_ascii());
        output.stdout
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn a_shell_gives_the_word_back(text in proptest::collection::vec(
            prop_oneof![1u8..=255, proptest::sample::select(b"'\"\\$`;&|!()<>*?~# \t{}[]=^".to_vec())], 0..40))
        {
            match shell_word(&text) {
                Ok(word) => for shell in ["sh", "bash"] {
                    prop_assert_eq!(as_the_shell_sees(shell, &word), [&text[..], b"|"].concat());
                },
                Err(_) => prop_assert!(text.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r'))),
            }
        }
    }
}
