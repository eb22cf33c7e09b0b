//! Numbers and their check digits.

use super::*;
use protogen_testkit::loinc::check_digit;

#[test]
fn check_digits_are_those_of_the_rule() {
    // Computed another way, and those of the manual's tables.
    for number in (1..100_000).chain([12_345_678, 99_999_999]) {
        let parsed = Number::parse(&number.to_string()).unwrap();
        assert_eq!(u32::from(parsed.computed_check_digit()), check_digit(number), "{number}");
    }
    for text in [
        "5914-7", "9984-6", "3138-5", "3142-7", "3140-1", "2703-7", "2704-5", "2705-2", "9948-1", "9947-3",
        "2714-4", "2715-1", "6298-4", "2947-0", "1994-3", "2069-3", "2339-0",
    ] {
        let number = Number::parse(text).unwrap();
        assert_eq!((number.check_digit, number.to_string().as_str()), (number.computed_check_digit(), text));
        assert_eq!(Number::parse(text.split('-').next().unwrap()), Some(number));
    }
}

#[test]
fn keys_sort_as_the_numbers_do() {
    let sorted = ["9-1", "10-9", "99-2", "100-8", "99999999-1", "LOINC+:1-8", "LOINC+:9984-6"];
    let keys: Vec<Vec<u8>> = sorted.iter().map(|text| Loinc.key(text).unwrap()).collect();
    assert!(keys.is_sorted());
    for text in [
        "",
        "-",
        "1-",
        "-1",
        "0-0",
        "01-8",
        "1-88",
        "1-x",
        "+1-8",
        "1 -8",
        "123456789",
        "LOINC+",
        "LOINC+:",
        "x",
    ] {
        assert_eq!(Loinc.key(text), None, "{text}");
    }
}
