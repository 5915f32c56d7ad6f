//! The servers that other tests start, and the network to them, keep their own promises.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpStream as BlockingStream},
    thread,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::servers::{Postgres, Proxy, Redis, RedisCluster};

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
