#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| protogen_core::llp::fuzz::x328(data));
