//! Events in `tracing`.

use super::EventKind;
use crate::account_id::AccountId;

/// The target of all events in `tracing`.
pub(crate) const TARGET: &str = "dropbox_sign_oauth";

pub(super) fn trace(account: &AccountId, kind: &EventKind) {
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
            ..
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
        EventKind::ReadUnencrypted => {
            tracing::warn!(
                target: TARGET, %account,
                "the stored record is not encrypted: if it was before, another user wrote it"
            );
        }
        // The middleware warns by itself, since a request may have no account.
        EventKind::OriginNotListed { .. } => {}
        other => tracing::debug!(target: TARGET, %account, event = ?other),
    }
}
