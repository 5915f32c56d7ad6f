//! How much the tests do: by default a run of minutes. Environment variables change the numbers.
//!
//! DESIGN.md has the command of the long run, and its results.

/// The number of processes that a test kills on each kind of store.
pub(crate) fn kills() -> usize {
    setting("DROPBOX_SIGN_OAUTH_KILLS", 200)
}

/// The number of processes that a test kills while seven others refresh the same account.
pub(crate) fn kills_in_a_crowd() -> usize {
    setting("DROPBOX_SIGN_OAUTH_KILLS_IN_A_CROWD", 40)
}

/// The number of tokens that expire under eight processes on each kind of store.
pub(crate) fn expiries() -> usize {
    setting("DROPBOX_SIGN_OAUTH_EXPIRIES", 1_000)
}

/// The number of times that a server, or the network to the server, fails.
pub(crate) fn outages() -> usize {
    setting("DROPBOX_SIGN_OAUTH_OUTAGES", 20)
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| {
        let number = value.parse();
        number.unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
    })
}
