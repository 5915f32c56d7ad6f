//! Events in `tracing`. The docs of [`EventKind`] list them.

use std::time::Duration;

use tracing::{Instrument, Span, field::Empty, instrument::Instrumented};

use super::{EventKind, RefreshReason};
use crate::{account_id::AccountId, clock::unix_seconds};

/// The target of all events in `tracing`.
pub(crate) const TARGET: &str = "dropbox_sign_oauth";

/// The name of the span of a refresh.
const SPAN: &str = "refresh";

pub(super) fn trace(account: &AccountId, event: &EventKind) {
    let kind = event.as_str();
    macro_rules! log {
        ($level:ident, $message:literal $(, $($fields:tt)+)?) => {
            tracing::$level!(target: TARGET, %account, kind, $($($fields)+,)? $message)
        };
    }
    match event {
        EventKind::RefreshStarted { reason } => {
            log!(debug, "refresh started", reason = reason.as_str());
        }
        EventKind::Refreshed {
            generation,
            lifetime,
            expires_at,
            rotated,
            took,
        } => log!(
            info,
            "token refreshed",
            generation = generation.0,
            lifetime_s = lifetime.as_secs(),
            expires_at = unix_seconds(*expires_at),
            rotated,
            took_ms = millis(*took)
        ),
        EventKind::Adopted {
            generation,
            expires_at,
        } => log!(
            debug,
            "token taken over from the store",
            generation = generation.0,
            expires_at = unix_seconds(*expires_at)
        ),
        EventKind::RefreshFailed { error } => log!(
            warn,
            "refresh failed",
            error.kind = error.kind().as_str(),
            error.message = %error,
            sign_in_required = error.is_reauthorization_required()
        ),
        EventKind::NotSignedIn => log!(info, "nobody is signed in to the account"),
        EventKind::IntentFound { presented_at } => log!(
            warn,
            "refresh token may be spent: an earlier refresh has left no result",
            presented_at = unix_seconds(*presented_at)
        ),
        EventKind::ReadUnencrypted => log!(
            warn,
            "the stored record is not encrypted: if it was before, another user wrote it"
        ),
        EventKind::RequestRepeated { ambiguous } => {
            log!(debug, "token request sent again", ambiguous);
        }
        EventKind::SaveFailed {
            error,
            attempt,
            gave_up,
        } => log!(
            error,
            "save failed",
            error.kind = error.kind().as_str(),
            error.message = %error,
            attempt,
            gave_up
        ),
        EventKind::SaveRecovered => log!(info, "tokens saved after earlier failures"),
        EventKind::SaveConflict => log!(debug, "save gave way to a newer record"),
        EventKind::LeaseLost { error } => log!(
            warn,
            "lease lost",
            error.kind = error.kind().as_str(),
            error.message = %error
        ),
        EventKind::Rejected {
            generation,
            refreshes,
        } => log!(
            debug,
            "the API rejected a token",
            generation = generation.0,
            refreshes
        ),
        // The middleware warns by itself, since a request may have no account.
        EventKind::OriginNotListed { .. } => {}
        EventKind::Installed {
            generation,
            expires_at,
        } => log!(
            info,
            "tokens installed",
            generation = generation.0,
            expires_at = expires_at.map(unix_seconds)
        ),
        EventKind::SignInFailed { error } => log!(
            warn,
            "sign-in failed",
            error.kind = error.kind().as_str(),
            error.message = %error
        ),
        EventKind::SignedOut => log!(info, "signed out"),
        EventKind::Abandoned { unfinished } => log!(
            warn,
            "work was left: call `TokenManager::shutdown` before the program ends",
            unfinished = unfinished.as_str()
        ),
    }
}

/// Runs a refresh in the span `refresh`.
///
/// The span is a root. As a child, it would keep the span of the request that started the refresh
/// open, and a refresh in the background outlives its request.
pub(crate) fn in_span<F>(
    account: &AccountId,
    reason: RefreshReason,
    refresh: F,
) -> Instrumented<F> {
    let reason = reason.as_str();
    let span = tracing::info_span!(
        target: TARGET,
        parent: None,
        SPAN,
        %account,
        reason,
        outcome = Empty,
        otel.status_code = Empty,
    );
    span.follows_from(Span::current());
    refresh.instrument(span)
}

/// Tells the span of the present refresh how the refresh ended.
pub(crate) fn record_outcome(outcome: &'static str, is_failure: bool) {
    let span = Span::current();
    // If a filter leaves the span of the refresh out, the present span may be the program's.
    let metadata = span.metadata();
    if metadata.is_none_or(|span| (span.target(), span.name()) != (TARGET, SPAN)) {
        return;
    }
    span.record("outcome", outcome);
    if is_failure {
        span.record("otel.status_code", "ERROR");
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
