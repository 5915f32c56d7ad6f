//! The sinks of events, each on a thread of its own.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{SyncSender, sync_channel},
    },
    time::Duration,
};

use parking_lot::RwLock;
use tokio::sync::watch;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

#[cfg(feature = "tracing")]
use super::trace::trace;
use super::{Event, EventKind};
use crate::{account_id::AccountId, runtime::within};

/// Receives every [`Event`] of a manager. Closures are sinks, if they name the type of their
/// parameter: `|event: &Event| …`.
///
/// Each sink runs on a thread of its own and receives the events in their order. A sink may block,
/// use the client or panic without holding up a refresh. When a sink falls 1,024 events behind,
/// further events are dropped until it catches up. Events that a sink has not handled when the
/// process ends are lost: [`TokenManager::shutdown`](crate::TokenManager::shutdown) and
/// [`TokenManager::flush`](crate::TokenManager::flush) wait up to 5 seconds for the sinks, and
/// `shutdown` then ends them. A sink that holds the manager or an account keeps both
/// alive until `shutdown`.
///
/// ```
/// use dropbox_sign_oauth::{Event, EventKind, EventSink};
///
/// /// Counts failed refreshes.
/// #[derive(Default)]
/// struct Failures(u64);
///
/// impl EventSink for Failures {
///     fn on_event(&mut self, event: &Event) {
///         if let EventKind::RefreshFailed { .. } = event.kind {
///             self.0 += 1;
///         }
///     }
/// }
/// ```
pub trait EventSink: Send + 'static {
    /// Handles one event.
    fn on_event(&mut self, event: &Event);
}

impl<F: FnMut(&Event) + Send + 'static> EventSink for F {
    fn on_event(&mut self, event: &Event) {
        self(event);
    }
}

/// Where events leave the accounts.
#[derive(Default)]
pub(crate) struct Events {
    sinks: RwLock<Vec<Running>>,
    threads: TaskTracker,
}

/// A sink on its thread.
struct Running {
    sender: SyncSender<Event>,
    /// How many events the sink was given.
    given: AtomicU64,
    /// How many events the sink has handled.
    handled: watch::Receiver<u64>,
}

impl Events {
    /// How far a sink may fall behind.
    const BACKLOG: usize = 1024;

    /// How long a shutdown or a flush waits for sinks that are behind.
    const LONGEST_WAIT: Duration = Duration::from_secs(5);

    /// Starts a thread for each sink; the threads end with the `Events`.
    pub(crate) fn start(sinks: Vec<Box<dyn EventSink>>) -> std::io::Result<Self> {
        let threads = TaskTracker::new();
        let start = |sink| Self::start_one(sink, threads.token());
        let sinks: std::io::Result<_> = sinks.into_iter().map(start).collect();
        Ok(Self {
            sinks: RwLock::new(sinks?),
            threads,
        })
    }

    fn start_one(
        mut sink: Box<dyn EventSink>,
        running: TaskTrackerToken,
    ) -> std::io::Result<Running> {
        let (sender, receiver) = sync_channel::<Event>(Self::BACKLOG);
        let (count, handled) = watch::channel(0);
        std::thread::Builder::new()
            .name("dropbox-sign-oauth-events".to_owned())
            .spawn(move || {
                for event in receiver {
                    // A sink that panics misses this event and still gets the next events.
                    let _ = catch_unwind(AssertUnwindSafe(|| sink.on_event(&event)));
                    count.send_modify(|count| *count += 1);
                }
                drop(sink);
                drop(running);
            })?;
        Ok(Running {
            sender,
            given: AtomicU64::new(0),
            handled,
        })
    }

    /// Never blocks and never panics: a refresh must not depend on a sink.
    pub(crate) fn emit(&self, account: &AccountId, kind: EventKind) {
        #[cfg(feature = "tracing")]
        trace(account, &kind);

        let sinks = self.sinks.read();
        if sinks.is_empty() {
            return;
        }
        let event = Event {
            account: account.clone(),
            kind,
        };
        for sink in &*sinks {
            // A full or ended sink misses the event.
            if sink.sender.try_send(event.clone()).is_ok() {
                sink.given.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Waits until each sink has handled the events that it was given so far. Not for ever: a sink may
    /// hang, or wait for this very flush.
    pub(crate) async fn flush(&self) {
        let behind = |sink: &Running| (sink.given.load(Ordering::Relaxed), sink.handled.clone());
        let behind: Vec<_> = self.sinks.read().iter().map(behind).collect();
        let handled = async {
            for (given, mut handled) in behind {
                // The thread of a sink that was ended handles no more events.
                let _ = handled.wait_for(|handled| *handled >= given).await;
            }
        };
        let _ = within(Self::LONGEST_WAIT, handled).await;
    }

    /// Accepts no more events, and waits until each sink has handled its events and was dropped. Not
    /// for ever: a sink may hang, or wait for this very shutdown.
    pub(crate) async fn close(&self) {
        // Without the senders, the threads end.
        self.sinks.write().clear();
        self.threads.close();
        let _ = within(Self::LONGEST_WAIT, self.threads.wait()).await;
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("sinks", &self.sinks.read().len())
            .finish()
    }
}
