//! What tests put into stores.

use std::time::{Duration, UNIX_EPOCH};

use dropbox_sign_oauth::{
    AccountId, TokenSet,
    store::{LeaseRequest, Record, Swap, TokenStore, Version},
};

/// Waits for whatever has to happen first, and outlives any test.
pub(crate) const PATIENT: LeaseRequest =
    LeaseRequest::new(Duration::from_secs(3600), Duration::from_secs(60));

/// Has nothing from the end of its wait, when it would look a last time: somebody else watches over
/// the test.
pub(crate) const FOR_HOURS: LeaseRequest =
    LeaseRequest::new(PATIENT.time_to_live, Duration::from_secs(3600));

pub(crate) const AT_ONCE: LeaseRequest = LeaseRequest::new(PATIENT.time_to_live, Duration::ZERO);

pub(crate) fn acme() -> AccountId {
    AccountId::from("acme")
}

/// Tokens that carry `name`, to be told apart, and `canary`, to be found where they should not be.
/// They live for a day from when the fake clock begins.
pub(crate) fn tokens(name: &str) -> TokenSet {
    let issued_at = UNIX_EPOCH + Duration::from_secs(1_735_689_600);
    let lifetime = Duration::from_secs(86_400);
    let name = name.replace(' ', "-");
    TokenSet::new(format!("canary-{name}"), issued_at, lifetime)
        .with_refresh_token(format!("canary-refresh-{name}"))
}

/// Saves `acme`'s tokens over those of the expected version, and gives the new one.
pub(crate) async fn save(
    store: &impl TokenStore,
    expected: Option<Version>,
    name: &str,
) -> Version {
    let record = Record::new(tokens(name));
    let swap = store.compare_and_swap(&acme(), expected, &record).await;
    assert_eq!(swap.expect("saved"), Swap::Saved);
    record.version
}
