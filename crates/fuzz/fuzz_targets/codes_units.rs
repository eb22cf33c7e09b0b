//! Any bytes as units.tab: rows that are written back are the same rows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_codes::units::Units;

fuzz_target!(|bytes: &[u8]| {
    protogen_codes::fuzz::read_and_write(&Units, bytes);
    // As an expression with a code and a name.
    let row = [b"code\t", bytes, b"\tname"].concat();
    protogen_codes::fuzz::read_and_write(&Units, &row);
});
