//! A manager that is used from several runtimes, from none, and after its own runtime has ended.

use std::{
    pin::pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, Wake},
    thread::{self, Thread},
    time::{Duration, SystemTime},
};

use dropbox_sign_oauth::{
    Error, ErrorKind, RefreshPolicy, TokenManager, TokenSet, store::MemoryStore,
};
use futures_util::poll;
use tokio::runtime::{Builder, Runtime};

use crate::support::{Endpoint, Fate, HOUR, Kind, MINUTE, ScriptedStore, TestAccount, pair};

fn current_thread() -> Runtime {
    let runtime = Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime")
}

/// Time passes only in the timers of its tasks.
fn paused() -> Runtime {
    let mut builder = Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(true).build();
    runtime.expect("a runtime")
}

fn multi_thread() -> Runtime {
    let mut builder = Builder::new_multi_thread();
    let runtime = builder.worker_threads(1).enable_all().build();
    runtime.expect("a runtime")
}

fn without_timer() -> Runtime {
    let runtime = Builder::new_current_thread().build();
    runtime.expect("a runtime")
}

/// Runs `call` on a thread that is on no runtime.
fn on_plain_thread<T: Send>(call: impl Future<Output = T> + Send) -> T {
    thread::scope(|scope| scope.spawn(|| block_on(call)).join()).expect("no panic")
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn block_on<T>(call: impl Future<Output = T>) -> T {
    let mut call = pin!(call);
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut context = Context::from_waker(&waker);
    loop {
        match call.as_mut().poll(&mut context) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

fn manager() -> TokenManager {
    let builder = TokenManager::builder(Endpoint::open(), MemoryStore::new());
    builder.build().expect("valid settings")
}

/// A manager that was built on this runtime, which no thread drives yet.
fn built_on(runtime: &Runtime) -> TokenManager {
    let _context = runtime.enter();
    manager()
}

/// Everything that a program does with an account.
async fn use_account(manager: &TokenManager) -> Result<(), Error> {
    let account = manager.account("acme");
    let tokens = TokenSet::from_refresh_token("refresh-0");
    account.install(tokens).await?;
    let token = account.token().await?;
    account.replace_rejected(token.generation()).await?;
    account.sign_out().await
}

fn assert_no_runtime(result: Result<(), Error>, cause: &str) {
    let error = result.expect_err(cause);
    assert_eq!(error.kind(), ErrorKind::NoRuntime, "{error}");
    assert!(error.to_string().contains(cause), "{error}");
    assert!(!error.is_retryable() && error.is_configuration());
}

#[test]
fn s80_a_static_manager_serves_each_runtime_after_the_end_of_the_last() {
    static MANAGER: OnceLock<TokenManager> = OnceLock::new();
    for runtime in [current_thread(), current_thread(), multi_thread()] {
        let used = runtime.block_on(async { use_account(MANAGER.get_or_init(manager)).await });
        used.expect("on each runtime");
    }
}

#[test]
fn s80_a_manager_whose_multi_thread_runtime_has_ended_serves_another_runtime() {
    let first = multi_thread();
    let manager = built_on(&first);
    drop(first);
    let second = current_thread();
    let used = second.block_on(use_account(&manager));
    used.expect("on the second runtime");
}

#[test]
fn s80_a_manager_whose_runtime_is_not_driven_serves_another_runtime() {
    let not_driven = current_thread();
    let manager = built_on(&not_driven);
    let other = current_thread();
    other.block_on(async {
        use_account(&manager).await.expect("on the other runtime");
        manager.shutdown().await.expect("nothing to save");
    });
}

#[test]
fn s80_a_plain_thread_uses_the_runtime_of_the_manager() {
    let runtime = multi_thread();
    let manager = built_on(&runtime);
    on_plain_thread(async {
        use_account(&manager)
            .await
            .expect("on the manager's runtime");
        manager.shutdown().await.expect("nothing to save");
    });
}

#[test]
fn s80_a_refresh_outlives_the_runtime_of_its_caller_on_the_multi_thread_runtime_of_the_manager() {
    let runtime = multi_thread();
    let account = {
        let _context = runtime.enter();
        let store = runtime.block_on(ScriptedStore::new(Kind::Memory));
        TestAccount::of(Endpoint::gated(), store, RefreshPolicy::default())
    };
    runtime.block_on(account.install_expired());
    let callers = current_thread();
    callers.block_on(async {
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
    });
    drop(callers);
    account.endpoint.release();
    let token = runtime.block_on(account.token());
    assert_eq!(token.expect("a token"), "access-1");
    assert_eq!(account.presented(), ["refresh-0"]);
}

#[test]
fn s80_without_a_runtime_an_error_says_so() {
    let manager = manager();
    let cause = "not built on a runtime";
    assert_no_runtime(on_plain_thread(use_account(&manager)), cause);
    let token = on_plain_thread(manager.account("acme").token());
    assert_no_runtime(token.map(drop), cause);
    on_plain_thread(manager.shutdown()).expect("nothing to save");
}

#[test]
fn s80_after_the_end_of_the_runtime_a_plain_thread_gets_an_error_that_says_so() {
    for runtime in [current_thread(), multi_thread()] {
        let manager = built_on(&runtime);
        drop(runtime);
        assert_no_runtime(on_plain_thread(use_account(&manager)), "has ended");
        // The failed calls hold nothing up.
        let next = current_thread();
        next.block_on(use_account(&manager)).expect("on a runtime");
    }
}

#[test]
fn s80_a_runtime_without_a_timer_is_an_error_unless_the_runtime_of_the_manager_has_a_timer() {
    let caller = without_timer();
    let without = manager();
    assert_no_runtime(caller.block_on(use_account(&without)), "has no timer");

    let runtime = multi_thread();
    let manager = built_on(&runtime);
    let used = caller.block_on(use_account(&manager));
    used.expect("on the manager's runtime");
}

#[test]
fn s80_a_valid_token_needs_no_runtime() {
    let runtime = current_thread();
    let account = runtime.block_on(TestAccount::new(Kind::Memory));
    runtime.block_on(account.install());
    drop(runtime);
    account.clock.advance(HOUR - 2 * MINUTE);
    let token = on_plain_thread(account.token());
    assert_eq!(token.expect("stale, and valid"), "access-0");
}

#[test]
fn s80_a_caller_whose_flight_ends_with_another_runtime_starts_the_next_flight() {
    let second = paused();
    let store = second.block_on(ScriptedStore::new(Kind::Memory));
    let account = TestAccount::of(Endpoint::gated(), store, RefreshPolicy::default());
    second.block_on(account.install_expired());
    let first = current_thread();
    first.block_on(async {
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
    });
    let mut waits = Box::pin(account.token());
    second.block_on(async { assert!(poll!(&mut waits).is_pending()) });
    drop(first);
    second.block_on(async { assert!(poll!(&mut waits).is_pending(), "a backoff step") });
    account.clock.advance(MINUTE);
    account.endpoint.release();
    let token = second.block_on(waits);
    assert_eq!(token.expect("a token"), "access-2");
}

#[test]
fn s81_calls_on_a_runtime_that_is_not_driven_end_with_an_error_and_take_effect_later() {
    let not_driven = current_thread();
    let manager = {
        let _context = not_driven.enter();
        let policy = RefreshPolicy {
            patience: Duration::from_millis(20),
            ..RefreshPolicy::default()
        };
        let builder = TokenManager::builder(Endpoint::open(), MemoryStore::new());
        builder.policy(policy).build().expect("valid settings")
    };
    let cause = "does not run";
    let account = manager.account("acme");
    let tokens = pair("0", SystemTime::now(), HOUR);
    assert_no_runtime(on_plain_thread(account.install(tokens)), cause);
    assert_no_runtime(on_plain_thread(account.token()).map(drop), cause);
    let error = paused().block_on(manager.shutdown());
    let error = error.expect_err("tasks that have not begun");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(error.account().map(|id| id.as_str()), Some("acme"));

    not_driven.block_on(async {
        manager.shutdown().await.expect("saved");
        let token = account.token().await.expect("installed");
        assert_eq!(token.access_token().expose_secret(), "access-0");
    });
}

#[test]
fn s156_a_thread_on_no_runtime_asks_whether_an_account_is_signed_in() {
    let runtime = multi_thread();
    let account = runtime.block_on(TestAccount::expired(Kind::Memory));
    let other = {
        let _context = runtime.enter();
        account.in_another_process()
    };
    let signed_in = on_plain_thread(other.handle.is_signed_in());
    assert!(signed_in.expect("an answer"));
}

#[tokio::test(start_paused = true)]
async fn s81_an_installation_that_takes_too_long_ends_with_an_error_and_goes_on() {
    let account = TestAccount::new(Kind::Memory).await;
    account.store.next_saves([Fate::WorkFor(HOUR)]);
    let tokens = account.tokens(HOUR);
    let error = account.handle.install(tokens).await.expect_err("too long");
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert!(error.is_retryable());
    tokio::time::sleep(HOUR).await;
    assert_eq!(account.token().await.expect("installed"), "access-0");
}

#[test]
fn s81_a_shutdown_ends_with_an_error_if_the_runtime_of_a_refresh_is_not_driven() {
    let first = current_thread();
    let store = first.block_on(ScriptedStore::new(Kind::Memory));
    let account = TestAccount::of(Endpoint::gated(), store, RefreshPolicy::default());
    first.block_on(async {
        account.install_expired().await;
        let mut token = Box::pin(account.token());
        account.until_posted(&mut token).await;
    });
    let error = paused().block_on(account.manager.shutdown());
    assert_eq!(error.expect_err("under way").kind(), ErrorKind::Timeout);

    account.endpoint.release();
    let shutdown = first.block_on(account.manager.shutdown());
    shutdown.expect("saved");
    assert_eq!(first.block_on(account.saved()).1, "refresh-1");
}
