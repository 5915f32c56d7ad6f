//! Events of tokens, for logs, metrics and alerts. No event holds a secret.

mod sinks;
#[cfg(feature = "tracing")]
mod trace;

pub use sinks::EventSink;
pub(crate) use sinks::Events;
#[cfg(feature = "tracing")]
pub(crate) use trace::{TARGET, in_span, record_outcome};

use std::time::{Duration, SystemTime};

use crate::{
    account_id::AccountId, error::Error, names::stable_names, store::StoreError, token::Generation,
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
///
/// With the feature `tracing`, each event goes to `tracing` too, at the target `dropbox_sign_oauth`. Each
/// has a message and the fields `account` and `kind`, which is [`as_str`](Self::as_str), and further
/// fields:
///
/// | `kind` | level | further fields |
/// |---|---|---|
/// | `refresh_started` | DEBUG | `reason` |
/// | `refreshed` | INFO | `generation`, `lifetime_s`, `expires_at`, `rotated`, `took_ms` |
/// | `adopted` | DEBUG | `generation`, `expires_at` |
/// | `refresh_failed` | WARN | `error.kind`, `error.message`, `sign_in_required` |
/// | `not_signed_in` | INFO | |
/// | `intent_found` | WARN | `presented_at` |
/// | `read_unencrypted` | WARN | |
/// | `request_repeated` | DEBUG | `ambiguous` |
/// | `save_failed` | ERROR | `error.kind`, `error.message`, `attempt`, `gave_up` |
/// | `save_recovered` | INFO | |
/// | `save_conflict` | DEBUG | |
/// | `lease_lost` | WARN | `error.kind`, `error.message` |
/// | `rejected` | DEBUG | `generation`, `refreshes` |
/// | `origin_not_listed` | WARN | `origin`, `status` |
/// | `installed` | INFO | `generation`, `expires_at` |
/// | `sign_in_failed` | WARN | `error.kind`, `error.message` |
/// | `signed_out` | INFO | |
/// | `abandoned` | WARN | `unfinished` |
///
/// `expires_at` and `presented_at` are Unix seconds. `error.kind` is [`ErrorKind::as_str`], or
/// [`StoreErrorKind::as_str`] for the errors of a save or a lease. `origin_not_listed` has no `account`
/// if the request has no account, and no `status` if there was no response. Nothing is in the text of
/// `Debug`, and no field holds a secret.
///
/// A refresh runs in the span `refresh` with the fields `account` and `reason`. The spans and events of
/// the HTTP client, of the store and of a [`TokenEndpoint`](crate::TokenEndpoint) of your own stand in
/// the span. The span is a root, and follows from the span of the request that started the refresh.
///
/// At the end of the refresh, the span gets the field `outcome`: `refreshed` for a token that was granted,
/// `adopted` for a token of the store, else [`ErrorKind::as_str`], as in the metrics. If no token came, the
/// span also gets `otel.status_code` with the value `ERROR`, from which `tracing-opentelemetry` makes the
/// span's status.
///
/// [`ErrorKind::as_str`]: crate::ErrorKind::as_str
/// [`StoreErrorKind::as_str`]: crate::store::StoreErrorKind::as_str
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
        /// When the new token expires, by the wall clock.
        expires_at: SystemTime,
        /// Whether the service replaced the refresh token too.
        rotated: bool,
        /// How long the refresh took, by the manager's clock: from the caller or the keeper that started
        /// the refresh, over the waits for a permit and for the lease, to the save.
        took: Duration,
    },
    /// The store holds a newer token, which is now in use. No request was sent.
    #[non_exhaustive]
    Adopted {
        /// The token's generation.
        generation: Generation,
        /// When the token expires, by the wall clock.
        expires_at: SystemTime,
    },
    /// A refresh failed. The kind of the error says whether the refresh is retried.
    #[non_exhaustive]
    RefreshFailed {
        /// The error that all waiting callers got.
        error: Error,
    },
    /// A caller asked for a token of an account that nobody has signed in to, or that was signed out. The
    /// caller gets [`ErrorKind::NotAuthorized`](crate::ErrorKind::NotAuthorized). An account whose record
    /// is gone although this process has known the record has lost its sign-in, which
    /// [`RefreshFailed`](Self::RefreshFailed) reports.
    NotSignedIn,
    /// The stored record holds an intent without an outcome: another process was killed or lost the
    /// store, or a refresh of this process was aborted. The refresh token may be spent;
    /// [`LostResponse`](crate::LostResponse) says whether the token is presented again.
    #[non_exhaustive]
    IntentFound {
        /// When the refresh token was about to be presented.
        presented_at: SystemTime,
    },
    /// The account took up a record that [`EncryptedStore`] read without encryption, since the program
    /// accepts such records while it begins to encrypt. If the record of this account was encrypted
    /// before, another user has written to the store.
    ///
    /// Reported once for each record and process. A record that `EncryptedStore::rewrap` encrypted first
    /// is reported by the result of `rewrap` alone, as `Rewrapped::Encrypted`.
    ///
    /// [`EncryptedStore`]: crate::store#stores
    ReadUnencrypted,
    /// A token request could not be sent or its response was lost, and the request is sent again.
    #[non_exhaustive]
    RequestRepeated {
        /// Whether the first request may have spent the refresh token.
        ambiguous: bool,
    },
    /// Tokens of a refresh or of a sign-in could not be saved.
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
        /// When the token expires, by the wall clock. `None` if a refresh token alone was installed.
        expires_at: Option<SystemTime>,
    },
    /// A sign-in brought no tokens: the exchange of the code failed, or its tokens cannot be used. The
    /// account's earlier tokens stay in use. Reported also if the caller of
    /// [`Account::sign_in`](crate::Account::sign_in) has gone.
    #[non_exhaustive]
    SignInFailed {
        /// The error that the callers got.
        error: Error,
    },
    /// The account was signed out and its record removed.
    SignedOut,
    /// Work was left that [`TokenManager::shutdown`](crate::TokenManager::shutdown) waits for: the
    /// last handle to the account has gone, or the runtime of a refresh was shut down. If the process
    /// ends now, new tokens are lost, and the next process presents a spent refresh token.
    #[non_exhaustive]
    Abandoned {
        /// The work.
        unfinished: Unfinished,
    },
}

stable_names! {
    EventKind {
        RefreshStarted => "refresh_started",
        Refreshed => "refreshed",
        Adopted => "adopted",
        RefreshFailed => "refresh_failed",
        NotSignedIn => "not_signed_in",
        IntentFound => "intent_found",
        ReadUnencrypted => "read_unencrypted",
        RequestRepeated => "request_repeated",
        SaveFailed => "save_failed",
        SaveRecovered => "save_recovered",
        SaveConflict => "save_conflict",
        LeaseLost => "lease_lost",
        Rejected => "rejected",
        OriginNotListed => "origin_not_listed",
        Installed => "installed",
        SignInFailed => "sign_in_failed",
        SignedOut => "signed_out",
        Abandoned => "abandoned",
    }
}

/// Runs a refresh, in a span with the feature `tracing`.
#[cfg(not(feature = "tracing"))]
pub(crate) fn in_span<F>(_: &AccountId, _: RefreshReason, refresh: F) -> F {
    refresh
}

/// Tells the span of the present refresh how the refresh ended, with the feature `tracing`.
#[cfg(not(feature = "tracing"))]
pub(crate) fn record_outcome(_: &'static str, _: bool) {}

/// The work that was left in [`EventKind::Abandoned`].
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unfinished {
    /// A refresh is under way, or was aborted while the refresh token was presented.
    Refresh,
    /// New tokens are in memory, and not in the store.
    Save,
    /// A sign-in is under way, or was aborted: its code may be used up. Earlier tokens are not lost.
    SignIn,
}

stable_names! {
    Unfinished {
        Refresh => "refresh",
        Save => "save",
        SignIn => "sign_in",
    }
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
    /// The token is valid for a shorter time than a caller of
    /// [`Account::token_valid_for`](crate::Account::token_valid_for) needs.
    TooShort,
}

stable_names! {
    RefreshReason {
        Stale => "stale",
        Expired => "expired",
        Rejected => "rejected",
        TooShort => "too_short",
    }
}
