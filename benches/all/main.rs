//! Measures the cost of a token. `benches/README.md` has the figures, and explains them.
//!
//! `cargo bench` runs all benches. `cargo bench -- NAME` runs the benches whose names contain NAME.
//! Without cargo's `--bench`, as under `cargo test --benches`, each bench runs just long enough to
//! show that the bench works.

mod account;
mod harness;
mod instructions;
mod lookups;
mod request;
#[cfg(unix)]
#[path = "../../tests/servers/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    reason = "the tests stop servers and cut networks; the benches do not"
)]
mod servers;
#[cfg(unix)]
mod stores;
mod token_path;
mod waiters;

use crate::harness::Effort;

type Bench = (&'static str, fn(Effort));

const BENCHES: &[Bench] = &[
    ("accounts/by_name", lookups::by_name),
    ("accounts/status_page", lookups::status_page),
    ("instructions", instructions::beyond_a_constant),
    ("request/in_memory", request::in_memory),
    ("request/loopback", request::loopback),
    #[cfg(unix)]
    ("stores/messages", stores::messages::with_and_without),
    #[cfg(unix)]
    ("stores/outage", stores::outage::until_an_error),
    #[cfg(unix)]
    ("stores/side_by_side", stores::side_by_side),
    ("token_path/many_accounts", token_path::many_accounts),
    ("token_path/one_thread", token_path::one_thread),
    ("token_path/threads", token_path::threads),
    ("waiters", waiters::ten_thousand),
];

fn main() {
    if instructions::run_if_asked() {
        return;
    }
    #[cfg(unix)]
    if stores::process::serve_if_asked() {
        return;
    }
    let (options, names): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let effort = match options.iter().any(|option| option == "--bench") {
        true => Effort::Full,
        false => Effort::Quick,
    };
    for (name, bench) in BENCHES {
        if names.is_empty() || names.iter().any(|part| name.contains(part)) {
            harness::heading(name);
            bench(effort);
        }
    }
}
