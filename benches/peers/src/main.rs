//! Measures this crate beside its peers, in one run. `README.md` has the figures, and explains them.
//!
//! Without an argument, all groups of rows run. With arguments, the groups run whose names contain one of
//! the arguments.

mod chain;
mod endpoint;
#[path = "../../all/harness.rs"]
#[allow(
    dead_code,
    reason = "the benches of this crate alone print other tables"
)]
mod harness;
mod peer;
mod peers;
mod rows;
mod table;

use tokio::runtime::{Builder, Runtime};

use crate::peer::Peer;

type Group = (&'static str, fn(&Runtime, &[Box<dyn Peer>]));

const GROUPS: &[Group] = &[
    ("token", rows::token::on_threads),
    ("chain", rows::chain::net),
    ("expiry", rows::expiry::at_once),
    ("failing", rows::failing::fifty_callers),
    ("dropped", rows::dropped::in_mid_refresh),
    ("accounts", rows::accounts::many),
];

fn main() {
    // Some peers bring rustls without a provider, and then every client of reqwest wants one.
    rustls::crypto::ring::default_provider()
        .install_default()
        .expect("the first provider");
    let names: Vec<String> = std::env::args().skip(1).collect();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let peers = peers::all();
    for (name, run) in GROUPS {
        if names.is_empty() || names.iter().any(|part| name.contains(part.as_str())) {
            run(&runtime, &peers);
        }
    }
}
