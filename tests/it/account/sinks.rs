//! Event sinks. No sink delays a refresh.

use std::sync::{
    Arc, Mutex,
    mpsc::{Receiver, Sender, channel},
};

use dropbox_sign_oauth::{
    Account, Event, EventKind, EventSink, TokenManager, TokenSet, store::MemoryStore,
    testing::FakeClock,
};
use futures_util::poll;
use tokio::runtime::Handle;

use crate::support::{Endpoint, HOUR};

fn manager(sink: impl EventSink) -> (TokenManager, FakeClock, Endpoint) {
    let clock = FakeClock::new();
    let endpoint = Endpoint::open();
    let manager = TokenManager::builder(endpoint.clone(), MemoryStore::new())
        .clock(clock.clone())
        .event_sink(sink)
        .build()
        .expect("a valid configuration");
    (manager, clock, endpoint)
}

/// Signs in, and refreshes a number of times. Each refresh has several events.
async fn expire(manager: &TokenManager, clock: &FakeClock, times: usize) {
    let account = manager.account("default");
    let tokens = TokenSet::from_refresh_token("refresh-0");
    account.install(tokens).await.expect("installed");
    for n in 1..=times {
        let token = account.token().await.expect("a token");
        assert_eq!(token.access_token().expose_secret(), format!("access-{n}"));
        // The last token stays good: a sink may still wait for it.
        if n < times {
            clock.advance(HOUR);
        }
    }
}

#[tokio::test]
async fn two_sinks_get_all_events() {
    let (clock, endpoint) = (FakeClock::new(), Endpoint::open());
    let recording = || {
        let (sender, events) = channel();
        let record = move |event: &Event| sender.send(format!("{event:?}")).expect("a receiver");
        (record, events)
    };
    let ((one, of_one), (other, of_other)) = (recording(), recording());
    let manager = TokenManager::builder(endpoint, MemoryStore::new())
        .clock(clock.clone())
        .event_sink(one)
        .event_sink(other)
        .build()
        .expect("a valid configuration");
    expire(&manager, &clock, 2).await;
    manager.shutdown().await.expect("saved");
    drop(manager);
    let events: Vec<_> = of_one.iter().collect();
    let names = [
        "Installed",
        "RefreshStarted",
        "Refreshed",
        "RefreshStarted",
        "Refreshed",
    ];
    assert_eq!(events.len(), names.len(), "{events:?}");
    assert!(
        events
            .iter()
            .zip(names)
            .all(|(event, name)| event.contains(name)),
        "{events:?}"
    );
    assert_eq!(of_other.iter().collect::<Vec<_>>(), events);
}

/// Passes each event to the test, then panics.
struct Panics(Sender<EventKind>);

impl EventSink for Panics {
    fn on_event(&mut self, event: &Event) {
        self.0.send(event.kind.clone()).expect("a receiver");
        // `resume_unwind` does not call the panic hook, which would print the panic.
        std::panic::resume_unwind(Box::new("scripted"));
    }
}

#[tokio::test]
async fn s49_a_sink_that_panics_delays_no_refresh() {
    let (sender, events) = channel();
    let (manager, clock, endpoint) = manager(Panics(sender));
    expire(&manager, &clock, 3).await;
    assert_eq!(endpoint.posts(), 3);
    manager.shutdown().await.expect("saved");
    drop(manager);
    // The sink gets all events, despite its panics.
    let refreshed = events
        .iter()
        .filter(|kind| matches!(kind, EventKind::Refreshed { .. }))
        .count();
    assert_eq!(refreshed, 3);
}

#[tokio::test]
async fn s49_a_sink_that_hangs_delays_no_refresh() {
    let (release, released) = channel::<()>();
    let hangs = move |_: &Event| {
        // Returns after the refreshes.
        let _ = released.recv();
    };
    let (manager, clock, endpoint) = manager(hangs);
    // These are more events than the backlog holds.
    expire(&manager, &clock, 1_000).await;
    assert_eq!(endpoint.posts(), 1_000);
    drop(release);
    manager.shutdown().await.expect("saved");
}

/// Waits for a token when a refresh starts, on the sink's thread.
struct Calls {
    account: Arc<Mutex<Option<Account>>>,
    runtime: Handle,
    results: Sender<bool>,
}

impl EventSink for Calls {
    fn on_event(&mut self, event: &Event) {
        let account = self.account.lock().expect("not poisoned").clone();
        let Some(account) = account else { return };
        if let EventKind::RefreshStarted { .. } = event.kind {
            let token = self.runtime.block_on(account.token());
            // The test waits for the first refresh, and a later one may start.
            let _ = self.results.send(token.is_ok());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s49_a_sink_can_use_the_account() {
    let account = Arc::new(Mutex::new(None));
    let (sender, results): (_, Receiver<bool>) = channel();
    let (manager, _, endpoint) = manager(Calls {
        account: Arc::clone(&account),
        runtime: Handle::current(),
        results: sender,
    });
    let used = manager.account("default");
    *account.lock().expect("not poisoned") = Some(used.clone());
    // The time stands still: the patience of the sink's call would follow the fake clock.
    let tokens = TokenSet::from_refresh_token("refresh-0");
    used.install(tokens).await.expect("installed");
    used.token().await.expect("a token");
    let result = tokio::task::spawn_blocking(move || results.recv());
    assert!(result.await.expect("no panic").expect("a result"));
    assert_eq!(endpoint.posts(), 1);
    // The account holds the sender of the events, and the sink holds the account: a circle.
    account.lock().expect("not poisoned").take();
}

#[tokio::test]
async fn s83_a_shutdown_waits_until_each_sink_has_handled_its_events() {
    let (release, released) = channel::<()>();
    let (sender, events) = channel();
    let (manager, clock, _) = manager(move |event: &Event| {
        let _ = released.recv();
        sender.send(event.kind.clone()).expect("a receiver");
    });
    expire(&manager, &clock, 1).await;
    let mut shutdown = Box::pin(manager.shutdown());
    assert!(poll!(&mut shutdown).is_pending(), "the sink is behind");
    drop(release);
    shutdown.await.expect("saved");
    let handled: Vec<_> = events.try_iter().collect();
    assert_eq!(handled.len(), 3, "{handled:?}");
}

#[tokio::test(start_paused = true)]
async fn s83_a_shutdown_does_not_wait_for_ever_for_a_sink_that_hangs() {
    let (_release, released) = channel::<()>();
    let (manager, clock, _) = manager(move |_: &Event| {
        let _ = released.recv();
    });
    expire(&manager, &clock, 1).await;
    manager.shutdown().await.expect("saved");
}

#[tokio::test]
async fn s83_after_a_shutdown_a_sink_and_the_manager_that_it_holds_go() {
    let held = Arc::new(Mutex::new(None::<TokenManager>));
    let sink = {
        let held = Arc::clone(&held);
        move |_: &Event| drop(held.lock().expect("not poisoned"))
    };
    let (manager, clock, endpoint) = manager(sink);
    *held.lock().expect("not poisoned") = Some(manager.clone());
    let sink_and_manager = Arc::downgrade(&held);
    drop(held);
    expire(&manager, &clock, 1).await;
    manager.shutdown().await.expect("saved");
    drop(manager);
    assert!(sink_and_manager.upgrade().is_none(), "the sink lives");
    assert_eq!(endpoint.handles(), 1, "the manager lives");
}

/// Shuts the manager down when tokens are installed, on the sink's thread.
struct ShutsDown {
    manager: Arc<Mutex<Option<TokenManager>>>,
    runtime: Handle,
    results: tokio::sync::mpsc::UnboundedSender<bool>,
}

impl EventSink for ShutsDown {
    fn on_event(&mut self, _: &Event) {
        let manager = self.manager.lock().expect("not poisoned").take();
        let Some(manager) = manager else { return };
        let shutdown = self.runtime.block_on(manager.shutdown());
        self.results.send(shutdown.is_ok()).expect("a receiver");
    }
}

#[tokio::test(start_paused = true)]
async fn s83_a_sink_can_shut_the_manager_down() {
    let held = Arc::new(Mutex::new(None));
    let (sender, mut results) = tokio::sync::mpsc::unbounded_channel();
    let (manager, _, _) = manager(ShutsDown {
        manager: Arc::clone(&held),
        runtime: Handle::current(),
        results: sender,
    });
    *held.lock().expect("not poisoned") = Some(manager.clone());
    let tokens = TokenSet::from_refresh_token("refresh-0");
    let account = manager.account("default");
    account.install(tokens).await.expect("installed");
    assert!(results.recv().await.expect("a result"));
}
