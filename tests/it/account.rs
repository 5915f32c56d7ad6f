//! One account's token over time: when flights refresh the token, who waits, what a store keeps.

mod concurrency;
mod durability;
mod error_texts;
mod exits;
mod failures;
mod flush;
mod foreground;
mod histories;
mod intent;
mod jitter;
mod keep_warm;
mod leases;
mod lineage;
mod logs;
#[cfg(unix)]
mod outages;
mod overlaps;
mod paused;
mod queue;
mod refusals;
mod rejected;
mod rollback;
mod runtimes;
mod seeds;
mod sign_in;
mod signed_in;
mod signing_in;
mod sinks;
mod spent;
mod status;
mod timing;
mod unsaved;
mod valid_for;
