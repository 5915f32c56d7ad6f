#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| dropbox_sign_oauth::fuzzing::callback(data));
