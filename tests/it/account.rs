//! One account's token over time: when flights refresh the token, who waits, what a store keeps.

mod concurrency;
mod durability;
mod exits;
mod failures;
mod intent;
mod jitter;
mod leases;
#[cfg(unix)]
mod outages;
mod overlaps;
mod paused;
mod runtimes;
mod sign_in;
mod sinks;
mod spent;
mod timing;
mod unsaved;
