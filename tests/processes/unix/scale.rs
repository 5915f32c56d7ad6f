//! How much the tests do: by default a run of seconds, in which each test shows each moment of a kill once.
//! `DROPBOX_SIGN_OAUTH_LONG_TESTS=1` makes a run of minutes. Further variables change each number.
//!
//! DESIGN.md has the command of the longest run, and its results.

use std::env;

/// The number of processes that a test kills on each kind of store.
pub(crate) fn kills() -> usize {
    setting("DROPBOX_SIGN_OAUTH_KILLS", 10, 200)
}

/// The number of processes that a test kills while seven others refresh the same account.
pub(crate) fn kills_in_a_crowd() -> usize {
    setting("DROPBOX_SIGN_OAUTH_KILLS_IN_A_CROWD", 3, 40)
}

/// The number of tokens that expire under eight processes on each kind of store.
pub(crate) fn expiries() -> usize {
    setting("DROPBOX_SIGN_OAUTH_EXPIRIES", 10, 1_000)
}

/// The number of times that a server, or the network to the server, fails.
pub(crate) fn outages() -> usize {
    setting("DROPBOX_SIGN_OAUTH_OUTAGES", 2, 20)
}

fn setting(name: &str, short: usize, long: usize) -> usize {
    let Ok(value) = env::var(name) else {
        return match env::var_os("DROPBOX_SIGN_OAUTH_LONG_TESTS") {
            None => short,
            Some(_) => long,
        };
    };
    let number = value.parse();
    number.unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
}
