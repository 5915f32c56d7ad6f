//! The tests, and what they direct.

mod crashes;
mod expiries;
mod fleet;
mod full_disk;
mod leases;
mod place;
mod process;
mod scale;
#[path = "../../servers/mod.rs"]
#[allow(dead_code, unused_imports, reason = "other tests use the rest")]
mod servers;
mod service;
mod steps;
mod wire;
mod worker;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

use self::place::Kind;

pub(crate) fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(worker::ARGUMENT) {
        worker::main();
        return ExitCode::SUCCESS;
    }
    let mut arguments = Arguments::from_args();
    // Each test keeps many processes busy already.
    arguments.test_threads.get_or_insert(1);
    let tests = [
        crashes::tests(),
        expiries::tests(),
        full_disk::tests(),
        leases::tests(),
    ];
    libtest_mimic::run(&arguments, tests.into_iter().flatten().collect()).exit_code()
}

/// A test for each of these stores, named after `test` and the store.
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

/// `on_each!(KINDS, test)`: the function's name is the test's.
macro_rules! on_each {
    ($kinds:expr, $test:ident) => {
        super::trials(&$kinds, stringify!($test), $test)
    };
}
use on_each;
