//! Any text and any message: a filter that prints as it reads and comes to an answer, or a fault within the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_core::hl7::*;

fuzz_target!(|input: (&str, &[u8])| {
    let (text, bytes) = input;
    match text.parse::<Filter>() {
        Ok(filter) => {
            assert_eq!(filter.to_string().parse(), Ok(filter.clone()));
            if let Ok(message) = Message::parse(bytes) {
                let negated: Result<Filter, _> = format!("not ({text}\n)").parse();
                // One deeper may be too deep, one longer too long.
                if let Ok(negated) = negated {
                    assert_ne!(filter.matches(&message), negated.matches(&message));
                }
            }
        }
        Err(error) => {
            let lines = text.matches('\n').count() + 1;
            assert!(error.line <= lines && error.column <= text.len() + 1 && !error.what.is_empty());
        }
    }
});
