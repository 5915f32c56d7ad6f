//! Measures this crate beside its peers, in one run. `README.md` has the figures, and explains them.
//!
//! Without an argument, all groups of rows run. With arguments, the groups run whose names contain one of
//! the arguments. An argument that is in no group's name chooses peers.

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
    let (groups, names): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|argument| GROUPS.iter().any(|(group, _)| group.contains(argument)));
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let mut peers = peers::all();
    let this_crate = peers[0].name();
    peers.retain(|peer| peer.name() == this_crate || chosen(peer.name(), &names));
    for (group, run) in GROUPS {
        if chosen(group, &groups) {
            run(&runtime, &peers);
        }
    }
}

fn chosen(name: &str, parts: &[String]) -> bool {
    parts.is_empty() || parts.iter().any(|part| name.contains(part))
}
