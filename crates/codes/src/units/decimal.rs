//! Decimal numbers as results and tables write them, and rounding to an increment.

use rust_decimal::{Decimal, RoundingStrategy};

/// Reads a plain decimal number: an optional sign, digits, an optional point with digits. HL7's NM (chapter 2A) is
/// written so; exponents are refused, and so are more than 28 digits, which would not be kept exactly.
#[must_use]
pub fn parse_decimal(text: &str) -> Option<Decimal> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if !plain(whole) || !plain(fraction) || whole.is_empty() && fraction.is_empty() {
        return None;
    }
    // Leading zeros are no digits to be kept.
    let zeros = digits.bytes().take_while(|byte| *byte == b'0').count();
    let kept = &digits[zeros.min(whole.len())..];
    let number = match kept {
        "" | "." => "0".to_owned(),
        kept if kept.starts_with('.') => format!("0{kept}"),
        kept => kept.trim_end_matches('.').to_owned(),
    };
    let number = if number.is_empty() { Decimal::ZERO } else { Decimal::from_str_exact(&number).ok()? };
    Some(if text.starts_with('-') { -number } else { number })
}

/// Rounds to the nearest multiple of `increment`, half away from zero, and writes exactly `precision` decimals. An
/// increment of 0 does not round to multiples, only to the decimals.
///
/// `None` when the result has more than 28 digits.
#[must_use]
pub fn round_and_print(value: Decimal, increment: Decimal, precision: u32) -> Option<String> {
    let half_away = RoundingStrategy::MidpointAwayFromZero;
    let rounded = match increment.is_zero() {
        true => value,
        false => {
            let multiples = value.checked_div(increment)?.round_dp_with_strategy(0, half_away);
            multiples.checked_mul(increment)?
        }
    };
    let mut rounded = rounded.round_dp_with_strategy(precision, half_away);
    rounded.rescale(precision);
    if rounded.scale() != precision {
        return None;
    }
    // No result of a laboratory is "-0".
    Some(if rounded.is_zero() { rounded.abs().to_string() } else { rounded.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(value: &str, increment: &str, precision: u32) -> String {
        round_and_print(parse_decimal(value).unwrap(), parse_decimal(increment).unwrap(), precision).unwrap()
    }

    #[test]
    fn numbers_as_hl7_writes_them() {
        for (text, value) in [
            ("8.0", "8.0"),
            ("-20", "-20"),
            ("+.5", "0.5"),
            ("7.", "7"),
            ("007", "7"),
            ("0", "0"),
            ("00.10", "0.10"),
        ] {
            assert_eq!(
                parse_decimal(text).map(|number| number.to_string()).as_deref(),
                Some(value),
                "{text}"
            );
        }
        for text in
            ["", ".", "-", "1e3", "1,5", " 1", "1 ", "--1", "0x1", "1.2.3", "\u{661}", &"9".repeat(40)]
        {
            assert_eq!(parse_decimal(text), None, "{text}");
        }
    }

    #[test]
    fn half_goes_away_from_zero() {
        assert_eq!(round("12.8907512", "0.1", 1), "12.9");
        assert_eq!(round("0.25", "0.1", 1), "0.3");
        assert_eq!(round("-0.25", "0.1", 1), "-0.3");
        assert_eq!(round("0.3", "0.1", 1), "0.3"); // 0.1 + 0.2 in binary would show more
        assert_eq!(round("1.005", "0.01", 2), "1.01"); // 1.00 in binary
        assert_eq!(round("137", "5", 0), "135");
        assert_eq!(round("137.5", "5", 0), "140");
        assert_eq!(round("-0.04", "0.1", 1), "0.0");
        assert_eq!(round("72.4", "1.0", 2), "72.00");
        assert_eq!(round("1.23456", "0", 3), "1.235");
        assert_eq!(round_and_print(Decimal::MAX, parse_decimal("0.1").unwrap(), 3), None);
    }
}
