//! Any bytes as LOINC.tab or Loinc.csv: rows that are written back are the same rows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protogen_codes::loinc::Loinc;

fuzz_target!(|input: (u8, &[u8])| {
    // A header, or enough columns, which no mutation finds by itself.
    let (kind, bytes) = input;
    let mut file = match kind % 3 {
        0 => Vec::new(),
        1 => b"LOINC_NUM,COMPONENT,RELATEDNAMES2,FOO\n".to_vec(),
        _ => b"1-8".to_vec(),
    };
    file.extend_from_slice(bytes);
    if kind % 3 == 2 {
        let columns = file.iter().filter(|byte| **byte == b'\t').count();
        file.extend(std::iter::repeat_n(b'\t', 24usize.saturating_sub(columns)));
    }
    protogen_codes::fuzz::read_and_write(&Loinc, &file);
});
