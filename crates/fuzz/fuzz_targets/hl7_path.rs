//! Any text: a path that prints as it reads, or an error whose place is in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_core::hl7::*;

const MESSAGE: &[u8] = include_bytes!("../../../tests/data/hl7/oru.hl7");

fuzz_target!(|text: &str| {
    match text.parse::<Path>() {
        Ok(path) => {
            assert_eq!(path.to_string().parse(), Ok(path));
            let message = Message::parse(MESSAGE).expect("the sample");
            let first = message.get(&path).get();
            let all: Vec<_> = message.get_all(&path).map(|value| value.get()).collect();
            assert!(first.is_none() || all.contains(&first));
        }
        Err(error) => assert!(error.at <= text.len() && !error.to_string().is_empty()),
    }
});
