//! How the crate grows from 1 to 100,000 accounts. `README.md` has the command, the plots and the findings.

mod asking;
mod cold_start;
mod counted;
mod endpoint;
mod fleet;
mod lookup;
mod memory;
#[path = "../../all/stores/place.rs"]
#[allow(dead_code, reason = "the bench of the stores measures two more places")]
mod place;
mod plot;
mod refreshes;
mod series;
#[path = "../../../tests/servers/mod.rs"]
#[allow(dead_code, unused_imports, reason = "the tests do more with servers")]
mod servers;
mod subject;
mod table;
mod tokens;

use std::{alloc::System, path::Path, time::Duration};

use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};
use tokio::runtime::Runtime;

use crate::{place::Places, subject::Subject};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// The numbers of accounts.
const SIZES: [usize; 6] = [1, 10, 100, 1_000, 10_000, 100_000];

/// What to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    All,
    /// The memory of accounts, and their lookup.
    Memory,
    /// Everything that depends on the store.
    Stores,
}

/// How far to go.
#[derive(Clone, Debug)]
struct Limits {
    part: Part,
    /// The store's name in the tables. `None`: all stores.
    store: Option<String>,
    /// The largest number of accounts.
    accounts: usize,
    /// The longest time to fill a store, and the longest time of a measurement. A series stops before
    /// a point that would take longer.
    time: Duration,
}

impl Limits {
    fn from_arguments(arguments: &[String]) -> Option<Self> {
        let mut limits = Self {
            part: Part::All,
            store: None,
            accounts: SIZES[SIZES.len() - 1],
            time: Duration::from_secs(60),
        };
        for pair in arguments.chunks(2) {
            match pair {
                [name, value] if name == "--accounts" => limits.accounts = value.parse().ok()?,
                [name, value] if name == "--store" => limits.store = Some(value.clone()),
                [name, value] if name == "--seconds" => {
                    limits.time = Duration::from_secs(value.parse().ok()?);
                }
                [name, value] if name == "--part" => {
                    limits.part = match &**value {
                        "memory" => Part::Memory,
                        "stores" => Part::Stores,
                        _ => return None,
                    };
                }
                _ => return None,
            }
        }
        Some(limits)
    }

    fn sizes(&self) -> impl Iterator<Item = usize> {
        let most = self.accounts;
        SIZES.into_iter().filter(move |&size| size <= most)
    }

    /// Whether `count` accounts are too many, if so many accounts a second are done.
    fn forbid(&self, count: usize, per_second: f64) -> bool {
        count as f64 / per_second > self.time.as_secs_f64()
    }
}

fn main() {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if fleet::work_if_asked(&arguments) {
        return;
    }
    let Some(limits) = Limits::from_arguments(&arguments) else {
        eprintln!(
            "arguments: [--part memory|stores] [--store NAME] [--accounts MOST] [--seconds MOST]"
        );
        std::process::exit(2);
    };
    let plots = Path::new(env!("CARGO_MANIFEST_DIR")).join("plots");
    if limits.part != Part::Stores {
        measure_memory(&limits, &plots);
    }
    if limits.part != Part::Memory {
        measure_stores(&limits, &plots);
    }
}

/// Comes first, while no client of a server and no other task allocates.
fn measure_memory(limits: &Limits, plots: &Path) {
    let memory = memory::measure(limits);
    table::print_series("Memory: bytes an account", &memory);
    let lookup = lookup::measure(limits);
    table::print_series("Lookup: ns", &lookup);
    plot::memory_and_lookup(plots, &memory, &lookup);
}

fn measure_stores(limits: &Limits, plots: &Path) {
    let runtime = Runtime::new().expect("a runtime");
    // sqlx makes pools on a runtime.
    let _inside = runtime.enter();
    let places = runtime.block_on(Places::prepare());
    println!("\n{}", place::DURABILITY);
    let mut subjects = Subject::all(&places);
    if let Some(name) = &limits.store {
        subjects.retain(|subject| subject.name == name);
    }
    let cold_start = runtime.block_on(cold_start::measure(limits, &mut subjects));
    table::print_series("Cold start: accounts a second", &cold_start);
    let refreshes = runtime.block_on(refreshes::measure(limits, &mut subjects));
    refreshes.print();
    let fleets = runtime.block_on(fleet::measure(limits, &mut subjects));
    fleets.print();
    // A plot compares all stores.
    if limits.store.is_none() {
        plot::cold_start(plots, &cold_start);
        plot::refreshes(plots, &refreshes);
        plot::fleets(plots, &fleets);
    }
}
