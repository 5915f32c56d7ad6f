//! What happens to tokens, for logs, metrics and alerts. No event holds a secret.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{SyncSender, TrySendError, sync_channel},
    time::{Duration, SystemTime},
};

use crate::{account_id::AccountId, error::Error, store::StoreError, token::Generation};

/// Something that happened to one account's tokens.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Event {
    /// The account.
    pub account: AccountId,
    /// What happened.
    pub kind: EventKind,
}

/// What happened.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub enum EventKind {
    /// A token request is about to be sent.
    #[non_exhaustive]
    RefreshStarted {
        /// What called for it.
        reason: RefreshReason,
    },
    /// The service granted a new token, and it is in use.
    #[non_exhaustive]
    Refreshed {
        /// The new token's generation.
        generation: Generation,
        /// How long it lives.
        lifetime: Duration,
        /// Whether the service replaced the refresh token too.
        rotated: bool,
    },
    /// A newer token was found in the store and is in use; no request was sent.
    #[non_exhaustive]
    Adopted {
        /// The token's generation.
        generation: Generation,
    },
    /// The refresh failed; the error's kind tells whether it is tried again.
    #[non_exhaustive]
    RefreshFailed {
        /// The result that everybody who waited was given.
        error: Error,
    },
    /// The last refresh has left no outcome in the store: whoever presented the refresh token was
    /// killed, or lost the store. The token may be spent;
    /// [`LostResponse`](crate::LostResponse) says whether it is presented again.
    #[non_exhaustive]
    IntentFound {
        /// When it was about to be presented.
        presented_at: SystemTime,
    },
    /// A token request could not be sent or its response was lost, and it is sent again at once.
    #[non_exhaustive]
    RequestRepeated {
        /// Whether the refresh token may have been spent by the first attempt.
        ambiguous: bool,
    },
    /// Granted tokens could not be saved.
    #[non_exhaustive]
    SaveFailed {
        /// Why.
        error: StoreError,
        /// Counts from 1.
        attempt: u32,
        /// Whether it was the last try before the next refresh. The tokens stay in memory.
        gave_up: bool,
    },
    /// Tokens that could not be saved at first are saved now.
    SaveRecovered,
    /// A save was refused because the store holds a newer record, which now counts.
    SaveConflict,
    /// The lease could not be renewed while a refresh was running. The save is fenced, so nothing
    /// is overwritten.
    #[non_exhaustive]
    LeaseLost {
        /// Why.
        error: StoreError,
    },
    /// The API refused a token with a 401.
    #[non_exhaustive]
    Rejected {
        /// The token's generation.
        generation: Generation,
        /// Whether a newer token is there or is asked for. It is not where the refused one was
        /// itself granted only a moment ago.
        refreshes: bool,
    },
    /// Tokens were installed.
    #[non_exhaustive]
    Installed {
        /// The token's generation.
        generation: Generation,
    },
    /// The account was signed out and its record removed.
    SignedOut,
}

/// What called for a refresh.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshReason {
    /// The token is within the refresh window.
    Stale,
    /// The token has expired, or there was none yet.
    Expired,
    /// The API refused the token.
    Rejected,
}

/// Is told of every [`Event`].
///
/// It runs on a thread of its own, in the order of the events: it may block, use the client or
/// panic without holding up a refresh. When it falls 1,024 events behind, further events are
/// dropped until it catches up. Closures are sinks.
pub trait EventSink: Send + 'static {
    /// Takes note of one event.
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
    sinks: Vec<SyncSender<Event>>,
}

impl Events {
    /// How far a sink may fall behind.
    const BACKLOG: usize = 1024;

    /// Starts a thread for each sink; the threads end with the `Events`.
    pub(crate) fn start(sinks: Vec<Box<dyn EventSink>>) -> std::io::Result<Self> {
        let sinks: std::io::Result<_> = sinks.into_iter().map(Self::start_one).collect();
        Ok(Self { sinks: sinks? })
    }

    fn start_one(mut sink: Box<dyn EventSink>) -> std::io::Result<SyncSender<Event>> {
        let (sender, receiver) = sync_channel::<Event>(Self::BACKLOG);
        std::thread::Builder::new()
            .name("dropbox-sign-oauth-events".to_owned())
            .spawn(move || {
                for event in receiver {
                    // A sink that panics has missed one event; the rest still reach it.
                    let _ = catch_unwind(AssertUnwindSafe(|| sink.on_event(&event)));
                }
            })?;
        Ok(sender)
    }

    /// Never blocks and never panics: a refresh must not depend on a sink.
    pub(crate) fn emit(&self, account: &AccountId, kind: EventKind) {
        #[cfg(feature = "tracing")]
        trace(account, &kind);

        if self.sinks.is_empty() {
            return;
        }
        let event = Event {
            account: account.clone(),
            kind,
        };
        for sink in &self.sinks {
            match sink.try_send(event.clone()) {
                Ok(()) | Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {}
            }
        }
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("sinks", &self.sinks.len())
            .finish()
    }
}

#[cfg(feature = "tracing")]
fn trace(account: &AccountId, kind: &EventKind) {
    const TARGET: &str = "dropbox_sign_oauth";

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
        EventKind::IntentFound { presented_at } => {
            tracing::warn!(target: TARGET, %account, ?presented_at, "refresh token may be spent");
        }
        other => tracing::debug!(target: TARGET, %account, event = ?other),
    }
}
