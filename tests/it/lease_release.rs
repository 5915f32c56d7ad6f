//! A store releases its leases as soon as the server responds again.

use dropbox_sign_oauth::{
    OAuthApi, TokenManager,
    store::{StoreErrorKind, TokenStore},
};
use futures_util::poll;

use crate::{
    servers::Proxy,
    stores::{Kind, Place},
    support::{AT_ONCE, PATIENT, acme, unless_it_hangs},
};

#[tokio::test]
async fn a_redis_store_releases_a_lease_when_the_network_is_mended() {
    assert_releases(Kind::Redis).await;
}

#[tokio::test]
async fn a_postgres_store_releases_a_lease_when_the_network_is_mended() {
    assert_releases(Kind::Postgres).await;
}

/// The lease lives for an hour. The next holder waits for a minute.
async fn assert_releases(kind: Kind) {
    let Some(place) = Place::on_shared_server(kind).await else {
        return;
    };
    let server = place.server_address();
    let network = Proxy::to(server).await;
    let store = place.address().through(server, network.address()).open();
    let lease = store
        .lease(&acme(), PATIENT)
        .await
        .expect("no other holder");
    let other = place.open();
    let next = tokio::spawn(async move { other.lease(&acme(), PATIENT).await });
    network.cut();
    let error = lease.release().await.expect_err("cut");
    assert_eq!(error.kind(), StoreErrorKind::Unavailable, "{error}");
    assert!(!next.is_finished(), "the lease was free");
    // The first two attempts come at once, each with a connection of its own.
    unless_it_hangs("two tries in vain", network.until_tried_in_vain(2)).await;
    network.mend();
    next.await.expect("no panic").expect("a released lease");
}

#[tokio::test]
async fn s149_a_shutdown_waits_until_a_redis_store_has_released_a_dropped_lease() {
    assert_awaits_release(Kind::Redis).await;
}

#[tokio::test]
async fn s149_a_shutdown_waits_until_a_postgres_store_has_released_a_dropped_lease() {
    assert_awaits_release(Kind::Postgres).await;
}

async fn assert_awaits_release(kind: Kind) {
    let Some(place) = Place::on_shared_server(kind).await else {
        return;
    };
    let server = place.server_address();
    let network = Proxy::to(server).await;
    let store = place.address().through(server, network.address()).open();
    let api = OAuthApi::builder("client-id", "client-secret").build();
    let manager = TokenManager::builder(api.expect("valid"), store.clone()).build();
    let manager = manager.expect("valid");
    let lease = store.lease(&acme(), PATIENT).await;
    network.cut();
    drop(lease.expect("no other holder"));
    unless_it_hangs("two tries in vain", network.until_tried_in_vain(2)).await;
    let mut flush = Box::pin(manager.flush());
    let mut shutdown = Box::pin(manager.shutdown());
    assert!(poll!(&mut flush).is_pending() && poll!(&mut shutdown).is_pending());
    network.mend();
    flush.await.expect("nothing to save");
    let next = place.open().lease(&acme(), AT_ONCE).await;
    drop(next.expect("a released lease"));
    shutdown.await.expect("nothing to save");
}
