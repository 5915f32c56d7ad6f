//! One account's token over time: who refreshes, who waits, what is saved.

mod concurrency;
mod durability;
mod failures;
mod held_up;
mod journal;
mod leases;
mod sign_in;
mod sinks;
mod timing;
mod unsaved;
