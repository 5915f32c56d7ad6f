//! Test kit (feature `test-util`).

mod clock;
mod store_conformance;

pub use clock::FakeClock;
pub use store_conformance::store_conformance;
