//! A primary that becomes read-only, and connections that end.

use super::{errors::assert_error, *};
use crate::{
    servers::Proxy,
    support::{Endpoint, HOUR},
};
use dropbox_sign_oauth::{Account, ErrorKind, TokenManager, testing::FakeClock};

#[tokio::test]
async fn s90_a_refresh_follows_the_name_from_a_demoted_postgres_primary_to_the_new_one() {
    let Some(old) = Postgres::start() else { return };
    save(&migrated(&old).await, None, "old").await;
    let Some(new) = old.standby() else { return };
    let proxy = Proxy::to(old.address()).await;
    let pool = full_pool(&proxy).await;
    let endpoint = Endpoint::open();
    let account = expired_account(&endpoint, with_pool(pool.clone()));

    assert_eq!(new.psql("select pg_promote()"), "t");
    make_read_only(&old).await;
    proxy.lead_to(new.address());
    account.token().await.expect("a request succeeds");
    assert_eq!(endpoint.posts(), 1);
    let stored = new.psql("select access_token from dropbox_sign_tokens");
    assert_eq!(stored, "access-1");
    until(&old, &format!("select count(*) {PINNED}"), 0).await;
}

#[tokio::test]
async fn s90_every_operation_leaves_the_connections_to_a_hot_standby() {
    let Some(primary) = Postgres::lent() else {
        return;
    };
    let version = save(&migrated(&primary).await, None, "old").await;
    let Some(standby) = primary.standby() else {
        return;
    };
    let lease = store(&primary.url()).lease(&acme(), PATIENT).await;
    let lease = lease.expect("free");
    let proxy = Proxy::to(standby.address()).await;
    let stale = async || {
        proxy.lead_to(standby.address());
        let pool = full_pool(&proxy).await;
        proxy.lead_to(primary.address());
        with_pool(pool)
    };
    stale().await.migrate().await.expect("nothing to do");
    let version = save(&stale().await, Some(version), "new").await;
    lease.release().await.expect("ours");
    let lease = stale().await.lease(&acme(), AT_ONCE).await;
    lease.expect("free").release().await.expect("ours");
    let deleted = stale().await.delete(&acme(), version).await;
    assert!(deleted.expect("deleted"));
}

/// With threads: the standby ends only after the background release of a lease has connected.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s90_without_a_new_postgres_primary_the_error_is_retryable() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let version = save(&migrated(&server).await, None, "old").await;
    server.psql("create role guest login");
    server.psql("alter role guest set default_transaction_read_only = on");
    server.psql("grant all on dropbox_sign_tokens to guest");
    let read_only = store(&server.url().replace("postgres@", "guest@"));
    let Some(standby) = server.standby() else {
        return;
    };
    for store in [read_only, store(&standby.url())] {
        assert_eq!(loaded_version(&store).await, Some(version));
        let (acme, new) = (acme(), Record::new(tokens("new")));
        for error in [
            store.delete(&acme, version).await.err(),
            store
                .compare_and_swap(&acme, Some(version), &new)
                .await
                .err(),
            store.lease(&acme, AT_ONCE).await.err(),
        ] {
            let error = error.expect("read-only");
            assert_error(&error, StoreErrorKind::Unavailable, "read-only");
            let text = error.to_string();
            assert!(text.contains("are read-only"), "{text}");
            assert!(text.contains("wait for the failover"), "{text}");
        }
        assert_eq!(loaded_version(&store).await, Some(version));

        let endpoint = Endpoint::open();
        let error = expired_account(&endpoint, store).token().await;
        let error = error.expect_err("no lease");
        assert_eq!(error.kind(), ErrorKind::StoreUnavailable);
        assert!(error.is_retryable());
        assert_eq!(endpoint.posts(), 0);
    }
}

/// The pool hands out the ended connections untested.
#[tokio::test]
async fn s90_connections_that_the_server_ended_cost_no_error() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    let options = PgPoolOptions::new()
        .max_connections(1)
        .test_before_acquire(false);
    let url = format!("{}?application_name=pinned", server.url());
    let pool = options.connect(&url).await.expect("a connection");
    let store = with_pool(pool.clone());
    let mut version = None;
    for name in ["a", "b", "c"] {
        until_idle(&pool, 1).await;
        server.psql(&format!("select pg_terminate_backend(pid) {PINNED}"));
        until(&server, &format!("select count(*) {PINNED}"), 0).await;
        version = Some(save(&store, version, name).await);
    }
}

#[tokio::test]
async fn s90_a_statement_that_the_server_cancelled_for_another_s_sake_is_sent_again() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    for code in ["40001", "40P01", "57P01", "25006", "08006"] {
        fail_once(&server, code, "after insert");
        save(&store, None, "a").await;
        assert_eq!(server.psql("select last_value from runs"), "2", "{code}");
        server.psql("drop table dropbox_sign_tokens; drop sequence runs");
        store.migrate().await.expect("migrated");
    }
}

/// A commit whose response is an error may have taken effect.
#[tokio::test]
async fn s90_a_commit_that_fails_is_not_sent_again() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let store = migrated(&server).await;
    fail_once(&server, "57P01", "at commit");
    let record = Record::new(tokens("new"));
    let error = store.compare_and_swap(&acme(), None, &record).await;
    let error = error.expect_err("it fails once");
    assert_error(&error, StoreErrorKind::Unavailable, "at commit");
    assert_eq!(server.psql("select last_value from runs"), "1");
}

/// Makes the first insertion fail with an SQLSTATE: `after insert`, or `at commit`.
fn fail_once(server: &Postgres, code: &str, when: &str) {
    let trigger = match when {
        "at commit" => {
            "constraint trigger fail after insert on dropbox_sign_tokens deferrable initially deferred"
        }
        _ => "trigger fail after insert on dropbox_sign_tokens",
    };
    server.psql(&format!(
        "create sequence runs;
         create or replace function fail() returns trigger language plpgsql as
         $$ begin
             if nextval('runs') = 1 then raise sqlstate '{code}'; end if;
             return null;
         end $$;
         create {trigger} for each row execute function fail()"
    ));
}

/// Makes the server deny writes on all connections, the open ones included.
async fn make_read_only(server: &Postgres) {
    server.psql("alter system set default_transaction_read_only = on");
    server.psql("select pg_reload_conf()");
    let reloaded = async {
        while server.psql("show default_transaction_read_only") != "on" {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANGS, reloaded).await.expect("reloaded");
}

/// `acme`, whose stored tokens have expired.
fn expired_account(endpoint: &Endpoint, store: PostgresStore) -> Account {
    // A failover takes the machine's time.
    let clock = FakeClock::new().with_tokio_timers();
    clock.advance(48 * HOUR);
    let builder = TokenManager::builder(endpoint.clone(), store).clock(clock);
    let manager = builder.build().expect("a valid configuration");
    manager.account(acme())
}

const PINNED: &str = "from pg_stat_activity where application_name = 'pinned'";

/// A pool with three idle connections through the proxy.
async fn full_pool(proxy: &Proxy) -> PgPool {
    let address = proxy.address();
    let pool = pool(&format!(
        "postgres://postgres@{address}/postgres?application_name=pinned"
    ));
    let mut connections = Vec::new();
    for _ in 0..3 {
        let mut connection = pool.acquire().await.expect("a connection");
        connection.ping().await.expect("connected");
        connection.execute("select 1").await.expect("connected");
        connections.push(connection);
    }
    drop(connections);
    until_idle(&pool, 3).await;
    pool
}

async fn until_idle(pool: &PgPool, connections: usize) {
    let idle = async {
        while pool.num_idle() != connections {
            tokio::task::yield_now().await;
        }
    };
    timeout(HANGS, idle).await.expect("idle connections");
}
