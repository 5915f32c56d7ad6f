//! Events of tokens, for logs, metrics and alerts. No event holds a secret.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{SyncSender, sync_channel},
    time::{Duration, SystemTime},
};

use parking_lot::RwLock;
use tokio_util::task::{TaskTracker, task_tracker::TaskTrackerToken};

use crate::{
    account_id::AccountId, error::Error, runtime::within, store::StoreError, token::Generation,
};

/// An event of one account's tokens.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Event {
    /// The account.
    pub account: AccountId,
    /// The kind of event.
    pub kind: EventKind,
}

/// The kind of an [`Event`].
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A token request is about to be sent.
    #[non_exhaustive]
    RefreshStarted {
        /// Why.
        reason: RefreshReason,
    },
    /// The service granted a new token, and the account saved it, or keeps it in memory.
    #[non_exhaustive]
    Refreshed {
        /// The new token's generation.
        generation: Generation,
        /// The lifetime of the new token.
        lifetime: Duration,
        /// Whether the service replaced the refresh token too.
        rotated: bool,
    },
    /// The store holds a newer token, which is now in use. No request was sent.
    #[non_exhaustive]
    Adopted {
        /// The token's generation.
        generation: Generation,
    },
    /// A refresh failed. The kind of the error says whether the refresh is retried.
    #[non_exhaustive]
    RefreshFailed {
        /// The error that all waiting callers got.
        error: Error,
    },
    /// The stored record holds an intent without an outcome: another process was killed or lost the
    /// store, or a refresh of this process was aborted. The refresh token may be spent;
    /// [`LostResponse`](crate::LostResponse) says whether the token is presented again.
    #[non_exhaustive]
    IntentFound {
        /// When the refresh token was about to be presented.
        presented_at: SystemTime,
    },
    /// A token request could not be sent or its response was lost, and the request is sent again.
    #[non_exhaustive]
    RequestRepeated {
        /// Whether the first request may have spent the refresh token.
        ambiguous: bool,
    },
    /// Granted tokens could not be saved.
    #[non_exhaustive]
    SaveFailed {
        /// Why.
        error: StoreError,
        /// Counts from 1.
        attempt: u32,
        /// Whether this was the last attempt before the next refresh. The tokens stay in memory.
        gave_up: bool,
    },
    /// Tokens that an earlier attempt could not save are saved.
    SaveRecovered,
    /// The store refused a save because it holds a newer record, which now counts.
    SaveConflict,
    /// The lease could not be renewed or released. Saves are fenced by their version, so nothing is
    /// overwritten.
    #[non_exhaustive]
    LeaseLost {
        /// Why.
        error: StoreError,
    },
    /// The API rejected a token with a 401.
    #[non_exhaustive]
    Rejected {
        /// The token's generation.
        generation: Generation,
        /// Whether a newer token exists or is being fetched. `false` if the rejected token was
        /// itself granted only a moment ago.
        refreshes: bool,
    },
    /// A request left without a token, because its origin is not on the middleware's list. The account
    /// is the account whose token the request would have got. A request without an account causes no event,
    /// only the warning of the feature `tracing`.
    ///
    /// Reported once for each origin and middleware, for up to 64 origins. If the API is at this origin,
    /// [list](crate::middleware::TokenRefreshMiddlewareBuilder::origins) the origin.
    #[non_exhaustive]
    OriginNotListed {
        /// Scheme, host and port.
        origin: String,
        /// The status of the response, a 401 for example. `None` if there was no response.
        status: Option<u16>,
    },
    /// Tokens were installed.
    #[non_exhaustive]
    Installed {
        /// The token's generation.
        generation: Generation,
    },
    /// The account was signed out and its record removed.
    SignedOut,
    /// Work was left that only [`TokenManager::shutdown`](crate::TokenManager::shutdown) waits for: the
    /// last handle to the account has gone, or the runtime of a refresh was shut down. If the process
    /// ends now, new tokens are lost, and the next process presents a spent refresh token.
    #[non_exhaustive]
    Abandoned {
        /// The work.
        unfinished: Unfinished,
    },
}

/// The work that was left in [`EventKind::Abandoned`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unfinished {
    /// A refresh is under way, or was aborted while the refresh token was presented.
    Refresh,
    /// New tokens are in memory, and not in the store.
    Save,
}

/// Why a refresh started.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshReason {
    /// The token is within the refresh window.
    Stale,
    /// The token has expired, or the account had no token yet.
    Expired,
    /// The API rejected the token.
    Rejected,
}

/// Receives every [`Event`] of a manager. Closures are sinks, if they name the type of their
/// parameter: `|event: &Event| …`.
///
/// Each sink runs on a thread of its own and receives the events in their order. A sink may block,
/// use the client or panic without holding up a refresh. When a sink falls 1,024 events behind,
/// further events are dropped until it catches up. Events that a sink has not handled when the
/// process ends are lost: [`TokenManager::shutdown`](crate::TokenManager::shutdown) waits up to 5
/// seconds for the sinks, and then ends them. A sink that holds the manager or an account keeps both
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
    sinks: RwLock<Vec<SyncSender<Event>>>,
    threads: TaskTracker,
}

impl Events {
    /// How far a sink may fall behind.
    const BACKLOG: usize = 1024;

    /// How long a shutdown waits for sinks that are behind.
    const LONGEST_CLOSING: Duration = Duration::from_secs(5);

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
    ) -> std::io::Result<SyncSender<Event>> {
        let (sender, receiver) = sync_channel::<Event>(Self::BACKLOG);
        std::thread::Builder::new()
            .name("dropbox-sign-oauth-events".to_owned())
            .spawn(move || {
                for event in receiver {
                    // A sink that panics misses this event and still gets the next events.
                    let _ = catch_unwind(AssertUnwindSafe(|| sink.on_event(&event)));
                }
                drop(sink);
                drop(running);
            })?;
        Ok(sender)
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
            let _ = sink.try_send(event.clone());
        }
    }

    /// Accepts no more events, and waits until each sink has handled its events and was dropped. Not
    /// for ever: a sink may hang, or wait for this very shutdown.
    pub(crate) async fn close(&self) {
        // Without the senders, the threads end.
        self.sinks.write().clear();
        self.threads.close();
        let _ = within(Self::LONGEST_CLOSING, self.threads.wait()).await;
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("sinks", &self.sinks.read().len())
            .finish()
    }
}

/// The target of all events in `tracing`.
#[cfg(feature = "tracing")]
pub(crate) const TARGET: &str = "dropbox_sign_oauth";

#[cfg(feature = "tracing")]
fn trace(account: &AccountId, kind: &EventKind) {
    match kind {
        EventKind::RefreshFailed { error } => {
            tracing::warn!(target: TARGET, %account, %error, "refresh failed");
        }
        EventKind::SaveFailed {
            error,
            attempt,
            gave_up,
        } => {
            tracing::error!(target: TARGET, %account, %error, attempt, gave_up, "save failed");
        }
        EventKind::LeaseLost { error } => {
            tracing::warn!(target: TARGET, %account, %error, "lease lost");
        }
        EventKind::Refreshed {
            generation,
            lifetime,
            rotated,
        } => {
            tracing::info!(target: TARGET, %account, %generation, ?lifetime, rotated, "refreshed");
        }
        EventKind::Abandoned { unfinished } => {
            tracing::warn!(
                target: TARGET, %account, ?unfinished,
                "work was left: call `TokenManager::shutdown` before the program ends"
            );
        }
        EventKind::IntentFound { presented_at } => {
            tracing::warn!(target: TARGET, %account, ?presented_at, "refresh token may be spent");
        }
        // The middleware warns by itself, since a request may have no account.
        EventKind::OriginNotListed { .. } => {}
        other => tracing::debug!(target: TARGET, %account, event = ?other),
    }
}
