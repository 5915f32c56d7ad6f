//! Holding a lease, waiting for a lease, and holders that are late.

use super::*;

#[tokio::test]
async fn s13_a_dead_holder_s_lease_runs_out() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let dead = migrated(&server).await;
    let short = LeaseRequest::new(Duration::from_millis(300), PATIENT.wait);
    let lease = dead.lease(&acme(), short).await.expect("a lease");
    // As if the process were killed: no process releases the lease.
    std::mem::forget(lease);

    let next = store(&server.url());
    next.lease(&acme(), PATIENT).await.expect("taken over");
}

#[tokio::test]
async fn s14_a_paused_holder_s_late_save_conflicts() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let (paused, next) = (migrated(&server).await, store(&server.url()));
    let old = save(&paused, None, "old").await;
    let late = paused.lease(&acme(), PATIENT).await.expect("a lease");
    server.psql("update dropbox_sign_tokens set lease_until = now()");

    let held = next.lease(&acme(), PATIENT).await.expect("taken over");
    let new = save(&next, Some(old), "new").await;
    let record = Record::new(tokens("late"));
    let swap = paused.compare_and_swap(&acme(), Some(old), &record).await;
    assert_eq!(swap.expect("a response"), Swap::Conflict);
    assert_eq!(loaded_version(&next).await, Some(new));
    let error = late.renew().await.expect_err("another holds it");
    assert_eq!(error.kind(), StoreErrorKind::LeaseLost);
    drop(held);
}

#[tokio::test]
async fn s15_a_late_holder_does_not_release_the_next_holder_s_lease() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let (one, other) = (migrated(&server).await, store(&server.url()));
    let late = one.lease(&acme(), PATIENT).await.expect("a lease");
    server.psql("update dropbox_sign_tokens set lease_until = now()");
    let held = other.lease(&acme(), PATIENT).await.expect("taken over");
    late.release().await.expect("left alone");
    let error = one.lease(&acme(), AT_ONCE).await.expect_err("held");
    assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
    held.release().await.expect("released");
    one.lease(&acme(), AT_ONCE).await.expect("free");
}

#[tokio::test]
async fn s16_a_wait_for_the_lease_ends_and_names_store_and_account() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let (one, other) = (migrated(&server).await, store(&server.url()));
    let _held = one.lease(&acme(), PATIENT).await.expect("free");
    let impatient = LeaseRequest::new(PATIENT.time_to_live, Duration::from_millis(50));
    let error = other.lease(&acme(), impatient).await.expect_err("held");
    assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
    let text = error.to_string();
    assert!(text.contains(&server.address().to_string()), "{text}");
    assert!(text.contains("`acme`"), "{text}");
}

#[tokio::test]
async fn renewing_starts_the_time_to_live_anew() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    let lease = store.lease(&acme(), PATIENT).await.expect("free");
    assert_eq!(lease.renew_every(), Some(PATIENT.time_to_live / 3));
    let lives_on = || server.psql("select lease_until > now() from dropbox_sign_tokens");
    server.psql("update dropbox_sign_tokens set lease_until = now()");
    assert_eq!(lives_on(), "f");
    // The renewal is late, but no other process acquired the lease meanwhile.
    lease.renew().await.expect("still ours");
    assert_eq!(lives_on(), "t");
    let error = store.lease(&acme(), AT_ONCE).await.expect_err("held");
    assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout);
}

#[tokio::test]
async fn a_lease_that_another_held_meanwhile_is_lost() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let (late, other) = (migrated(&server).await, store(&server.url()));
    let lease = late.lease(&acme(), PATIENT).await.expect("free");
    server.psql("update dropbox_sign_tokens set lease_until = now()");
    let taken = other.lease(&acme(), PATIENT).await.expect("ran out");
    taken.release().await.expect("released");

    let error = lease.renew().await.expect_err("another held it");
    assert_eq!(error.kind(), StoreErrorKind::LeaseLost);
    assert_eq!(error.account(), Some(&acme()));
    other.lease(&acme(), AT_ONCE).await.expect("free");
}

#[tokio::test]
async fn a_wait_for_a_lease_without_an_end_ends_too() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    server.psql(
        "insert into dropbox_sign_tokens (account, lease_owner, lease_until) \
         values ('acme', 'the operator', 'infinity')",
    );
    let error = store.lease(&acme(), AT_ONCE).await.expect_err("held");
    assert_eq!(error.kind(), StoreErrorKind::LeaseTimeout, "{error:?}");
}

/// The server commits the attempt after the waiting task is dropped, and after the first release.
#[tokio::test]
async fn an_attempt_that_is_dropped_while_it_commits_is_released() {
    const LOCK: i64 = 1;

    let Some(server) = Postgres::lent() else {
        return;
    };
    let (one, other) = (migrated(&server).await, store(&server.url()));
    server.psql(&format!(
        "create function wait_for_test() returns trigger language plpgsql as
         $$ begin perform pg_advisory_xact_lock({LOCK}); return null; end $$;
         create constraint trigger wait_for_test after insert on dropbox_sign_tokens
         deferrable initially deferred for each row execute function wait_for_test()"
    ));
    let mut gate = pool(&server.url()).acquire().await.expect("connected");
    lock(&mut gate, &format!("select pg_advisory_lock({LOCK})")).await;

    let account = acme();
    let mut attempt = one.lease(&account, PATIENT);
    let commits = async {
        let waiting = "select count(*) from pg_locks where locktype = 'advisory' and not granted";
        while server.psql(waiting) != "1" {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        _ = &mut attempt => panic!("the lease was acquired"),
        committing = timeout(HANGS, commits) => committing.expect("it commits"),
    }
    drop(attempt);
    // A release that comes now finds no lease.
    for _ in 0..10 {
        assert_eq!(one.load(&account).await.expect("loads"), None);
    }

    lock(&mut gate, &format!("select pg_advisory_unlock({LOCK})")).await;
    other.lease(&account, PATIENT).await.expect("released");
}

async fn lock(gate: &mut sqlx::PgConnection, statement: &str) {
    sqlx::Executor::execute(gate, statement)
        .await
        .expect("locked");
}
