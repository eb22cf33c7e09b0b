//! Any text, any delimiters: what is encoded decodes to itself, and holds nothing that would divide it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_core::hl7::*;

fuzz_target!(|data: &[u8]| {
    let Some((head, text)) = data.split_at_checked(6) else { return };
    let header = [b"MSH", head].concat();
    let Ok(mut delimiters) = Delimiters::from_header(&header) else { return };
    delimiters.width = [Width::Single, Width::LeadByte, Width::Shifted][text.len() % 3];
    decode(text, &delimiters);
    display(text, &delimiters);
    let Ok(encoded) = encode(text, &delimiters) else { return };
    assert_eq!(decode(&encoded, &delimiters), text);
    if delimiters.width == Width::Single {
        assert!(!encoded.iter().any(|&b| b == delimiters.field || b == CR || Some(b) == delimiters.component));
    }
});
