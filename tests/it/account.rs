//! One account's token over time: who refreshes, who waits, what is saved.

mod concurrency;
mod durability;
mod failures;
mod held_up;
mod intent;
mod jitter;
mod leases;
#[cfg(unix)]
mod outages;
mod sign_in;
mod sinks;
mod timing;
mod unsaved;
