//! A disk without room.

use libtest_mimic::Trial;

use super::{
    on_each,
    place::{Kind, Place},
    process::Process,
    service::{HOUR, LONG_LEASES, Reuse, Service},
};

pub(crate) fn tests() -> Vec<Trial> {
    on_each!(Kind::FILES, s27_a_full_disk_is_said_and_spends_nothing)
}

async fn s27_a_full_disk_is_said_and_spends_nothing(kind: Kind) {
    let Some(place) = Place::new(kind).await else {
        return;
    };
    let mut service = Service::start(Reuse::Revokes).await;
    service.sign_in(&place).await;
    let before = place.record().await;
    service.advance(HOUR);

    let mut process = Process::start_without_room(&service.setup(&place, LONG_LEASES)).await;
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
    assert_eq!(place.record().await, before);
}
