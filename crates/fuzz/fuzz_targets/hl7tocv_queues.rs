//! Any text as etc/queues: it is read, or its fault has a line of the text. No two queues share a directory, and no name
//! leads out of the site's areas.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_hl7tocv::queues::parse;
use protogen_sys::site::Site;

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let site = Site::from_variables(|name| (name == "PG_HOME").then(|| "/site".into()));
    match parse(text, &site) {
        Ok(queues) => {
            let mut places = Vec::new();
            for queue in &queues.queues {
                assert!(queue.name.split('/').all(|part| !part.is_empty() && !part.starts_with('.')), "{}", queue.name);
                for place in [&queue.spool, &queue.log] {
                    assert!(place.is_absolute() && !places.contains(place), "{}", place.display());
                    places.push(place.clone());
                }
                assert!(!queue.manner.pause.is_zero() && !queue.manner.answer.is_zero());
            }
        }
        Err(fault) => assert!(fault.line >= 1 && fault.line <= text.lines().count() + 1, "{fault}"),
    }
});
