//! What has to hold for any input whatsoever, for fuzzers to break.
//!
//! Each function takes bytes as a fuzzer makes them, and panics where something does not hold. What
//! that is stands beside the code in question, in a `property.rs`. libFuzzer runs the functions from
//! `fuzz/`; `cargo test` runs them on the seeds, on mutations of these and on noise.
//! The seeds are not in `fuzz/`, because the published crate, tests included, goes without that.

#[cfg(test)]
mod short_run;

use crate::{api::check_response, middleware::check_origins, store::check_file};

/// A response of the token endpoint is read rightly: a status, header lines, an empty line, the body.
pub fn token_response(data: &[u8]) {
    check_response(data);
}

/// A token file is read whole or refused.
pub fn file_format(data: &[u8]) {
    check_file(data);
}

/// A token goes to allowed origins only: the URL of a request, then the origins, a line each.
pub fn origin(data: &[u8]) {
    check_origins(data);
}
