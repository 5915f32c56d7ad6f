//! Real processes that share a store: what happens when they compete, are killed or are stopped.
//!
//! This one program is both sides. As a test program it plays the service, starts the stores'
//! servers and directs workers; a worker is the same program with the argument `worker::ARGUMENT`.
//!
//! Each test runs once for each store that it is about: `cargo test --test processes redis`. How
//! often processes are killed, and how many tokens expire, is for `scale` to say.
//!
//! Processes are stopped by signals, which is why all this is for Unix.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    unix::main()
}

#[cfg(not(unix))]
fn main() {}
