//! The servers that other tests start, and the network to them, keep their own promises.

use std::{
    env, fs,
    net::{Ipv4Addr, SocketAddr, TcpStream as BlockingStream},
    os::unix::process::CommandExt,
    path::Path,
    process::{self, Command},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::servers::{Postgres, Proxy, Redis, RedisCluster};

/// The limit for a test that would otherwise hang.
const HANGS: Duration = Duration::from_secs(120);

#[tokio::test]
async fn redis_starts_keeps_its_data_over_a_crash_and_ends_with_its_handle() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    let address = redis.address();
    assert_eq!(redis.cli(&["SET", "key", "value"]), "OK");
    redis.stop();
    assert!(!accepts(address));
    redis.resume();
    assert_eq!(redis.address(), address);
    assert_eq!(redis.cli(&["GET", "key"]), "value");
    drop(redis);
    assert!(!accepts(address));
}

/// The expected response to some commands is empty.
#[tokio::test]
async fn a_redis_that_is_down_fails_a_command_of_a_test() {
    let Some(mut redis) = Redis::start() else {
        return;
    };
    assert_eq!(redis.cli(&["ACL", "LOG"]), "");
    assert!(redis.cli(&["NO-SUCH-COMMAND"]).starts_with("ERR"));
    redis.stop();
    let command = thread::spawn(move || redis.cli(&["ACL", "LOG"]));
    assert!(command.join().is_err());
}

#[tokio::test]
async fn a_redis_cluster_finds_each_key_and_ends_with_its_handle() {
    let Some(cluster) = RedisCluster::start() else {
        return;
    };
    let primary = cluster.primary("key");
    assert_eq!(cluster[primary].cli(&["SET", "key", "value"]), "OK");
    let replica = cluster.replica(primary);
    assert!(cluster[replica].cli(&["GET", "key"]).starts_with("MOVED"));
    let addresses: Vec<_> = cluster.nodes().iter().map(Redis::address).collect();
    drop(cluster);
    assert!(!addresses.into_iter().any(accepts));
}

#[tokio::test]
async fn postgres_starts_keeps_its_data_over_a_stop_and_ends_with_its_handle() {
    let Some(mut postgres) = Postgres::start() else {
        return;
    };
    let address = postgres.address();
    postgres.psql("create table t as select 7 as n");
    postgres.stop();
    assert!(!accepts(address));
    postgres.resume();
    assert_eq!(postgres.address(), address);
    assert_eq!(postgres.psql("select n from t"), "7");
    drop(postgres);
    assert!(!accepts(address));
}

#[tokio::test]
async fn a_server_ends_when_its_test_panics() {
    let Some(redis) = Redis::start() else {
        return;
    };
    let address = redis.address();
    let panicking = thread::spawn(move || {
        let _redis = redis;
        panic!("on purpose");
    });
    assert!(panicking.join().is_err());
    assert!(!accepts(address));
}

/// The program runs this test once more, in a process that exits without a drop.
#[test]
fn a_server_ends_with_the_program_and_leaves_no_files() {
    ends_with_the_program(
        "server_harness::a_server_ends_with_the_program_and_leaves_no_files",
        || process::exit(0),
    );
}

/// Ctrl-C and `timeout` send their signal to the whole process group.
#[test]
fn a_server_ends_with_the_program_at_a_signal_to_the_group() {
    ends_with_the_program(
        "server_harness::a_server_ends_with_the_program_at_a_signal_to_the_group",
        || {
            let group = format!("-{}", process::id());
            let kill = Command::new("kill")
                .args(["-s", "TERM", "--", &group])
                .status();
            panic!("the program goes on: {kill:?}");
        },
    );
}

/// Runs the test `name` in a process and a group of its own, where the test starts servers and ends the process.
fn ends_with_the_program(name: &str, end: impl Fn()) {
    const INNER: &str = "DROPBOX_SIGN_OAUTH_TEST_THAT_EXITS";

    if let Some(report) = env::var_os(INNER) {
        let (redis, postgres) = (Redis::shared(), Postgres::lent());
        let redis = redis.iter().map(|server| (server.address(), server.data()));
        let postgres = postgres
            .iter()
            .map(|server| (server.address(), server.data()));
        let lines = redis.chain(postgres);
        let lines = lines.map(|(address, data)| format!("{address} {}\n", data.display()));
        fs::write(report, lines.collect::<String>()).expect("written");
        end();
    }
    let report = tempfile::NamedTempFile::new().expect("a file");
    let mut inner = Command::new(env::current_exe().expect("a program"));
    inner.args(["--exact", name]).env(INNER, report.path());
    let inner = inner.process_group(0).output().expect("started");
    // SIGTERM leaves no exit code.
    assert!(matches!(inner.status.code(), None | Some(0)), "{inner:?}");

    for server in fs::read_to_string(&report).expect("written").lines() {
        let (address, data) = server.split_once(' ').expect("two words");
        let address = address.parse().expect("an address");
        let since = Instant::now();
        while accepts(address) || Path::new(data).exists() {
            assert!(since.elapsed() < HANGS, "the server goes on: {server}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

#[tokio::test]
async fn a_server_is_lent_to_one_test_after_another_and_is_empty_each_time() {
    let Some(first) = Postgres::lent() else {
        return;
    };
    let new = Postgres::start().expect("installed");
    let other = Postgres::lent().expect("installed");
    assert_ne!(first.address(), other.address());
    first.psql(
        "create role stranger login; create schema auth authorization stranger;
         create table auth.t (); create table t (); grant select on t to stranger;
         grant create on database postgres to stranger;
         alter database postgres owner to stranger; create role left superuser",
    );
    let look = |server: &Postgres| {
        server.psql(
            "select 'role', rolname, '' from pg_roles
             union all select nspname, nspowner::regrole::text, nspacl::text from pg_namespace
                 -- Temporary tables leave an empty schema behind.
                 where nspname !~ '^pg_(toast_)?temp_'
             union all select datname, datdba::regrole::text,
                 coalesce(datacl, acldefault('d', datdba))::text from pg_database
             union all select relname, relowner::regrole::text, relacl::text from pg_class
                 where relkind in ('r', 'v')
             order by 1, 2",
        )
    };
    drop(first);
    // The same server, unless a test that runs meanwhile was faster.
    let again = Postgres::lent().expect("installed");
    let (again, new) = (look(&again), look(&new));
    let left: Vec<_> = again.lines().filter(|&line| !new.contains(line)).collect();
    assert!(again == new, "left: {left:?}");
}

#[tokio::test]
async fn the_proxy_forwards_cuts_silences_and_mends() {
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .expect("a free port");
    let proxy = Proxy::to(server.local_addr().expect("bound")).await;
    let echo = tokio::spawn(async move {
        while let Ok((mut connection, _)) = server.accept().await {
            tokio::spawn(async move {
                let (mut from, mut to) = connection.split();
                let _ = tokio::io::copy(&mut from, &mut to).await;
            });
        }
    });
    let mut byte = [0];

    let mut client = TcpStream::connect(proxy.address()).await.expect("accepted");
    client.write_all(b"a").await.expect("sent");
    assert_eq!(client.read(&mut byte).await.expect("echoed"), 1);

    proxy.silence();
    let _ = client.write_all(b"b").await;
    let mut reading = Box::pin(client.read(&mut byte));
    assert!(futures_util::poll!(&mut reading).is_pending());

    proxy.cut();
    assert!(!matches!(reading.await, Ok(1)), "it was cut");
    let mut refused = TcpStream::connect(proxy.address()).await.expect("accepted");
    assert!(!matches!(refused.read(&mut byte).await, Ok(1)));

    proxy.mend();
    let mut client = TcpStream::connect(proxy.address()).await.expect("accepted");
    client.write_all(b"c").await.expect("sent");
    assert_eq!(client.read(&mut byte).await.expect("echoed"), 1);
    echo.abort();
}

fn accepts(address: SocketAddr) -> bool {
    BlockingStream::connect(address).is_ok()
}
