//! A store releases its leases as soon as the server responds again.

use dropbox_sign_oauth::store::{StoreErrorKind, TokenStore};

use crate::{
    servers::Proxy,
    stores::{Kind, Place},
    support::{PATIENT, acme},
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
    network.until_tried_in_vain(2).await;
    network.mend();
    next.await.expect("no panic").expect("a released lease");
}
