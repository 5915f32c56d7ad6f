//! Test kit (feature `test-util`).
//!
//! [`FakeDropboxSign`] stands in for the service, [`FakeClock`] for time, and [`store_conformance`]
//! is the suite that every [`TokenStore`](crate::store::TokenStore) has to pass.

mod clock;
mod fake;
mod store_conformance;

pub use clock::FakeClock;
pub use fake::{FakeDropboxSign, FakeDropboxSignBuilder, Fault, Hold, RecordedRequest, Rotation};
pub use store_conformance::store_conformance;
