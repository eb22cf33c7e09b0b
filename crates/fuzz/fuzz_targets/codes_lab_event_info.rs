//! Any bytes as LabEventInfo.tab: rows that are written back are the same rows, in each character set.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_codes::lab_event_info::{Charset, LabEventInfos};

fuzz_target!(|bytes: &[u8]| {
    // Enough columns, which no mutation finds by itself.
    let mut file = bytes.to_vec();
    let columns = file.iter().filter(|byte| **byte == b':').count();
    file.extend(std::iter::repeat_n(b':', 14usize.saturating_sub(columns)));
    for charset in [Charset::HpRoman8, Charset::Latin1] {
        protogen_codes::fuzz::read_and_write(&LabEventInfos { charset }, &file);
    }
});
