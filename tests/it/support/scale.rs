//! How much the tests do.

use std::env;

/// The number for a run of seconds, or the number for the long run.
pub(crate) fn scaled(short: usize, long: usize) -> usize {
    match env::var_os("DROPBOX_SIGN_OAUTH_LONG_TESTS") {
        None => short,
        Some(_) => long,
    }
}
