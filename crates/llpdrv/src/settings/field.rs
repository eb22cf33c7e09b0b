//! A setting's value, as text and back.

use std::time::Duration;

use super::choice::Choice;

/// A place for a value, and how it is written.
pub(crate) enum Field<'a> {
    Seconds(&'a mut Duration),
    /// Seconds, 0 for none.
    MaybeSeconds(&'a mut Option<Duration>),
    /// Seconds, 0 too.
    Wait(&'a mut Duration),
    Count(&'a mut u32),
    Size(&'a mut usize),
    /// Octal digits, as chmod(1) has them.
    Octal(&'a mut u32),
    Switch(&'a mut bool),
    Text(&'a mut String),
    Token(&'a mut Vec<u8>),
    /// Two hexadecimal digits a byte.
    Bytes(&'a mut Vec<u8>),
    /// Two hexadecimal digits.
    Byte(&'a mut u8),
    Pair(&'a mut [u8; 2]),
    Choice(&'a mut dyn Choice),
}

impl Field<'_> {
    /// Takes a value; the error says what was expected.
    pub(crate) fn set(&mut self, text: &str) -> Result<(), String> {
        match self {
            Field::Seconds(place) => **place = seconds(text)?,
            Field::MaybeSeconds(place) => **place = if is_zero(text) { None } else { Some(seconds(text)?) },
            Field::Wait(place) => **place = if is_zero(text) { Duration::ZERO } else { seconds(text)? },
            Field::Count(place) => **place = number(text)?,
            Field::Size(place) => **place = number(text)?,
            Field::Octal(place) => {
                **place = u32::from_str_radix(text, 8).map_err(|_| "expected octal digits, as 660")?;
            }
            Field::Switch(place) => {
                **place = match text {
                    "yes" | "on" | "true" => true,
                    "no" | "off" | "false" => false,
                    _ => return Err("expected yes or no".into()),
                }
            }
            Field::Text(place) => text.clone_into(place),
            Field::Token(place) => **place = text.as_bytes().to_vec(),
            Field::Bytes(place) => **place = hexadecimal(text)?,
            Field::Byte(place) => match hexadecimal(text)?[..] {
                [byte] => **place = byte,
                _ => return Err("expected two hexadecimal digits, as 0b".into()),
            },
            Field::Pair(place) => {
                **place = text.as_bytes().try_into().map_err(|_| "expected two characters, as 21")?;
            }
            Field::Choice(place) => {
                if !place.choose(text) {
                    return Err(format!("expected {}", place.names().join(" or ")));
                }
            }
        }
        Ok(())
    }

    /// The value as a profile has it.
    pub(crate) fn show(&self) -> String {
        match self {
            Field::Seconds(value) | Field::Wait(value) => format!("{}", value.as_secs_f64()),
            Field::MaybeSeconds(value) => format!("{}", value.unwrap_or_default().as_secs_f64()),
            Field::Count(value) => value.to_string(),
            Field::Size(value) => value.to_string(),
            Field::Octal(value) => format!("\"{value:o}\""),
            Field::Switch(value) => value.to_string(),
            Field::Text(value) => format!("{value:?}"),
            Field::Token(value) => format!("{:?}", String::from_utf8_lossy(value)),
            Field::Bytes(value) => {
                let digits: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
                format!("\"{digits}\"")
            }
            Field::Byte(value) => format!("\"{value:02x}\""),
            Field::Pair(value) => format!("\"{}\"", value.escape_ascii()),
            Field::Choice(value) => format!("\"{}\"", value.chosen()),
        }
    }
}

fn is_zero(text: &str) -> bool {
    text.parse() == Ok(0.0)
}

fn seconds(text: &str) -> Result<Duration, String> {
    let expected = "expected 0.001 to 86400 seconds";
    let seconds: f64 = text.parse().map_err(|_| expected)?;
    if !(0.000_001..=86_400.0).contains(&seconds) {
        return Err(expected.into());
    }
    Ok(Duration::from_secs_f64(seconds))
}

fn number<N: std::str::FromStr>(text: &str) -> Result<N, String> {
    text.parse().map_err(|_| "expected a number".into())
}

fn hexadecimal(text: &str) -> Result<Vec<u8>, String> {
    let expected = "expected hexadecimal digits, two a byte, as 1c0d";
    if !text.bytes().all(|b| b.is_ascii_hexdigit()) || !text.len().is_multiple_of(2) {
        return Err(expected.into());
    }
    let byte = |i: usize| u8::from_str_radix(&text[i..i + 2], 16).map_err(|_| expected.to_owned());
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_back() {
        let mut time = Duration::ZERO;
        Field::Seconds(&mut time).set("0.25").unwrap();
        assert_eq!((time, Field::Seconds(&mut time).show()), (Duration::from_millis(250), "0.25".into()));
        for bad in ["", "-1", "0", "1e9", "nan", "1s"] {
            assert!(Field::Seconds(&mut time).set(bad).unwrap_err().contains("seconds"), "{bad}");
        }
        let mut maybe = Some(time);
        Field::MaybeSeconds(&mut maybe).set("0").unwrap();
        assert_eq!((maybe, Field::MaybeSeconds(&mut maybe).show()), (None, "0".into()));
        let mut bytes = vec![];
        Field::Bytes(&mut bytes).set("1C0d").unwrap();
        assert_eq!(
            (&bytes[..], Field::Bytes(&mut bytes.clone()).show()),
            (&b"\x1c\r"[..], "\"1c0d\"".into())
        );
        for bad in ["1", "zz", "ä", "+1"] {
            assert!(Field::Bytes(&mut bytes).set(bad).is_err(), "{bad}");
        }
        assert!(Field::Byte(&mut 0).set("0b0c").is_err());
        let mut mode = 0;
        Field::Octal(&mut mode).set("660").unwrap();
        assert_eq!(mode, 0o660);
    }
}
