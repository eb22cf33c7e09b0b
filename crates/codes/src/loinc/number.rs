//! LOINC numbers and their check digit.

use std::fmt;

/// A number with its check digit, in one of two coding systems.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number {
    /// Who gave it.
    pub system: System,
    /// Up to 8 digits.
    pub number: u32,
    /// As it was written; see [`computed_check_digit`](Number::computed_check_digit).
    pub check_digit: u8,
}

/// Who gave a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum System {
    /// The Regenstrief Institute.
    Loinc,
    /// This project, counting back from 9999.
    LoincPlus,
}

const PLUS: &str = "LOINC+:";

impl Number {
    /// Reads `5914-7`, or `5914`, which gets its check digit; `LOINC+:` may stand before it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Number> {
        let (system, text) = match text.strip_prefix(PLUS) {
            Some(rest) => (System::LoincPlus, rest),
            None => (System::Loinc, text),
        };
        let (digits, check) = match text.split_once('-') {
            Some((digits, check)) => (digits, Some(check)),
            None => (text, None),
        };
        // No sign, and no leading zero: one number has one spelling.
        let plain = (1..=8).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        let number = digits.parse().ok().filter(|_| plain)?;
        let check_digit = match check.map(str::as_bytes) {
            None => check_digit(number),
            Some([digit @ b'0'..=b'9']) => digit - b'0',
            Some(_) => return None,
        };
        Some(Number { system, number, check_digit })
    }

    /// The digit that the rule gives (LOINC Users' Guide, appendix on the check digit: Luhn's, modulo 10).
    #[must_use]
    pub fn computed_check_digit(&self) -> u8 {
        check_digit(self.number)
    }

    /// What sorts as the numbers do.
    pub(super) fn key(self) -> [u8; 6] {
        let [a, b, c, d] = self.number.to_be_bytes();
        [self.system as u8, a, b, c, d, self.check_digit]
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.system == System::LoincPlus {
            f.write_str(PLUS)?;
        }
        write!(f, "{}-{}", self.number, self.check_digit)
    }
}

fn check_digit(mut number: u32) -> u8 {
    let mut sum = 0;
    let mut doubled = true;
    while number > 0 {
        let digit = number % 10;
        sum += match (doubled, digit) {
            (true, 5..) => digit * 2 - 9,
            (true, _) => digit * 2,
            (false, _) => digit,
        };
        number /= 10;
        doubled = !doubled;
    }
    ((10 - sum % 10) % 10) as u8
}
