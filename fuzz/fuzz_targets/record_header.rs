#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| kandian_fuzz::record_header::run(data));
