//! More accounts than there is room for in memory. `tests/memory.rs` counts their bytes.

use std::{collections::HashMap, sync::Arc, thread, time::Duration};

use dropbox_sign_oauth::{
    AccountId, AccountState, Clock, EndpointErrorKind, ErrorKind, Event, EventKind, LostResponse,
    RefreshPolicy, TokenManager, TokenManagerBuilder, TokenSet,
    store::{MemoryStore, Record, TokenStore},
    testing::FakeClock,
};
use futures_util::poll;
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::support::{
    Call, Endpoint, Fate, HOUR, MINUTE, SECOND, ScriptedStore, pair, save_record, scaled,
};

const IDLE: Duration = Duration::from_secs(600);

/// A manager with room for few accounts, on fakes.
struct Crowded {
    manager: TokenManager,
    store: ScriptedStore,
    endpoint: Endpoint,
    clock: FakeClock,
    events: mpsc::UnboundedReceiver<Event>,
}

impl Crowded {
    fn new(capacity: usize) -> Self {
        Self::with(Endpoint::open(), |builder| builder.capacity(capacity))
    }

    fn with(
        endpoint: Endpoint,
        set: impl FnOnce(TokenManagerBuilder) -> TokenManagerBuilder,
    ) -> Self {
        let clock = FakeClock::new();
        let store = ScriptedStore::around(Arc::new(MemoryStore::new()));
        let (sender, events) = mpsc::unbounded_channel();
        let builder = TokenManager::builder(endpoint.clone(), store.clone())
            .clock(clock.clone())
            .idle_time(IDLE)
            .event_sink(move |event: &Event| {
                // The test may be over.
                let _ = sender.send(event.clone());
            });
        Self {
            manager: set(builder).build().expect("valid settings"),
            store,
            endpoint,
            clock,
            events,
        }
    }

    /// The store has tokens of the account, which expire in an hour.
    async fn save(&self, name: &str) {
        let record = Record::new(pair(name, self.clock.wall(), HOUR));
        save_record(&self.store, &AccountId::from(name), None, &record).await;
    }

    async fn save_expired(&self, name: &str) {
        let record = Record::new(pair(name, self.clock.wall() - HOUR, HOUR));
        save_record(&self.store, &AccountId::from(name), None, &record).await;
    }

    async fn token(&self, name: &str) -> String {
        let token = self.manager.account(name).token().await.expect("a token");
        token.access_token().expose_secret().to_owned()
    }

    async fn save_crowd(&self, count: usize) {
        for nth in 0..count {
            self.save(&format!("crowd-{nth}")).await;
        }
    }

    /// Uses the accounts of the crowd, a second after each other.
    async fn use_crowd(&self, count: usize) {
        for nth in 0..count {
            self.use_crowd_member(nth).await;
        }
    }

    async fn use_crowd_member(&self, nth: usize) {
        self.clock.advance(SECOND);
        let name = format!("crowd-{nth}");
        assert_eq!(self.token(&name).await, format!("access-{name}"));
    }

    fn loads(&self) -> usize {
        self.store.count(Call::Load)
    }

    /// How many loads the use of an account costs: none while the account is in memory.
    async fn loads_for(&self, name: &str) -> usize {
        let before = self.loads();
        let _ = self.manager.account(name).token().await;
        self.loads() - before
    }

    /// Starts a refresh of the account, and drops the caller.
    async fn start_refresh(&self, name: &str) {
        let account = self.manager.account(name);
        tokio::select! {
            () = self.endpoint.until_posted() => {}
            _ = account.token() => panic!("the call ended without a token request"),
        }
    }

    /// All events of the account.
    async fn events_of(mut self, name: &str) -> Vec<EventKind> {
        self.manager.shutdown().await.expect("saved");
        drop(self.manager);
        let mut events = Vec::new();
        while let Some(event) = self.events.recv().await {
            if event.account.as_str() == name {
                events.push(event.kind);
            }
        }
        events
    }
}

fn is_adoption(event: &EventKind) -> bool {
    matches!(event, EventKind::Adopted { .. })
}

#[tokio::test]
async fn s50_ten_thousand_accounts_leave_a_hundred_in_memory_and_come_back_without_a_post() {
    let (endpoint, clock) = (Endpoint::open(), FakeClock::new());
    let store = ScriptedStore::around(Arc::new(MemoryStore::new()));
    let builder = TokenManager::builder(endpoint.clone(), store.clone());
    let builder = builder.clock(clock.clone()).capacity(100);
    let manager = builder.build().expect("valid settings");
    let record = Record::new(pair("any", clock.wall(), HOUR));
    let mut most = 0;
    for nth in 0..10_000 {
        clock.advance(Duration::from_millis(1));
        let id = AccountId::from(format!("crowd-{nth}"));
        save_record(&store, &id, None, &record).await;
        manager.account(id).token().await.expect("a token");
        most = most.max(manager.accounts_in_memory());
    }
    assert!((80..=100).contains(&most), "{most}");
    assert_eq!(store.count(Call::Load), 10_000);
    for (name, loads) in [("crowd-9999", 0), ("crowd-0", 1)] {
        manager.account(name).token().await.expect("a token");
        assert_eq!(store.count(Call::Load), 10_000 + loads);
    }
    assert_eq!(endpoint.posts(), 0);
}

#[tokio::test]
async fn s50_an_account_in_a_refresh_stays_in_memory() {
    let crowded = Crowded::with(Endpoint::gated(), |builder| builder.capacity(8));
    crowded.save_expired("acme").await;
    crowded.start_refresh("acme").await;
    crowded.save_crowd(100).await;
    crowded.use_crowd(100).await;
    crowded.clock.advance(2 * IDLE);
    crowded.use_crowd(1).await;

    let loads = crowded.loads();
    let account = crowded.manager.account("acme");
    let mut token = Box::pin(account.token());
    assert!(poll!(&mut token).is_pending());
    crowded.endpoint.release();
    let token = token.await.expect("a token").access_token();
    assert_eq!(token.expose_secret(), "access-1");
    assert_eq!(crowded.endpoint.posts(), 1);
    assert_eq!(
        crowded.loads(),
        loads,
        "a second account of the name has loaded"
    );
}

#[tokio::test]
async fn s113_an_account_with_a_handle_stays_in_memory() {
    let crowded = Crowded::new(8);
    crowded.save("acme").await;
    crowded.save_crowd(100).await;
    let handle = crowded.manager.account("acme");
    handle.token().await.expect("a token");
    crowded.use_crowd(50).await;
    crowded.clock.advance(2 * IDLE);
    crowded.use_crowd(50).await;
    assert_eq!(crowded.loads_for("acme").await, 0);
    drop(handle);
    crowded.use_crowd(100).await;
    assert_eq!(crowded.loads_for("acme").await, 1);
}

#[tokio::test]
async fn s113_handles_to_more_accounts_than_there_is_room_for_stay_and_share_their_accounts() {
    let crowded = Crowded::new(8);
    let name = |nth| format!("held-{nth}");
    let held: Vec<_> = (0..1_000)
        .map(|nth| crowded.manager.account(name(nth)))
        .collect();
    assert_eq!(crowded.manager.accounts_in_memory(), 1_000);
    for (nth, account) in held.iter().enumerate() {
        let again = crowded.manager.account(name(nth));
        assert_eq!(place(account.id()), place(again.id()));
    }
    drop(held);
    crowded.clock.advance(IDLE);
    crowded.manager.account("next");
    crowded.clock.advance(IDLE);
    crowded.manager.account("last");
    assert_eq!(crowded.manager.accounts_in_memory(), 1);
}

/// The account has unsaved tokens, and no task saves them.
async fn unsaved() -> Crowded {
    let policy = RefreshPolicy {
        save_budget: Duration::ZERO,
        save_give_up: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let crowded = Crowded::with(Endpoint::open(), |builder| {
        builder.capacity(8).policy(policy)
    });
    crowded.save_crowd(100).await;
    crowded.save_expired("acme").await;
    crowded.store.next_saves([Fate::Work]);
    crowded.store.every_save(Fate::Fail);
    assert_eq!(crowded.token("acme").await, "access-1");
    crowded
}

#[tokio::test]
async fn s113_an_account_with_unsaved_tokens_stays_in_memory_and_shutdown_saves_them() {
    let crowded = unsaved().await;
    crowded.use_crowd(100).await;
    crowded.clock.advance(IDLE);
    crowded.use_crowd(1).await;
    assert_eq!(crowded.loads_for("acme").await, 0);

    crowded.store.every_save(Fate::Work);
    crowded.manager.shutdown().await.expect("saved");
    let record = crowded.store.load(&AccountId::from("acme")).await;
    let tokens = record.expect("loads").expect("a record").tokens;
    assert_eq!(tokens.refresh_token(), Some(&"refresh-1".into()));
}

#[tokio::test]
async fn s113_an_account_that_left_its_intent_in_the_store_stays_in_memory() {
    let policy = RefreshPolicy {
        save_give_up: Duration::ZERO,
        unsent_budget: Duration::ZERO,
        ..RefreshPolicy::default()
    };
    let crowded = Crowded::with(Endpoint::open(), |builder| {
        builder.capacity(8).policy(policy)
    });
    crowded.save_crowd(100).await;
    crowded.save_expired("acme").await;
    crowded.endpoint.fail_with([EndpointErrorKind::NotSent]);
    crowded.store.next_saves([Fate::Work]);
    crowded.store.every_save(Fate::Fail);
    let failed = crowded.manager.account("acme").token().await;
    assert_eq!(failed.expect_err("not sent").kind(), ErrorKind::Unavailable);
    crowded.use_crowd(100).await;
    crowded.clock.advance(IDLE);
    crowded.use_crowd(1).await;

    crowded.store.every_save(Fate::Work);
    assert_eq!(crowded.token("acme").await, "access-2");
    let events = crowded.events_of("acme").await;
    let forgot = |event: &EventKind| matches!(event, EventKind::IntentFound { .. });
    assert!(!events.iter().any(forgot), "{events:?}");
}

#[tokio::test]
async fn s113_an_account_stays_in_memory_while_a_failure_holds_its_refresh_up() {
    let crowded = Crowded::new(8);
    crowded.save_crowd(100).await;
    crowded.save_expired("acme").await;
    crowded
        .endpoint
        .fail_with([EndpointErrorKind::Configuration]);
    let fail = async || {
        let failed = crowded.manager.account("acme").token().await;
        assert_eq!(failed.expect_err("held").kind(), ErrorKind::Configuration);
    };
    fail().await;
    // The default policy holds for a minute.
    crowded.use_crowd(50).await;
    fail().await;
    assert_eq!(crowded.endpoint.posts(), 1);
    crowded.clock.advance(MINUTE);
    crowded.use_crowd(50).await;
    assert_eq!(crowded.token("acme").await, "access-2");
}

#[test]
fn s113_threads_that_look_accounts_up_never_see_two_of_one_name() {
    const NAMES: usize = 24;
    let crowded = Crowded::new(8);
    // The accounts that a thread has a handle to: the place of the name, and the number of handles.
    let held: Mutex<HashMap<usize, (usize, usize)>> = Mutex::default();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut random = fastrand::Rng::new();
                for _ in 0..scaled(5_000, 20_000) {
                    let nth = random.usize(..NAMES);
                    let account = crowded.manager.account(format!("name-{nth}"));
                    let at = place(account.id());
                    let mut all = held.lock();
                    let (known, handles) = all.entry(nth).or_insert((at, 0));
                    assert!(*handles == 0 || *known == at, "two accounts of one name");
                    (*known, *handles) = (at, *handles + 1);
                    drop(all);
                    crowded.clock.advance(SECOND);
                    held.lock().get_mut(&nth).expect("held").1 -= 1;
                    drop(account);
                }
            });
        }
    });
    assert!(crowded.manager.accounts_in_memory() <= NAMES);
}

/// Where an account keeps its name: two accounts of one name keep the name twice.
fn place(id: &AccountId) -> usize {
    id.as_str().as_ptr().addr()
}

#[tokio::test]
async fn s114_an_account_that_nobody_used_for_the_idle_time_leaves_and_comes_back_with_one_load() {
    let crowded = Crowded::new(1_000);
    for name in ["acme", "second", "third"] {
        crowded.save(name).await;
    }
    let first = crowded.manager.account("acme").token().await;
    let first = first.expect("a token").generation();
    crowded.clock.advance(IDLE / 2);
    crowded.token("second").await;
    assert_eq!(crowded.manager.accounts_in_memory(), 2);
    crowded.clock.advance(IDLE / 2);
    crowded.token("third").await;
    assert_eq!(crowded.manager.accounts_in_memory(), 2, "`acme` left");

    let loads = crowded.loads();
    let account = crowded.manager.account("acme");
    let again = account.token().await.expect("a token");
    assert_eq!(crowded.loads(), loads + 1);
    assert_eq!(crowded.endpoint.posts(), 0);
    // A late 401 to the earlier token does not count for the later one.
    assert!(again.generation() > first);
    let replaced = account.replace_rejected(first).await.expect("a token");
    assert_eq!(replaced.expect("a token").generation(), again.generation());
    assert_eq!(crowded.endpoint.posts(), 0);
    drop(account);

    let events = crowded.events_of("acme").await;
    assert_eq!(events.len(), 2, "{events:?}");
    assert!(events.iter().all(is_adoption), "{events:?}");
}

#[tokio::test]
async fn s114_the_use_of_an_account_starts_its_idle_time_anew() {
    let crowded = Crowded::new(1_000);
    crowded.save("acme").await;
    crowded.token("acme").await;
    for nth in 0..8 {
        crowded.clock.advance(IDLE / 2);
        crowded.save(&format!("crowd-{nth}")).await;
        crowded.token(&format!("crowd-{nth}")).await;
        assert_eq!(crowded.loads_for("acme").await, 0);
    }
}

#[tokio::test]
async fn s114_the_end_of_a_refresh_lets_idle_accounts_leave() {
    let crowded = Crowded::new(1_000);
    crowded.save("acme").await;
    crowded.token("acme").await;
    let handle = crowded.manager.account("busy");
    handle
        .install(pair("busy", crowded.clock.wall(), MINUTE))
        .await
        .expect("installed");
    assert_eq!(crowded.manager.accounts_in_memory(), 2);
    crowded.clock.advance(IDLE);
    handle.token().await.expect("a token");
    // The task of the refresh has ended by the end of the shutdown.
    crowded.manager.shutdown().await.expect("saved");
    assert_eq!(crowded.manager.accounts_in_memory(), 1);
}

#[tokio::test]
async fn s114_an_account_that_comes_back_after_the_shutdown_is_closed() {
    let crowded = Crowded::new(8);
    crowded.save_crowd(50).await;
    crowded.use_crowd(50).await;
    crowded.manager.shutdown().await.expect("saved");
    let error = crowded.manager.account("crowd-0").token().await;
    assert_eq!(error.expect_err("closed").kind(), ErrorKind::ShutDown);
}

/// Lets `acme` leave memory.
async fn leave(crowded: &Crowded) {
    crowded.clock.advance(IDLE);
    crowded.manager.account("first");
    crowded.clock.advance(IDLE);
    crowded.manager.account("second");
    assert_eq!(crowded.manager.accounts_in_memory(), 1);
}

#[tokio::test]
async fn s61_a_refusal_counts_for_an_account_that_left_memory() {
    let crowded = Crowded::new(1_000);
    crowded.save_expired("acme").await;
    crowded
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    for _ in 0..2 {
        let refused = crowded.manager.account("acme").token().await;
        assert_eq!(
            refused.expect_err("refused").kind(),
            ErrorKind::GrantRefused
        );
        leave(&crowded).await;
    }
    assert_eq!(crowded.endpoint.posts(), 1);
}

#[tokio::test]
async fn s52_without_replay_a_token_that_may_be_spent_is_not_presented_after_its_account_left_memory()
 {
    let policy = RefreshPolicy {
        lost_response: LostResponse::NeverReplay,
        ..RefreshPolicy::default()
    };
    let crowded = Crowded::with(Endpoint::open(), |builder| builder.policy(policy));
    crowded.save_expired("acme").await;
    crowded.endpoint.fail_with([EndpointErrorKind::Transient]);
    for _ in 0..2 {
        let ambiguous = crowded.manager.account("acme").token().await;
        assert_eq!(
            ambiguous.expect_err("may be spent").kind(),
            ErrorKind::Ambiguous
        );
        leave(&crowded).await;
    }
    assert_eq!(crowded.endpoint.posts(), 1);
}

#[tokio::test]
async fn s62_a_seed_that_was_used_is_known_after_its_account_left_memory() {
    let crowded = Crowded::new(1_000);
    let seed = || TokenSet::from_refresh_token("refresh-0");
    let installed = crowded.manager.account("acme").seed(seed()).await;
    installed.expect("installed");
    assert_eq!(crowded.token("acme").await, "access-1");
    crowded.clock.advance(HOUR);
    leave(&crowded).await;
    crowded
        .endpoint
        .fail_with([EndpointErrorKind::GrantRefused]);
    let account = crowded.manager.account("acme");
    account.token().await.expect_err("refused");
    let again = account.seed(seed()).await.expect("a look");
    assert_eq!(again, dropbox_sign_oauth::Seeded::Spent);
}

#[tokio::test]
async fn s115_names_that_nobody_is_signed_in_to_leave_memory() {
    let crowded = Crowded::with(Endpoint::open(), |builder| builder);
    let mut most = 0;
    for nth in 0..scaled(5_000, 20_000) {
        let account = crowded.manager.account(format!("path-{nth}"));
        let error = account.token().await.expect_err("not signed in");
        assert_eq!(error.kind(), ErrorKind::NotAuthorized);
        crowded.clock.advance(Duration::from_millis(100));
        most = most.max(crowded.manager.accounts_in_memory());
    }
    assert!(most <= 2_500, "{most}");
    crowded.clock.advance(IDLE);
    crowded.manager.account("path-next");
    assert_eq!(crowded.manager.accounts_in_memory(), 1);
}

#[tokio::test]
async fn s156_a_name_that_is_asked_for_its_sign_in_leaves_nothing_in_memory() {
    let crowded = Crowded::new(8);
    crowded.save_crowd(20).await;
    let asked = crowded.loads();
    for nth in 0..20 {
        crowded.use_crowd_member(nth).await;
        for _ in 0..3 {
            let signed_in = crowded.manager.account("nobody").is_signed_in().await;
            assert!(!signed_in.expect("an answer"));
        }
    }
    assert_eq!(crowded.loads() - asked, 40, "one look for each second");
    for nth in 0..1_000 {
        let account = crowded.manager.account(format!("path-{nth}"));
        assert!(!account.is_signed_in().await.expect("an answer"));
        crowded.clock.advance(Duration::from_millis(100));
    }
    crowded.clock.advance(IDLE);
    crowded.manager.account("path-next");
    assert_eq!(crowded.manager.accounts_in_memory(), 1);
    assert!(crowded.events_of("nobody").await.is_empty());
}

#[tokio::test]
async fn s115_a_name_that_is_asked_again_and_again_asks_the_store_once_a_second_and_reports_once() {
    let crowded = Crowded::new(8);
    crowded.save_crowd(100).await;
    let mut looks = 0;
    for _ in 0..3 {
        for nth in 0..100 {
            crowded.use_crowd_member(nth).await;
            for _ in 0..3 {
                looks += crowded.loads_for("nobody").await;
            }
        }
    }
    // Each member of the crowd is used a second after the one before.
    assert_eq!(looks, 300);
    let events = crowded.events_of("nobody").await;
    assert_eq!(events.len(), 1, "{events:?}");
}

#[tokio::test]
async fn s157_the_statuses_of_all_accounts_make_and_keep_none() {
    let crowded = Crowded::new(100);
    for name in ["zoe", "acme", "Bob"] {
        crowded.save(name).await;
        crowded.token(name).await;
    }
    let nobody = crowded.manager.account("nobody").token().await;
    nobody.expect_err("not signed in");
    let loads = crowded.loads();
    crowded.clock.advance(IDLE);
    let statuses = crowded.manager.statuses();
    let known = statuses.iter();
    let known: Vec<_> = known
        .map(|status| (status.account.as_str(), status.state()))
        .collect();
    let expected = [
        ("Bob", AccountState::Fresh),
        ("acme", AccountState::Fresh),
        ("nobody", AccountState::NotSignedIn),
        ("zoe", AccountState::Fresh),
    ];
    assert_eq!(known, expected);
    assert_eq!(crowded.loads(), loads, "a status loads nothing");
    let alone = crowded.manager.account("acme").status();
    assert_eq!(format!("{:?}", statuses[1]), format!("{alone:?}"));

    // The statuses are no use of the accounts, and hold no handle.
    crowded.manager.account("stranger");
    let [status] = &*crowded.manager.statuses() else {
        panic!("the others were idle")
    };
    assert_eq!(status.account, AccountId::from("stranger"));
}

#[tokio::test]
async fn s132_the_names_are_in_order_and_neither_names_nor_statuses_count_as_a_use() {
    let crowded = Crowded::new(100);
    for name in ["zoe", "acme", "Bob"] {
        crowded.save(name).await;
        crowded.token(name).await;
    }
    let names = crowded.manager.accounts();
    assert_eq!(names, ["Bob", "acme", "zoe"].map(AccountId::from));

    let loads = crowded.loads();
    crowded.clock.advance(IDLE);
    for name in &names {
        let status = crowded.manager.account(name).status();
        assert_eq!(status.state(), AccountState::Fresh);
    }
    assert_eq!(crowded.loads(), loads, "a status loads nothing");
    crowded.manager.account("stranger");
    let names = crowded.manager.accounts();
    assert_eq!(names, [AccountId::from("stranger")], "the others were idle");
}
