//! Whatever a hook does, the refresh completes.

use std::sync::{
    Arc, Mutex,
    mpsc::{Receiver, Sender, channel},
};

use dropbox_sign_oauth::{
    Account, Event, EventKind, EventSink, TokenManager, TokenSet, store::MemoryStore,
    testing::FakeClock,
};
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

/// Signs in, then lets the token expire that many times; each time there are some events.
async fn expire(manager: &TokenManager, clock: &FakeClock, times: usize) {
    let account = manager.account("default");
    let tokens = TokenSet::from_refresh_token("refresh-0");
    account.install(tokens).await.expect("installed");
    for n in 1..=times {
        let token = account.token().await.expect("a token");
        assert_eq!(token.access_token().expose_secret(), format!("access-{n}"));
        clock.advance(HOUR);
    }
}

/// Tells of each event, then panics.
struct Panics(Sender<EventKind>);

impl EventSink for Panics {
    fn on_event(&mut self, event: &Event) {
        self.0.send(event.kind.clone()).expect("the test listens");
        // `resume_unwind` does not call the panic hook, which would print it.
        std::panic::resume_unwind(Box::new("scripted"));
    }
}

#[tokio::test]
async fn s49_a_sink_that_panics_holds_nothing_up() {
    let (sender, events) = channel();
    let (manager, clock, endpoint) = manager(Panics(sender));
    expire(&manager, &clock, 3).await;
    assert_eq!(endpoint.posts(), 3);
    manager.shutdown().await.expect("saved");
    drop(manager);
    // It goes on getting events after its panics, to the last.
    let refreshed = events
        .iter()
        .filter(|kind| matches!(kind, EventKind::Refreshed { .. }))
        .count();
    assert_eq!(refreshed, 3);
}

#[tokio::test]
async fn s49_a_sink_that_hangs_holds_nothing_up() {
    let (release, released) = channel::<()>();
    let hangs = move |_: &Event| {
        // Until the test ends.
        let _ = released.recv();
    };
    let (manager, clock, endpoint) = manager(hangs);
    // More events than the backlog holds.
    expire(&manager, &clock, 1_000).await;
    assert_eq!(endpoint.posts(), 1_000);
    manager.shutdown().await.expect("saved");
    drop(release);
}

/// Asks for a token at each event, on the sink's thread.
struct Calls {
    account: Arc<Mutex<Option<Account>>>,
    runtime: Handle,
    got: Sender<bool>,
}

impl EventSink for Calls {
    fn on_event(&mut self, event: &Event) {
        let account = self.account.lock().expect("not poisoned").clone();
        let Some(account) = account else { return };
        if let EventKind::RefreshStarted { .. } = event.kind {
            let token = self.runtime.block_on(account.token());
            self.got.send(token.is_ok()).expect("the test listens");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn s49_a_sink_may_use_the_client() {
    let account = Arc::new(Mutex::new(None));
    let (sender, got): (_, Receiver<bool>) = channel();
    let (manager, clock, endpoint) = manager(Calls {
        account: Arc::clone(&account),
        runtime: Handle::current(),
        got: sender,
    });
    *account.lock().expect("not poisoned") = Some(manager.account("default"));
    expire(&manager, &clock, 1).await;
    let got = tokio::task::spawn_blocking(move || got.recv());
    assert!(got.await.expect("no panic").expect("an answer"));
    assert!(endpoint.posts() >= 1);
    // The account holds the sender of events, whose thread holds the sink.
    account.lock().expect("not poisoned").take();
}
