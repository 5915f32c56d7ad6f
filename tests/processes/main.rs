//! Real processes that share a store: the processes compete, and the tests kill and stop them.
//!
//! This program plays both sides. As a test program it runs the service, starts the stores' servers
//! and directs workers. A worker is the same program with the argument `worker::ARGUMENT`.
//!
//! Each test runs once for each of its kinds of store: `cargo test --test processes redis`. `scale`
//! sets how many processes are killed and how many tokens expire.
//!
//! Signals stop the processes, so the tests need Unix.

#[cfg(unix)]
mod unix;

#[cfg(unix)]
fn main() -> std::process::ExitCode {
    unix::main()
}

#[cfg(not(unix))]
fn main() {}
