//! Any text is an access list or an error that names a line of it; a list judges any request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_core::hl7hosts::{AccessList, Matching, NoNames, Request};

fuzz_target!(|data: (&[u8], &[u8])| {
    let (text, value) = data;
    let mut request = Request::from_peer([127, 0, 0, 1].into());
    request.connection_id = value;
    request.sending_application = value;
    request.message_type = value;
    for matching in [Matching::Default, Matching::Exact] {
        match AccessList::parse(text, matching) {
            Ok(list) => {
                let _ = list.decide(&request, &NoNames);
            }
            Err(error) => assert!(error.line <= text.split(|byte| *byte == b'\n').count()),
        }
    }
});
