//! The steps of the rules. Each step fails with the name of the rule.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{
    account_id::AccountId,
    store::{Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version},
    token::TokenSet,
};

/// Long enough for all that has to happen meanwhile, on any machine.
pub(super) const PATIENT: LeaseRequest = LeaseRequest {
    time_to_live: Duration::from_secs(120),
    wait: Duration::from_secs(60),
};

/// Does not wait while another handle holds the lease.
pub(super) const IMPATIENT: LeaseRequest = LeaseRequest {
    wait: Duration::from_millis(20),
    ..PATIENT
};

/// Expires soon without renewal, if the store's leases expire.
pub(super) const SHORT_LIVED: LeaseRequest = LeaseRequest {
    time_to_live: Duration::from_secs(1),
    ..PATIENT
};

pub(super) fn issued_at() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_735_689_600_123)
}

/// A new record with [`tokens`] of this name.
pub(super) fn record(name: &str) -> Record {
    Record::new(tokens(name))
}

/// Tokens that contain `name`, to tell them apart.
pub(super) fn tokens(name: &str) -> TokenSet {
    TokenSet::new(
        format!("access-{name}"),
        issued_at(),
        Duration::from_secs(86_400),
    )
    .with_refresh_token(format!("refresh {name}"))
}

/// The number that a record of [`tokens`] carries.
pub(super) fn count(record: Option<&Record>, rule: &str) -> usize {
    let Some(access) = record.map(|record| record.tokens.access_token().expect(rule)) else {
        return 0;
    };
    let number = access.expose_secret().strip_prefix("access-").expect(rule);
    number.parse().expect(rule)
}

pub(super) async fn load(
    store: &(impl TokenStore + ?Sized),
    account: &AccountId,
    rule: &str,
) -> Option<Record> {
    let loaded = store.load(account).await;
    loaded.unwrap_or_else(|e| failed(rule, &e))
}

pub(super) async fn swap(
    store: &(impl TokenStore + ?Sized),
    account: &AccountId,
    expected: Option<Version>,
    record: &Record,
    rule: &str,
) -> Swap {
    let swap = store.compare_and_swap(account, expected, record).await;
    swap.unwrap_or_else(|e| failed(rule, &e))
}

/// Saves a new record with these tokens and returns its version.
pub(super) async fn save(
    store: &(impl TokenStore + ?Sized),
    account: &AccountId,
    expected: Option<Version>,
    tokens: TokenSet,
    rule: &str,
) -> Version {
    let record = Record::new(tokens);
    match swap(store, account, expected, &record, rule).await {
        Swap::Saved => record.version,
        Swap::Conflict => panic!("{rule}: a conflict without another save"),
    }
}

pub(super) async fn delete(
    store: &impl TokenStore,
    account: &AccountId,
    expected: Version,
    rule: &str,
) -> bool {
    let deleted = store.delete(account, expected).await;
    deleted.unwrap_or_else(|e| failed(rule, &e))
}

pub(super) async fn acquire(
    store: &impl TokenStore,
    account: &AccountId,
    request: LeaseRequest,
    rule: &str,
) -> Box<dyn Lease> {
    let lease = store.lease(account, request).await;
    lease.unwrap_or_else(|e| failed(rule, &e))
}

pub(super) async fn release(lease: Box<dyn Lease>, rule: &str) {
    let released = lease.release().await;
    released.unwrap_or_else(|e| failed(rule, &e));
}

pub(super) async fn assert_held(store: &impl TokenStore, account: &AccountId, rule: &str) {
    let Err(error) = store.lease(account, IMPATIENT).await else {
        panic!("{rule}: the lease was granted twice");
    };
    let kind = error.kind();
    assert_eq!(kind, StoreErrorKind::LeaseTimeout, "{rule}: {error}");
    assert_eq!(
        error.account(),
        Some(account),
        "{rule}: it names no account"
    );
    assert!(!error.store().is_empty(), "{rule}: it names no store");
}

pub(super) fn failed(rule: &str, error: &StoreError) -> ! {
    panic!("{rule}: {error}: {error:?}")
}
