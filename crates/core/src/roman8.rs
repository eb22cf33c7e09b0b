//! HP Roman-8, the character set of HP-UX and of CareVue: one byte a character, ASCII below 0x80 (RFC 1345, hp-roman8).

/// The upper half from 0xA0; 0x80 to 0x9F are control characters of the same number. 0xFF is not assigned.
#[rustfmt::skip]
const UPPER: [char; 96] = [
    '\u{A0}', 'À', 'Â', 'È', 'Ê', 'Ë', 'Î', 'Ï', '´', 'ˋ', 'ˆ', '¨', '˜', 'Ù', 'Û', '₤',
    '¯', 'Ý', 'ý', '°', 'Ç', 'ç', 'Ñ', 'ñ', '¡', '¿', '¤', '£', '¥', '§', 'ƒ', '¢',
    'â', 'ê', 'ô', 'û', 'á', 'é', 'ó', 'ú', 'à', 'è', 'ò', 'ù', 'ä', 'ë', 'ö', 'ü',
    'Å', 'î', 'Ø', 'Æ', 'å', 'í', 'ø', 'æ', 'Ä', 'ì', 'Ö', 'Ü', 'É', 'ï', 'ß', 'Ô',
    'Á', 'Ã', 'ã', 'Ð', 'ð', 'Í', 'Ì', 'Ó', 'Ò', 'Õ', 'õ', 'Š', 'š', 'Ú', 'Ÿ', 'ÿ',
    'Þ', 'þ', '·', 'µ', '¶', '¾', '—', '¼', '½', 'ª', 'º', '«', '■', '»', '±', '\u{FFFD}',
];

/// The text of these bytes. Every byte is a character, but for 0xFF, which becomes U+FFFD.
#[must_use]
pub fn decode(bytes: &[u8]) -> String {
    bytes
        .iter()
        .map(|byte| UPPER.get(usize::from(*byte).wrapping_sub(0xA0)).map_or(*byte as char, |c| *c))
        .collect()
}

/// The bytes of a text.
///
/// # Errors
/// The first character that Roman-8 does not have.
pub fn encode(text: &str) -> Result<Vec<u8>, char> {
    text.chars().map(|c| encode_char(c).ok_or(c)).collect()
}

/// The byte of a character; `None` if Roman-8 does not have it.
#[must_use]
pub fn encode_char(c: char) -> Option<u8> {
    match c {
        '\0'..'\u{A0}' => Some(c as u8),
        '\u{FFFD}' => None,
        _ => UPPER.iter().position(|upper| *upper == c).map(|place| 0xA0 + place as u8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        let all: Vec<u8> = (0..0xFF).collect();
        assert_eq!(encode(&decode(&all)).unwrap(), all);
        assert_eq!(decode(b"\xCE\xCC\xCF\xDE\xB3\xF3\xFF"), "öäüß°µ\u{FFFD}");
        assert_eq!(encode("Ursprung_venö"), Ok(b"Ursprung_ven\xCE".to_vec()));
        assert_eq!(encode("5 €"), Err('€'));
        assert_eq!(encode_char('\u{FFFD}'), None);
    }
}
