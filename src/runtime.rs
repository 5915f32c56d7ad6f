//! The Tokio runtime that an account's work runs on, and waits that end on any thread.

use std::{
    panic::catch_unwind,
    pin::Pin,
    sync::mpsc,
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::oneshot,
    task::unconstrained,
    time::{sleep, timeout},
};

/// Why no runtime can run a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error("the manager was not built on a runtime, and the call did not come from a runtime")]
    Missing,
    #[error("the runtime on which the manager was built has ended")]
    Ended,
    #[error("the runtime on which the manager was built does not run")]
    NotDriven,
    #[error("the runtime has no timer")]
    NoTimer,
}

/// Why a task ended without a result.
pub(crate) fn end_of_task(is_panic: bool) -> &'static str {
    match is_panic {
        true => "a panic ended its task",
        false => "its runtime was shut down",
    }
}

/// The runtime for a task of a manager that was built on `built_on`.
///
/// A multi-thread runtime runs on its own, and outlives its callers. A current-thread runtime
/// runs while a thread drives it, which is certain for the caller's runtime alone.
pub(crate) fn choose(built_on: Option<&Handle>) -> Result<Handle, Unfit> {
    let current = Handle::try_current().ok();
    let runs_on_its_own =
        built_on.is_some_and(|handle| handle.runtime_flavor() == RuntimeFlavor::MultiThread);
    let candidates = match runs_on_its_own {
        true => [built_on, current.as_ref()],
        false => [current.as_ref(), built_on],
    };
    let mut unfit = Unfit::Missing;
    for candidate in candidates.into_iter().flatten() {
        match check(candidate) {
            Ok(()) => return Ok(candidate.clone()),
            Err(reason) => unfit = reason,
        }
    }
    Err(unfit)
}

fn check(runtime: &Handle) -> Result<(), Unfit> {
    match (has_ended(runtime), has_timer(runtime)) {
        (true, _) => Err(Unfit::Ended),
        (false, false) => Err(Unfit::NoTimer),
        (false, true) => Ok(()),
    }
}

/// A runtime that has ended cancels a task as it is spawned.
fn has_ended(runtime: &Handle) -> bool {
    // The caller's cooperative budget must not make the answer pending.
    let mut task = unconstrained(runtime.spawn(async {}));
    let poll = Pin::new(&mut task).poll(&mut Context::from_waker(Waker::noop()));
    matches!(poll, Poll::Ready(Err(_)))
}

/// Tokio says so by a panic alone.
fn has_timer(runtime: &Handle) -> bool {
    let _context = runtime.enter();
    catch_unwind(|| drop(sleep(Duration::ZERO))).is_ok()
}

/// Whether the caller is on a runtime with a timer.
pub(crate) fn is_current() -> bool {
    Handle::try_current().is_ok_and(|runtime| has_timer(&runtime))
}

/// The output of `work`; `None` if `work` takes longer than `limit`.
///
/// Off a runtime, a thread measures the time.
pub(crate) async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    if is_current() {
        return timeout(limit, work).await.ok();
    }
    let (ring, alarm) = oneshot::channel::<()>();
    // Ends the thread when the wait is over.
    let (_waiting, wait) = mpsc::channel::<()>();
    // Without a thread, the alarm rings at once.
    let _ = thread::Builder::new()
        .name("dropbox-sign-oauth-alarm".to_owned())
        .spawn(move || {
            let _ = wait.recv_timeout(limit);
            drop(ring);
        });
    tokio::select! {
        biased;
        output = work => Some(output),
        _ = alarm => None,
    }
}
