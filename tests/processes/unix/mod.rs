//! The tests, and the service, stores and workers that the tests direct.

mod crashes;
mod expiries;
mod fleet;
mod full_disk;
mod leases;
mod many_accounts;
#[cfg(target_os = "linux")]
mod memory;
mod owners;
mod process;
mod scale;
#[path = "../../servers/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other test programs use the rest")]
mod servers;
mod service;
mod steps;
mod store;
#[path = "../../stores/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other test programs use the rest")]
mod stores;
mod visits;
mod wire;
mod worker;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use self::stores::Kind;

const ALL: [Kind; 5] = [
    Kind::Directory,
    Kind::SingleFile,
    Kind::EncryptedDirectory,
    Kind::Redis,
    Kind::Postgres,
];

const FILES: [Kind; 3] = [Kind::Directory, Kind::SingleFile, Kind::EncryptedDirectory];

/// Leaves out the kinds that differ from one of these in the format of the record only.
const ENGINES: [Kind; 3] = [Kind::Directory, Kind::Redis, Kind::Postgres];

/// The kinds with a network, and with leases that expire.
const SERVERS: [Kind; 2] = [Kind::Redis, Kind::Postgres];

pub(crate) fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some(worker::ARGUMENT) => {
            worker::main();
            return ExitCode::SUCCESS;
        }
        Some(visits::ARGUMENT) => {
            visits::main();
            return ExitCode::SUCCESS;
        }
        Some(many_accounts::ARGUMENT) => {
            many_accounts::main();
            return ExitCode::SUCCESS;
        }
        #[cfg(target_os = "linux")]
        Some(memory::ARGUMENT) => {
            memory::main();
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let mut arguments = Arguments::from_args();
    // Each test keeps many processes busy.
    arguments.test_threads.get_or_insert(1);
    let tests = [
        crashes::tests(),
        expiries::tests(),
        full_disk::tests(),
        leases::tests(),
        many_accounts::tests(),
        #[cfg(target_os = "linux")]
        memory::tests(),
        owners::tests(),
        visits::tests(),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}

/// A trial for each of these kinds, named after the test and the kind.
fn trials<F>(kinds: &[Kind], name: &str, test: fn(Kind) -> F) -> Vec<Trial>
where
    F: Future<Output = ()> + 'static,
{
    let on = |kind: Kind| {
        Trial::test(format!("{name}_on_{kind}"), move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            runtime.block_on(test(kind));
            Ok(())
        })
    };
    kinds.iter().copied().map(on).collect()
}

/// `on_each!(KINDS, test)` gives the trials of a test function. Its name is the test's name.
macro_rules! on_each {
    ($kinds:expr, $test:ident) => {
        super::trials(&$kinds, stringify!($test), $test)
    };
}
use on_each;
