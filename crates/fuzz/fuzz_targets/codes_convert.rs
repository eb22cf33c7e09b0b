//! Any numbers and units: a conversion is refused or gives a value, and never from an amount to a plain number.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_codes::units::{Constant, Unit, convert, parse_decimal, round_and_print};

fuzz_target!(|text: &str| {
    let mut words = text.split(' ');
    let mut next = || words.next().unwrap_or("1");
    let (value, from, to, constant, by) = (next(), next(), next(), next(), next());
    let unit = |code: &str| Unit::parse(code);
    let (Some(value), Ok(from), Ok(to)) = (parse_decimal(value), unit(from), unit(to)) else { return };
    if let Ok(found) = convert(value, &from, &to, None) {
        let counts = |unit: &Unit| ["mol", "eq", "osm"].map(|name| unit.dimension().contains(name));
        assert_eq!(counts(&from), counts(&to), "{text}");
        for precision in [0, 3, 9] {
            if let Some(printed) = round_and_print(found, value.abs(), precision) {
                assert!(parse_decimal(&printed).is_some(), "{printed}");
            }
        }
    }
    if let (Some(constant), Ok(by)) = (parse_decimal(constant), unit(by)) {
        let _ = convert(value, &from, &to, Some(Constant { value: constant, unit: &by }));
    }
});
