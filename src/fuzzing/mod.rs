//! The fuzzers' entry points. Compiled for tests and under `--cfg dropbox_sign_oauth_fuzzing` only.
//!
//! Each function takes the bytes that a fuzzer makes up, and panics if a property does not hold. The
//! properties are beside the code that they check, in `property.rs` files. libFuzzer runs the
//! functions from `fuzz/`; `cargo test` runs them on the seeds, on mutations of the seeds and on
//! noise. The seeds are not in `fuzz/`, since the published crate, tests included, lacks that folder.

#[cfg(test)]
mod short_run;

#[cfg(feature = "encryption")]
use crate::store::{check_key_text, check_sealing};
use crate::{
    api::check_response, authorization::check_callback, middleware::check_origins,
    secret::check_scrubbing, store::check_file,
};

/// Reads a response of the token endpoint: a status, header lines, an empty line, the body.
pub fn token_response(data: &[u8]) {
    check_response(data);
}

/// Reads the callback of a sign-in.
pub fn callback(data: &[u8]) {
    check_callback(data);
}

/// Reads a token file.
pub fn file_format(data: &[u8]) {
    check_file(data);
}

/// Matches the URL of a request with origins, a line each.
pub fn origin(data: &[u8]) {
    check_origins(data);
}

/// Takes secrets out of a text: the text, then the secrets, a line each.
pub fn scrub(data: &[u8]) {
    check_scrubbing(data);
}

/// Reads the text of an encryption key.
#[cfg(feature = "encryption")]
pub fn key_text(data: &[u8]) {
    check_key_text(data);
}

/// Opens a stored token, and seals a plaintext.
#[cfg(feature = "encryption")]
pub fn sealed_record(data: &[u8]) {
    check_sealing(data);
}
