//! How much the tests do.
//!
//! A run of minutes by default, and whatever the environment asks for. DESIGN.md has the command of
//! the long run, and what came of it.

/// How many processes are killed by a test that kills, on each store.
pub(crate) fn kills() -> usize {
    setting("DROPBOX_SIGN_OAUTH_KILLS", 200)
}

/// How many processes are killed while seven others want the same.
pub(crate) fn kills_in_a_crowd() -> usize {
    setting("DROPBOX_SIGN_OAUTH_KILLS_IN_A_CROWD", 40)
}

/// How many tokens expire under eight processes, on each store.
pub(crate) fn expiries() -> usize {
    setting("DROPBOX_SIGN_OAUTH_EXPIRIES", 1_000)
}

/// How often a server or the network to it fails, on each store.
pub(crate) fn outages() -> usize {
    setting("DROPBOX_SIGN_OAUTH_OUTAGES", 20)
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| {
        let number = value.parse();
        number.unwrap_or_else(|_| panic!("{name} is not a number: {value}"))
    })
}
