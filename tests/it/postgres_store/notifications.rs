//! Waiting for a lease with notifications of its release.

use sqlx::postgres::PgListener;
use tokio::task::JoinHandle;

use super::*;
use crate::servers::Proxy;

type Waiting = JoinHandle<Result<Box<dyn Lease>, StoreError>>;

#[tokio::test]
async fn a_notification_wakes_a_waiting_process() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    let (one, other) = (patient(&server), patient(&server));
    // Longer than the payload of a notification can be.
    let long = AccountId::from("long".repeat(3000));
    for account in [acme(), long] {
        let lease = one.lease(&account, FOR_HOURS).await.expect("free");
        let waiting = wait(&other, &account);
        until_listening(&server, 1).await;
        lease.release().await.expect("released");
        acquired(waiting).await;
    }
}

#[tokio::test]
async fn one_connection_listens_for_all_waiting_tasks_and_only_while_they_wait() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    let (one, other) = (patient(&server), patient(&server));
    let mut held = Vec::new();
    for n in 0..20 {
        let account = AccountId::from(format!("account {n}"));
        let lease = one.lease(&account, FOR_HOURS).await.expect("free");
        // Two tasks for each account: the second acquires the lease after the first.
        held.push((lease, wait(&other, &account), wait(&other, &account)));
    }
    until_listening(&server, 1).await;
    for (lease, waiting, next) in held {
        lease.release().await.expect("released");
        let (first, second) = (acquired(waiting), acquired(next));
        tokio::join!(
            async { first.await.release().await.expect("released") },
            async { second.await.release().await.expect("released") },
        );
    }
    until_listening(&server, 0).await;
}

#[tokio::test]
async fn a_wait_that_is_dropped_ends_the_listening() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    let (one, other) = (patient(&server), patient(&server));
    let _lease = one.lease(&acme(), FOR_HOURS).await.expect("free");
    let waiting = wait(&other, &acme());
    until_listening(&server, 1).await;
    waiting.abort();
    until_listening(&server, 0).await;
}

#[tokio::test]
async fn a_waiting_process_listens_again_when_its_connection_is_ended() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    let (one, other) = (patient(&server), patient(&server));
    let lease = one.lease(&acme(), FOR_HOURS).await.expect("free");
    let waiting = wait(&other, &acme());
    until_listening(&server, 1).await;
    let ended = server.psql(&format!("select pid {LISTENERS}"));
    server.psql(&format!("select pg_terminate_backend({ended})"));
    // The moment without a connection may be too short to be seen.
    let another = format!("select count(*) {LISTENERS} and pid <> {ended}");
    until(&server, &another, 1).await;
    lease.release().await.expect("released");
    acquired(waiting).await;
}

#[tokio::test]
async fn a_release_before_the_first_listening_is_found_after_it() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let one = migrated(&server).await;
    let proxy = Proxy::to(server.address()).await;
    proxy.cut();
    let direct = pool(&format!("postgres://postgres@{}/postgres", proxy.address()));
    let own = pool(&format!("{}?application_name=other", server.url()));
    let other = notified(own, direct, NEVER);
    let lease = one.lease(&acme(), FOR_HOURS).await.expect("free");
    let waiting = wait(&other, &acme());
    // A later attempt opens a second connection if the pool has not got the first back yet.
    let has_tried = "select (count(*) > 0)::int from pg_stat_activity \
        where application_name = 'other' and query = 'COMMIT'";
    until(&server, has_tried, 1).await;
    lease.release().await.expect("released");
    proxy.mend();
    acquired(waiting).await;
}

#[tokio::test]
async fn a_waiting_process_polls_when_it_cannot_listen() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    let one = migrated(&server).await;
    let proxy = Proxy::to(server.address()).await;
    let direct = pool(&format!("postgres://postgres@{}/postgres", proxy.address()));
    let other = notified(pool(&server.url()), direct, Duration::from_millis(20));
    let lease = one.lease(&acme(), FOR_HOURS).await.expect("free");
    let waiting = wait(&other, &acme());
    until_listening(&server, 1).await;
    proxy.cut();
    until_listening(&server, 0).await;
    lease.release().await.expect("released");
    acquired(waiting).await;
}

/// Any role of the database may listen, and could compare the hashes of names.
#[tokio::test]
async fn s96_a_notification_tells_a_stranger_no_account() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    server.psql("create role mallory login");
    let stranger = PgListener::connect(&server.url_for("mallory")).await;
    let mut stranger = stranger.expect("connected");
    let listening = stranger.listen("dropbox_sign_oauth_released").await;
    listening.expect("every role may listen");
    let store = patient(&server);
    for _ in 0..2 {
        let lease = store.lease(&acme(), FOR_HOURS).await.expect("free");
        // Drawn at random for each lease.
        let owner = server.psql("select lease_owner from dropbox_sign_tokens");
        lease.release().await.expect("ours");
        let heard = timeout(HANGS, stranger.recv()).await.expect("not hanging");
        assert_eq!(heard.expect("a notification").payload(), owner);
    }
}

/// The poll interval does not delay this attempt.
#[tokio::test]
async fn s13_a_waiting_process_tries_when_the_holder_s_time_is_over() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    let short = LeaseRequest::new(Duration::from_millis(500), FOR_HOURS.wait);
    let dead = patient(&server).lease(&acme(), short).await.expect("free");
    std::mem::forget(dead);
    acquired(wait(&patient(&server), &acme())).await;
}

/// A pooler in transaction mode would hand the state to other clients.
#[tokio::test]
async fn no_session_state_is_left_on_the_store_s_own_connections() {
    let Some(server) = Postgres::lent() else {
        return;
    };
    migrated(&server).await;
    let own = PgPoolOptions::new().max_connections(1);
    let own = own.connect_lazy(&server.url()).expect("a URL");
    let store = notified(own.clone(), pool(&server.url()), NEVER);
    store.migrate().await.expect("migrated");
    let version = save(&store, None, "a").await;
    let lease = store.lease(&acme(), FOR_HOURS).await.expect("free");
    let waiting = wait(&store, &acme());
    until_listening(&server, 1).await;
    lease.renew().await.expect("ours");
    assert_eq!(loaded_version(&store).await, Some(version));
    let state = "select (select count(*) from pg_listening_channels()) \
         + (select count(*) from pg_prepared_statements) \
         + (select count(*) from pg_locks where locktype = 'advisory') \
         + (select count(*) from pg_settings where name in ('statement_timeout', 'search_path') \
            and source = 'session')";
    let mut connection = own.acquire().await.expect("the only one");
    // Unprepared, unlike a query.
    let row = connection.fetch_one(sqlx::raw_sql(state)).await;
    assert_eq!(row.expect("counted").get::<i64, _>(0), 0);
    drop(connection);
    lease.release().await.expect("released");
    acquired(waiting).await;
}

const LISTENERS: &str = "from pg_stat_activity where query like 'LISTEN %'";

/// A store that polls once an hour, and receives notifications of releases.
fn patient(server: &Postgres) -> PostgresStore {
    notified(pool(&server.url()), pool(&server.url()), NEVER)
}

fn notified(own: PgPool, direct: PgPool, poll_interval: Duration) -> PostgresStore {
    let builder = PostgresStore::builder(own).notifications(direct);
    let builder = builder.poll_interval(poll_interval);
    builder.build().expect("a store")
}

fn wait(store: &PostgresStore, account: &AccountId) -> Waiting {
    let (store, account) = (store.clone(), account.clone());
    tokio::spawn(async move { store.lease(&account, FOR_HOURS).await })
}

async fn acquired(waiting: Waiting) -> Box<dyn Lease> {
    let lease = timeout(HANGS, waiting).await.expect("not hanging");
    lease.expect("no panic").expect("a lease")
}

async fn until_listening(server: &Postgres, connections: usize) {
    until(server, &format!("select count(*) {LISTENERS}"), connections).await;
}
