//! Test kit (feature `test-util`).

mod clock;

pub use clock::FakeClock;
