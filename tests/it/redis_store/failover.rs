//! A primary that becomes a replica, and a URL that follows the primary.

use dropbox_sign_oauth::{
    Account, ErrorKind, TokenManager,
    store::{Record, RedisStore, StoreErrorKind, TokenStore},
    testing::FakeClock,
};
use tokio::time::timeout;

use super::{AT_ONCE, HANGS, RECORD, acme, save, store, tokens};
use crate::{
    servers::{Proxy, Redis},
    support::{Endpoint, HOUR},
};

#[tokio::test]
async fn s89_a_refresh_follows_the_url_from_a_demoted_redis_primary_to_the_new_one() {
    let Some(old) = start() else { return };
    let proxy = Proxy::to(old.address()).await;
    let store = store(&format!("redis://{}/", proxy.address()));
    save(&store, None, "old").await;
    let Some(new) = replica(&old).await else {
        return;
    };
    let endpoint = Endpoint::open();
    let account = expired_account(&endpoint, store.clone());

    fail_over(&old, &new);
    proxy.lead_to(new.address());
    account.token().await.expect("a request succeeds");
    assert_eq!(endpoint.posts(), 1);
    assert_eq!(new.cli(&["HGET", RECORD, "access_token"]), "access-1");
}

#[tokio::test]
async fn s89_every_operation_follows_the_url_to_the_new_redis_primary() {
    let (Some(one), Some(other)) = (start(), start()) else {
        return;
    };
    let proxy = Proxy::to(one.address()).await;
    let store = store(&format!("redis://{}/", proxy.address()));
    let version = save(&store, None, "old").await;
    replicate(&other, &one).await;
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");

    let (mut from, mut to) = (&one, &other);
    let mut fail_over = async || {
        until_in_step(to, from).await;
        fail_over(from, to);
        proxy.lead_to(to.address());
        (from, to) = (to, from);
    };
    fail_over().await;
    lease.renew().await.expect("the lease moved along");
    fail_over().await;
    let version = save(&store, Some(version), "new").await;
    fail_over().await;
    lease.release().await.expect("ours");
    fail_over().await;
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    drop(lease);
    fail_over().await;
    assert!(store.delete(&acme(), version).await.expect("deleted"));
}

#[tokio::test]
async fn s89_without_a_new_redis_primary_the_error_is_retryable() {
    let Some(primary) = start() else {
        return;
    };
    let version = save(&store(&primary.url()), None, "old").await;
    let Some(replica) = replica(&primary).await else {
        return;
    };
    let store = store(&replica.url());
    let new = Record::new(tokens("new"));
    let acme = acme();
    for error in [
        store
            .compare_and_swap(&acme, Some(version), &new)
            .await
            .err(),
        store.delete(&acme, version).await.err(),
        store.lease(&acme, AT_ONCE).await.err(),
    ] {
        let error = error.expect("it was written");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
        assert_eq!(
            error.to_string(),
            format!(
                "redis store {}/0: the server is a read-only replica, account `acme`; wait for \
                 the failover to end, or else point the URL at the primary",
                replica.address()
            )
        );
    }
    let record = store.load(&acme).await.expect("reading goes on");
    assert_eq!(record.expect("there").tokens, tokens("old"));

    let endpoint = Endpoint::open();
    let error = expired_account(&endpoint, store).token().await;
    let error = error.expect_err("no lease");
    assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
    assert!(error.is_retryable());
    assert_eq!(endpoint.posts(), 0);
}

#[tokio::test]
async fn s89_a_replica_that_has_lost_its_primary_is_retryable() {
    let stale = ["--replica-serve-stale-data", "no"];
    let Some(replica) = Redis::start_with(&stale) else {
        return;
    };
    let store = store(&replica.url());
    assert_eq!(replica.cli(&["REPLICAOF", "127.0.0.1", "1"]), "OK");
    let error = store.load(&acme()).await.expect_err("stale");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    let text = error.to_string();
    assert!(text.contains("has lost its primary"), "{text}");
    assert!(text.contains("wait for the failover"), "{text}");
}

/// A server that sends its data to a replica at once.
fn start() -> Option<Redis> {
    Redis::start_with(&["--repl-diskless-sync-delay", "0"])
}

/// `acme`, whose stored tokens have expired.
fn expired_account(endpoint: &Endpoint, store: RedisStore) -> Account {
    // A failover takes the machine's time.
    let clock = FakeClock::new().with_tokio_timers();
    clock.advance(48 * HOUR);
    let builder = TokenManager::builder(endpoint.clone(), store).clock(clock);
    let manager = builder.build().expect("a valid configuration");
    manager.account(acme())
}

/// A new replica that holds the primary's record.
async fn replica(primary: &Redis) -> Option<Redis> {
    let replica = start()?;
    replicate(&replica, primary).await;
    Some(replica)
}

async fn replicate(replica: &Redis, primary: &Redis) {
    let port = primary.address().port().to_string();
    assert_eq!(replica.cli(&["REPLICAOF", "127.0.0.1", &port]), "OK");
    until_in_step(replica, primary).await;
}

/// Waits until the replica holds every write of the primary.
async fn until_in_step(replica: &Redis, primary: &Redis) {
    let offset = |server: &Redis, field: &str| {
        let info = server.cli(&["INFO", "replication"]);
        let mut lines = info.lines();
        lines.find_map(|line| Some(line.strip_prefix(field)?.trim().to_owned()))
    };
    let in_step = async {
        loop {
            let written = offset(primary, "master_repl_offset:");
            let is_linked = offset(replica, "master_link_status:").as_deref() == Some("up");
            if is_linked && offset(replica, "slave_repl_offset:") == written {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(HANGS, in_step).await.expect("it follows");
}

/// Swaps the roles. Open connections to the old primary stay open.
fn fail_over(old: &Redis, new: &Redis) {
    assert_eq!(new.cli(&["REPLICAOF", "NO", "ONE"]), "OK");
    let port = new.address().port().to_string();
    assert_eq!(old.cli(&["REPLICAOF", "127.0.0.1", &port]), "OK");
}
