//! The tokens and records that tests put into stores.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dropbox_sign_oauth::{
    AccountId, TokenSet,
    store::{LeaseRequest, Record, Swap, TokenStore, Version},
};

/// Waits longer than any event of a test takes. The lease outlives the test.
pub(crate) const PATIENT: LeaseRequest =
    LeaseRequest::new(Duration::from_secs(3600), Duration::from_secs(60));

/// Waits so long that the last attempt, at the end of the wait, does not come during the test. The
/// test itself needs a timeout.
pub(crate) const FOR_HOURS: LeaseRequest =
    LeaseRequest::new(PATIENT.time_to_live, Duration::from_secs(3600));

pub(crate) const AT_ONCE: LeaseRequest = LeaseRequest::new(PATIENT.time_to_live, Duration::ZERO);

/// Access tokens that no header can carry: a line end, a space, a character beyond ASCII.
pub(crate) const UNSENDABLE: [&str; 3] = ["access-1\n", "access 1", "acc\u{e8}s-1"];

pub(crate) fn acme() -> AccountId {
    AccountId::from("acme")
}

/// `access-NAME` with `refresh-NAME`.
pub(crate) fn pair(name: &str, issued_at: SystemTime, lifetime: Duration) -> TokenSet {
    TokenSet::new(format!("access-{name}"), issued_at, lifetime)
        .with_refresh_token(format!("refresh-{name}"))
}

/// `canary-NAME` with `canary-refresh-NAME`: a test searches errors and logs for `canary`. The
/// tokens live for a day from the start of the fake clock.
pub(crate) fn tokens(name: &str) -> TokenSet {
    let issued_at = UNIX_EPOCH + Duration::from_secs(1_735_689_600);
    let lifetime = Duration::from_secs(86_400);
    let name = name.replace(' ', "-");
    TokenSet::new(format!("canary-{name}"), issued_at, lifetime)
        .with_refresh_token(format!("canary-refresh-{name}"))
}

/// Saves [`tokens`] of `acme` over the record of the expected version. Returns the new version.
pub(crate) async fn save(
    store: &impl TokenStore,
    expected: Option<Version>,
    name: &str,
) -> Version {
    let record = Record::new(tokens(name));
    save_record(store, &acme(), expected, &record).await;
    record.version
}

/// Saves over the record of the expected version, which the store must hold.
pub(crate) async fn save_record(
    store: &impl TokenStore,
    account: &AccountId,
    expected: Option<Version>,
    record: &Record,
) {
    let swap = store.compare_and_swap(account, expected, record).await;
    assert_eq!(swap.expect("saved"), Swap::Saved);
}
