//! What every token store has to do, as tests.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    account::AccountId,
    store::{Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version},
    token::TokenSet,
};

/// Long enough for whatever has to happen meanwhile, on any machine.
const PATIENT: LeaseRequest = LeaseRequest {
    time_to_live: Duration::from_secs(120),
    wait: Duration::from_secs(60),
};

/// Does not wait for a holder that stays.
const IMPATIENT: LeaseRequest = LeaseRequest {
    wait: Duration::from_millis(20),
    ..PATIENT
};

/// Not renewed, it runs out soon, where a store's leases do.
const SHORT_LIVED: LeaseRequest = LeaseRequest {
    time_to_live: Duration::from_secs(1),
    ..PATIENT
};

/// Checks that a store keeps the rules of [`TokenStore`].
///
/// `open` gives a handle on the same store each time, which is empty at first. The handles should
/// be as separate as they ever are: opened anew rather than cloned, if the store can be.
///
/// Needs a Tokio runtime with time and I/O enabled, whose time is not paused.
///
/// ```
/// use dropbox_sign_oauth::{store::MemoryStore, testing::store_conformance};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(
/// async {
///     let store = MemoryStore::new();
///     store_conformance(|| async { store.clone() }).await;
/// }
/// # );
/// ```
///
/// # Panics
///
/// With the name of the rule, when one is broken or the store fails.
pub async fn store_conformance<S, F>(open: F)
where
    S: TokenStore,
    F: AsyncFn() -> S,
{
    let one = Arc::new(open().await);
    let other = Arc::new(open().await);

    nobody_is_signed_in_at_first(&*one).await;
    a_first_save_expects_no_record(&*one, &*other).await;
    a_save_expects_the_newest_version(&*one, &*other).await;
    a_repeated_save_is_recognised(&*one, &*other).await;
    every_field_survives(&*one, &*other).await;
    the_journal_survives(&*one, &*other).await;
    accounts_are_independent(&*one, &*other).await;
    deleting_expects_the_newest_version(&*one, &*other).await;
    after_deleting_the_account_starts_anew(&*one, &*other).await;

    a_lease_keeps_others_out(&*one, &*other).await;
    a_lease_keeps_its_own_handle_out(&*one).await;
    a_lease_is_for_one_account(&*one, &*other).await;
    a_lease_is_no_record(&*one).await;
    a_released_lease_goes_to_the_next(&one, &other).await;
    a_dropped_lease_goes_to_the_next(&*one, &*other).await;
    an_abandoned_wait_holds_nothing(&*one, &*other).await;
    an_abandoned_claim_holds_nothing(&*one, &*other).await;
    a_held_lease_can_be_renewed(&*one, &*other).await;
    a_lease_that_ran_out_is_left_alone(&*one, &*other).await;

    one_of_many_equal_saves_wins(&one, &other).await;
    no_concurrent_save_is_lost(&one, &other).await;
    concurrent_accounts_do_not_disturb_each_other(&one, &other).await;
}

/// Loading what was never saved gives nothing, and no error.
async fn nobody_is_signed_in_at_first(store: &impl TokenStore) {
    let rule = "an account without a record loads as `None`";
    let account = AccountId::from("nobody");
    assert_eq!(load(store, &account, rule).await, None, "{rule}");
}

/// Expecting a record where there is none, or none where there is one, is a conflict.
async fn a_first_save_expects_no_record(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "the first save expects no record";
    let account = AccountId::from("first-save");
    let swap = swap(one, &account, Some(Version::unique()), &record("a"), rule).await;
    assert_eq!(swap, Swap::Conflict, "{rule}: saved over a missing record");
    assert_eq!(load(one, &account, rule).await, None, "{rule}: it wrote");

    let first = record("a");
    let swap = self::swap(one, &account, None, &first, rule).await;
    assert_eq!(swap, Swap::Saved, "{rule}");
    let swap = self::swap(other, &account, None, &record("b"), rule).await;
    assert_eq!(swap, Swap::Conflict, "{rule}: a record was overlooked");
    let loaded = load(other, &account, rule).await;
    let message = "the record is not what was saved";
    assert_eq!(loaded, Some(first), "{rule}: {message}");
}

/// Only the newest version can be replaced, and a record keeps the version that it was saved with.
async fn a_save_expects_the_newest_version(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a save names the newest version";
    let account = AccountId::from("newest-version");
    let mut versions = Vec::new();
    let mut expected = None;
    for n in 0..5 {
        let store: &dyn TokenStore = if n % 2 == 0 { one } else { other };
        let record = record(&n.to_string());
        let saved = swap(store, &account, expected, &record, rule).await;
        assert_eq!(saved, Swap::Saved, "{rule}: the newest was not enough");
        for stale in &versions {
            let swap = swap(store, &account, *stale, &self::record("stale"), rule).await;
            assert_eq!(swap, Swap::Conflict, "{rule}: a stale save went through");
        }
        versions.push(expected);
        expected = Some(record.version);
        let loaded = load(one, &account, rule).await;
        assert_eq!(loaded, Some(record), "{rule}: another record loads");
    }
}

/// A save whose answer was lost is tried again, and meets itself: the version tells.
async fn a_repeated_save_is_recognised(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a repeated save is recognised by its version";
    let account = AccountId::from("repeated");
    let expected = Some(save(one, &account, None, tokens("a"), rule).await);
    let record = record("b");
    let first = swap(one, &account, expected, &record, rule).await;
    let second = swap(other, &account, expected, &record, rule).await;
    assert_eq!((first, second), (Swap::Saved, Swap::Conflict), "{rule}");
    assert_eq!(load(one, &account, rule).await, Some(record), "{rule}");
}

/// Tokens come back as they were saved; times, to the millisecond.
async fn every_field_survives(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "every field survives";
    let account = AccountId::from("every-field");
    let day = Duration::from_secs(86_400);
    let odd = "ABC+/=._~-  \"quoted\" \\ {json: 'x'} <&> \u{fc}\u{1f511}\n\t";
    let ten_years = Duration::from_secs(10 * 365 * 86_400);
    let cases = [
        tokens("both"),
        TokenSet::new("access alone", issued_at(), day),
        TokenSet::from_refresh_token("refresh alone"),
        TokenSet::new(odd, issued_at(), day).with_refresh_token(odd),
        TokenSet::new("l".repeat(8_000), issued_at(), day).with_refresh_token("r".repeat(8_000)),
        TokenSet::new("epoch", UNIX_EPOCH, Duration::ZERO).with_refresh_token("r"),
        TokenSet::new(
            "milliseconds",
            issued_at(),
            Duration::from_millis(86_399_877),
        ),
        TokenSet::new("long", issued_at(), ten_years),
        // Last, so that nothing of the earlier ones may linger.
        TokenSet::from_refresh_token("the end"),
    ];
    let mut expected = None;
    for case in cases {
        expected = Some(save(one, &account, expected, case.clone(), rule).await);
        let record = load(other, &account, rule).await.expect(rule);
        // Compared first, since `assert_eq!` could not show the difference of redacted tokens.
        assert_eq!(record.tokens.issued_at(), case.issued_at(), "{rule}");
        assert_eq!(record.tokens.lifetime(), case.lifetime(), "{rule}");
        let same = record.tokens == case;
        assert!(
            same,
            "{rule}: a token differs: {:?}, {case:?}",
            record.tokens
        );
    }
}

/// The time of a presentation comes back to the millisecond, and goes with the next record.
async fn the_journal_survives(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "the journal survives";
    let account = AccountId::from("journal");
    let first = record("a");
    let announced = first.presented_at(issued_at());
    let last = record("b");
    let mut expected = None;
    for record in [first, announced, last] {
        let saved = swap(one, &account, expected, &record, rule).await;
        assert_eq!(saved, Swap::Saved, "{rule}");
        expected = Some(record.version);
        assert_eq!(load(other, &account, rule).await, Some(record), "{rule}");
    }
}

/// Any text names an account, and no two names mean the same one.
async fn accounts_are_independent(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "accounts are independent";
    let long = "long".repeat(75);
    let names = [
        String::new(),
        " ".into(),
        "a".into(),
        "A".into(),
        "a ".into(),
        "%61".into(),
        ".".into(),
        "..".into(),
        "../x".into(),
        "/etc/passwd".into(),
        "C:\\x".into(),
        "con".into(),
        "a/b".into(),
        "a:b".into(),
        "a*?\"<>|'`;--".into(),
        "{a}".into(),
        "line\nbreak".into(),
        "\u{fc}".into(),
        "u\u{308}".into(),
        "\u{1f511}".into(),
        "user@example.com".into(),
        format!("{long}a"),
        format!("{long}b"),
        long,
    ];
    let accounts = names.map(AccountId::from);
    let mut versions = Vec::new();
    for account in &accounts {
        let tokens = tokens(account.as_str());
        versions.push(save(one, account, None, tokens, rule).await);
    }
    for account in &accounts {
        let record = load(other, account, rule).await;
        let record = record.unwrap_or_else(|| panic!("{rule}: {account:?} is lost"));
        let same = record.tokens == tokens(account.as_str());
        assert!(same, "{rule}: {account:?} has another's tokens");
    }
    for (n, (account, version)) in accounts.iter().zip(versions).enumerate() {
        assert!(delete(one, account, version, rule).await, "{rule}");
        for (m, account) in accounts.iter().enumerate() {
            let stands = load(other, account, rule).await.is_some();
            assert_eq!(stands, m > n, "{rule}: deleting touched {account:?}");
        }
    }
}

/// A record is removed only by somebody who knows its newest version.
async fn deleting_expects_the_newest_version(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "deleting names the newest version";
    let account = AccountId::from("delete");
    let gone = delete(one, &account, Version::unique(), rule).await;
    assert!(!gone, "{rule}: removed what was not there");

    let first = save(one, &account, None, tokens("a"), rule).await;
    let second = save(one, &account, Some(first), tokens("b"), rule).await;
    let gone = delete(other, &account, first, rule).await;
    assert!(!gone, "{rule}: a stale version sufficed");
    let record = load(one, &account, rule).await;
    assert_eq!(record.map(|r| r.version), Some(second), "{rule}");

    let gone = delete(other, &account, second, rule).await;
    assert!(gone, "{rule}: the newest version did not suffice");
    assert_eq!(load(one, &account, rule).await, None, "{rule}: it stands");
    let gone = delete(one, &account, second, rule).await;
    assert!(!gone, "{rule}: removed twice");
}

/// A save that was prepared before a sign-out does not undo it; a new sign-in works.
async fn after_deleting_the_account_starts_anew(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a deleted account starts anew";
    let account = AccountId::from("start-anew");
    let version = save(one, &account, None, tokens("a"), rule).await;
    assert!(delete(one, &account, version, rule).await, "{rule}");
    let swap = swap(other, &account, Some(version), &record("b"), rule).await;
    assert_eq!(swap, Swap::Conflict, "{rule}: a late save undid it");
    assert_eq!(load(one, &account, rule).await, None, "{rule}");
    save(other, &account, None, tokens("c"), rule).await;
    let record = load(one, &account, rule).await.expect(rule);
    assert_eq!(record.tokens, tokens("c"), "{rule}");
}

/// While a lease is held, another handle waits as long as it was told, and says whose it is.
async fn a_lease_keeps_others_out(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a lease keeps others out";
    let account = AccountId::from("keeps-out");
    let lease = acquire(one, &account, PATIENT, rule).await;
    assert_held(other, &account, rule).await;
    let at_once = LeaseRequest {
        wait: Duration::ZERO,
        ..PATIENT
    };
    let refused = other.lease(&account, at_once).await;
    assert!(refused.is_err(), "{rule}: not without waiting");
    release(lease, rule).await;
    // And one that is free is had without waiting.
    release(acquire(other, &account, at_once, rule).await, rule).await;
}

/// The same goes for two refreshes through one handle.
async fn a_lease_keeps_its_own_handle_out(store: &impl TokenStore) {
    let rule = "a lease keeps its own handle out";
    let account = AccountId::from("keeps-itself-out");
    let lease = acquire(store, &account, PATIENT, rule).await;
    assert_held(store, &account, rule).await;
    release(lease, rule).await;
}

/// Accounts refresh in parallel.
async fn a_lease_is_for_one_account(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a lease is for one account";
    let [a, b] = ["lease-a", "lease-b"].map(AccountId::from);
    let first = acquire(one, &a, PATIENT, rule).await;
    let second = acquire(other, &b, IMPATIENT, rule).await;
    release(first, rule).await;
    assert_held(one, &b, rule).await;
    release(second, rule).await;
}

/// Holding a lease neither makes a record nor hinders anybody from loading and saving one.
async fn a_lease_is_no_record(store: &impl TokenStore) {
    let rule = "a lease is no record";
    let account = AccountId::from("no-record");
    let lease = acquire(store, &account, PATIENT, rule).await;
    assert_eq!(load(store, &account, rule).await, None, "{rule}");
    let version = save(store, &account, None, tokens("a"), rule).await;
    release(lease, rule).await;
    let lease = acquire(store, &account, PATIENT, rule).await;
    let record = load(store, &account, rule).await.expect(rule);
    assert_eq!(record.version, version, "{rule}: it changed the record");
    assert_eq!(record.tokens, tokens("a"), "{rule}: it changed the record");
    assert!(delete(store, &account, version, rule).await, "{rule}");
    assert_held(store, &account, rule).await;
    release(lease, rule).await;
}

/// Somebody who waits gets the lease when it is given back.
async fn a_released_lease_goes_to_the_next<S: TokenStore>(one: &Arc<S>, other: &Arc<S>) {
    let rule = "a released lease goes to the next";
    let account = AccountId::from("released");
    let lease = acquire(&**one, &account, PATIENT, rule).await;
    let mut waiters = Vec::new();
    for n in 0..4 {
        let store = Arc::clone(if n % 2 == 0 { one } else { other });
        let account = account.clone();
        waiters.push(tokio::spawn(async move {
            release(acquire(&*store, &account, PATIENT, rule).await, rule).await;
        }));
    }
    tokio::task::yield_now().await;
    release(lease, rule).await;
    for waiter in waiters {
        waiter.await.expect(rule);
    }
}

/// Dropping a lease without releasing it blocks nobody for longer than it lives.
async fn a_dropped_lease_goes_to_the_next(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a dropped lease goes to the next";
    let account = AccountId::from("dropped");
    drop(acquire(one, &account, SHORT_LIVED, rule).await);
    release(acquire(other, &account, PATIENT, rule).await, rule).await;
}

/// Dropping somebody who waits for a lease leaves nothing behind that holds it.
async fn an_abandoned_wait_holds_nothing(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "an abandoned wait holds nothing";
    let account = AccountId::from("abandoned");
    let lease = acquire(one, &account, PATIENT, rule).await;
    let wait = other.lease(&account, SHORT_LIVED);
    let abandoned = tokio::time::timeout(Duration::from_millis(20), wait).await;
    assert!(abandoned.is_err(), "{rule}: the lease was had twice");
    release(lease, rule).await;
    release(acquire(one, &account, PATIENT, rule).await, rule).await;
    release(acquire(other, &account, PATIENT, rule).await, rule).await;
}

/// The same where it is dropped while it is had, at whatever moment.
async fn an_abandoned_claim_holds_nothing(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "an abandoned claim holds nothing";
    let account = AccountId::from("abandoned-claim");
    for moment in 0..40 {
        let moment = Duration::from_micros(moment * 100);
        let claim = other.lease(&account, PATIENT);
        drop(tokio::time::timeout(moment, claim).await);
        release(acquire(one, &account, PATIENT, rule).await, rule).await;
    }
}

/// Renewing works for as long as the lease is held, and keeps it.
async fn a_held_lease_can_be_renewed(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a held lease can be renewed";
    let account = AccountId::from("renewed");
    let lease = acquire(one, &account, PATIENT, rule).await;
    if let Some(every) = lease.renew_every() {
        assert!(every < PATIENT.time_to_live, "{rule}: too late, by itself");
    }
    for _ in 0..2 {
        lease.renew().await.unwrap_or_else(|e| failed(rule, &e));
        assert_held(other, &account, rule).await;
    }
    release(lease, rule).await;
}

/// Where leases run out, a late holder neither renews nor releases that of the next one.
async fn a_lease_that_ran_out_is_left_alone(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a lease that ran out is left alone";
    let account = AccountId::from("ran-out");
    let late = acquire(one, &account, SHORT_LIVED, rule).await;
    if late.renew_every().is_none() {
        return release(late, rule).await;
    }
    let next = acquire(other, &account, PATIENT, rule).await;
    assert!(late.renew().await.is_err(), "{rule}: it was renewed");
    // Whether this is an error is the store's choice.
    let _ = late.release().await;
    assert_held(one, &account, rule).await;
    release(next, rule).await;
}

/// Of many saves that expect the same version, one is saved and the others are conflicts.
async fn one_of_many_equal_saves_wins<S: TokenStore>(one: &Arc<S>, other: &Arc<S>) {
    let rule = "one of many equal saves wins";
    let account = AccountId::from("one-wins");
    let mut expected = None;
    for round in 0..3 {
        let mut saves = Vec::new();
        for n in 0..16 {
            let store = Arc::clone(if n % 2 == 0 { one } else { other });
            let account = account.clone();
            saves.push(tokio::spawn(async move {
                let record = record(&format!("{round}-{n}"));
                let swap = swap(&*store, &account, expected, &record, rule).await;
                (swap == Swap::Saved).then_some(record)
            }));
        }
        let mut winners = Vec::new();
        for save in saves {
            winners.extend(save.await.expect(rule));
        }
        assert_eq!(winners.len(), 1, "{rule}, round {round}");
        let record = load(&**one, &account, rule).await;
        assert_eq!(record, winners.pop(), "{rule}: another's tokens stand");
        expected = record.map(|record| record.version);
    }
}

/// Loading, changing and saving until it succeeds loses nobody's change.
async fn no_concurrent_save_is_lost<S: TokenStore>(one: &Arc<S>, other: &Arc<S>) {
    const TASKS: usize = 8;
    const EACH: usize = 5;

    let rule = "no concurrent save is lost";
    let account = AccountId::from("counter");
    let mut tasks = Vec::new();
    for n in 0..TASKS {
        let store = Arc::clone(if n % 2 == 0 { one } else { other });
        let account = account.clone();
        tasks.push(tokio::spawn(async move {
            let mut saved = 0;
            while saved < EACH {
                let stored = load(&*store, &account, rule).await;
                let counted = record(&(count(stored.as_ref(), rule) + 1).to_string());
                let expected = stored.map(|stored| stored.version);
                if swap(&*store, &account, expected, &counted, rule).await == Swap::Saved {
                    saved += 1;
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect(rule);
    }
    let record = load(&**one, &account, rule).await;
    assert_eq!(count(record.as_ref(), rule), TASKS * EACH, "{rule}");
}

/// Saves of many accounts at once all stand.
async fn concurrent_accounts_do_not_disturb_each_other<S: TokenStore>(
    one: &Arc<S>,
    other: &Arc<S>,
) {
    let rule = "concurrent accounts do not disturb each other";
    let account = |n: usize| AccountId::from(format!("parallel-{n}"));
    let mut tasks = Vec::new();
    for n in 0..16 {
        let store = Arc::clone(if n % 2 == 0 { one } else { other });
        tasks.push(tokio::spawn(async move {
            let first = save(&*store, &account(n), None, tokens("first"), rule).await;
            let second = tokens(&n.to_string());
            save(&*store, &account(n), Some(first), second, rule).await
        }));
    }
    for (n, task) in tasks.into_iter().enumerate() {
        let version = task.await.expect(rule);
        let record = load(&**one, &account(n), rule).await;
        let record = record.expect(rule);
        assert_eq!(record.version, version, "{rule}");
        assert_eq!(record.tokens, tokens(&n.to_string()), "{rule}");
    }
}

fn issued_at() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_735_689_600_123)
}

/// A new record with [`tokens`] of this name.
fn record(name: &str) -> Record {
    Record::new(tokens(name))
}

/// A set that carries `name`, so that two can be told apart.
fn tokens(name: &str) -> TokenSet {
    TokenSet::new(
        format!("access {name}"),
        issued_at(),
        Duration::from_secs(86_400),
    )
    .with_refresh_token(format!("refresh {name}"))
}

/// The number that a record of [`tokens`] carries.
fn count(record: Option<&Record>, rule: &str) -> usize {
    let Some(access) = record.map(|record| record.tokens.access_token().expect(rule)) else {
        return 0;
    };
    let number = access.expose_secret().strip_prefix("access ").expect(rule);
    number.parse().expect(rule)
}

async fn load(
    store: &(impl TokenStore + ?Sized),
    account: &AccountId,
    rule: &str,
) -> Option<Record> {
    let loaded = store.load(account).await;
    loaded.unwrap_or_else(|e| failed(rule, &e))
}

async fn swap(
    store: &(impl TokenStore + ?Sized),
    account: &AccountId,
    expected: Option<Version>,
    record: &Record,
    rule: &str,
) -> Swap {
    let swap = store.compare_and_swap(account, expected, record).await;
    swap.unwrap_or_else(|e| failed(rule, &e))
}

/// Saves a new record with these tokens, and gives its version.
async fn save(
    store: &(impl TokenStore + ?Sized),
    account: &AccountId,
    expected: Option<Version>,
    tokens: TokenSet,
    rule: &str,
) -> Version {
    let record = Record::new(tokens);
    match swap(store, account, expected, &record, rule).await {
        Swap::Saved => record.version,
        Swap::Conflict => panic!("{rule}: a conflict where nobody else saved"),
    }
}

async fn delete(
    store: &impl TokenStore,
    account: &AccountId,
    expected: Version,
    rule: &str,
) -> bool {
    let deleted = store.delete(account, expected).await;
    deleted.unwrap_or_else(|e| failed(rule, &e))
}

async fn acquire(
    store: &impl TokenStore,
    account: &AccountId,
    request: LeaseRequest,
    rule: &str,
) -> Box<dyn Lease> {
    let lease = store.lease(account, request).await;
    lease.unwrap_or_else(|e| failed(rule, &e))
}

async fn release(lease: Box<dyn Lease>, rule: &str) {
    let released = lease.release().await;
    released.unwrap_or_else(|e| failed(rule, &e));
}

async fn assert_held(store: &impl TokenStore, account: &AccountId, rule: &str) {
    let Err(error) = store.lease(account, IMPATIENT).await else {
        panic!("{rule}: the lease was had twice");
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

fn failed(rule: &str, error: &StoreError) -> ! {
    panic!("{rule}: {error}: {error:?}")
}
