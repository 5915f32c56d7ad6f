//! Users with some of the privileges on the table.

use super::*;

#[tokio::test]
async fn s92_a_user_without_delete_gives_leases_back_and_signs_out() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let owner = migrated(&server).await;
    server.psql("create role app login password 'right'");
    server.psql("grant select, insert, update on dropbox_sign_tokens to app");
    let store = store(&server.url().replace("postgres@", "app:right@"));
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    let version = save(&store, None, "a").await;
    lease.release().await.expect("given back");
    let lease = owner.lease(&acme(), AT_ONCE).await.expect("free again");
    lease.release().await.expect("ours");

    assert!(store.delete(&acme(), version).await.expect("deleted"));
    assert_eq!(loaded_version(&owner).await, None);
    let lease = store.lease(&acme(), AT_ONCE).await.expect("free");
    lease.release().await.expect("given back");
    let left = server.psql("select * from dropbox_sign_tokens");
    assert_eq!(left, "acme|||||||||||", "an empty row");

    // An owner tidies up.
    let lease = owner.lease(&acme(), AT_ONCE).await.expect("free");
    lease.release().await.expect("ours");
    assert_eq!(server.psql("select count(*) from dropbox_sign_tokens"), "0");
}
