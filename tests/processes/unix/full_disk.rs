//! A disk without room.

use libtest_mimic::Trial;

use super::{
    FILES, on_each,
    process::Process,
    service::{HOUR, LONG_LEASES, Reuse, Service},
    store::SharedStore,
    stores::Kind,
};

pub(crate) fn tests() -> Vec<Trial> {
    on_each!(FILES, s27_a_full_disk_gives_an_error_and_spends_no_token)
}

async fn s27_a_full_disk_gives_an_error_and_spends_no_token(kind: Kind) {
    let Some(store) = SharedStore::new(kind).await else {
        return;
    };
    let mut service = Service::start(Reuse::Revokes).await;
    service.sign_in(&store).await;
    let before = store.record().await;
    service.advance(HOUR);

    let mut process = Process::start_with_full_disk(&service.setup(&store, LONG_LEASES)).await;
    let results = process.request(1).await;
    assert_eq!(results.wrong.len(), 1, "{results:?}");
    for part in [
        "file store /",
        "account `default`",
        "cannot write",
        "check free space",
    ] {
        assert!(results.wrong[0].contains(part), "{part:?}: {results:?}");
    }
    assert_eq!(service.fake.token_requests(), 0);
    assert_eq!(store.record().await, before);
}
