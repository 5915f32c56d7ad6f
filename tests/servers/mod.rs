//! Servers that the tests start. Each server listens on a free loopback port, keeps its data in a
//! temporary folder, and ends with the test, even if the test fails. A server that serves several tests ends
//! with the program.
//!
//! If a server is not installed, the tests that need the server say so and pass. With
//! `DROPBOX_SIGN_OAUTH_REQUIRE_SERVERS=1` in the environment, these tests fail. So do the tests that
//! need another user, for want of root.

#[cfg(any(feature = "redis-rustls", feature = "rustls"))]
mod certificates;
mod ending;
mod lent;
#[cfg(feature = "rustls")]
mod openssl;
mod pgbouncer;
mod postgres;
mod proxy;
mod redis;
mod redis_cluster;
#[cfg(feature = "redis-rustls")]
mod redis_tls;
mod shared;
mod unprivileged;

#[cfg(any(feature = "redis-rustls", feature = "rustls"))]
pub(crate) use self::certificates::Certificates;
#[cfg(feature = "rustls")]
pub(crate) use self::openssl::TlsServer;
#[cfg(feature = "redis-rustls")]
pub(crate) use self::redis_tls::RedisTls;
pub(crate) use self::{
    lent::Lent,
    pgbouncer::PgBouncer,
    postgres::Postgres,
    proxy::Proxy,
    redis::{Redis, documented_rules},
    redis_cluster::RedisCluster,
    unprivileged::another_user,
};

use std::{
    env,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    ops::Range,
    path::{Path, PathBuf},
    process::{self, Child, Command},
    sync::atomic::{AtomicU16, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The longest time that a server may take to start or to end.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running server. Dropping the value kills the server.
#[derive(Debug)]
struct Process(Child);

impl Process {
    fn is_running(&mut self) -> bool {
        matches!(self.0.try_wait(), Ok(None))
    }

    /// Returns whether the signal was sent.
    fn signal(&self, signal: &str) -> bool {
        let pid = self.0.id().to_string();
        let sent = Command::new("kill").args(["-s", signal, &pid]).status();
        sent.is_ok_and(|status| status.success())
    }

    /// Sends a signal that ends the process, and waits until the process has ended.
    fn end(mut self, signal: &str) {
        if self.signal(signal) {
            let since = Instant::now();
            while self.is_running() && since.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        ending::dismiss_the_watcher(&mut self.0);
        let _ = self.0.wait();
    }
}

/// Starts `server` on a free port and waits until the server is `ready`. Another process may take
/// the port; the server then exits, and the next port is tried.
fn start(
    mut server: impl FnMut(u16) -> Command,
    ready: impl Fn(SocketAddr) -> bool,
) -> (Process, u16) {
    for _ in 0..5 {
        let port = free_port();
        if let Some(process) = start_on(port, server(port), &ready) {
            return (process, port);
        }
    }
    panic!("{:?} ends as soon as it is started", server(0));
}

/// Starts the server on `port`. `None`: the server exited by itself.
fn start_on(port: u16, mut server: Command, ready: impl Fn(SocketAddr) -> bool) -> Option<Process> {
    let child = server
        .spawn()
        .unwrap_or_else(|error| panic!("{server:?}: {error}"));
    let mut process = Process(child);
    let since = Instant::now();
    while process.is_running() {
        // Another process may respond at the port while our server is about to find the port taken.
        if ready(loopback(port)) && process.is_running() {
            return Some(process);
        }
        assert!(since.elapsed() < PATIENCE, "{server:?} does not come up");
        thread::sleep(Duration::from_millis(5));
    }
    None
}

/// A free port that this process has not used, outside the system's range for outgoing connections.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    const PORTS: Range<u16> = 10_240..32_768;

    // Test programs run at the same time, so each program starts at a port of its own.
    let first = process::id().wrapping_mul(617) as u16;
    loop {
        let next = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + next % (PORTS.end - PORTS.start);
        if TcpListener::bind(loopback(port)).is_ok() {
            return port;
        }
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    let since = Instant::now();
    while !condition() {
        assert!(since.elapsed() < PATIENCE, "the cluster does not come up");
        thread::sleep(Duration::from_millis(20));
    }
}

fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

fn accepts(address: SocketAddr) -> bool {
    TcpStream::connect(address).is_ok()
}

/// The program's path: on the `PATH`, or in one of `folders`. `None`: the test is skipped.
pub(crate) fn find(program: &str, folders: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    find_one_of(&[program], folders)
}

/// The path of the first program that is installed.
fn find_one_of(programs: &[&str], folders: impl IntoIterator<Item = PathBuf>) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = env::split_paths(&path).chain(folders).collect();
    let mut candidates = programs
        .iter()
        .flat_map(|program| folders.iter().map(move |folder| folder.join(program)));
    let found = candidates.find(|path| path.is_file());
    if found.is_none() {
        skip(&format!("{} is not installed", programs[0]));
    }
    found
}

/// Prints to stderr directly, since the test harness would capture the text.
fn skip(why: &str) {
    const REQUIRED: &str = "DROPBOX_SIGN_OAUTH_REQUIRE_SERVERS";

    assert!(
        env::var_os(REQUIRED).is_none_or(|value| value != "1"),
        "{why}, and {REQUIRED}=1 permits no skipped test"
    );
    let test = thread::current();
    let test = test.name().unwrap_or("a test").to_owned();
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {why}");
}

/// The `bin` folders below `parent`, newest version first. Debian keeps them off the `PATH`.
fn versioned_folders(parent: &str) -> Vec<PathBuf> {
    let entries = Path::new(parent).read_dir().into_iter().flatten().flatten();
    let mut folders: Vec<_> = entries.map(|entry| entry.path().join("bin")).collect();
    folders.sort();
    folders.reverse();
    folders
}
