//! The newest record that this process knows, and whether it is ahead of the stored one.

use super::replaced::Replaced;
use crate::store::{Record, Version};

/// The newest record that this process knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) record: Record,
    pub(super) save: SaveState,
}

/// Whether the store has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::account) enum SaveState {
    /// The record is the stored one.
    Saved,
    /// The record was granted, and is to replace the stored intent.
    Pending { intent: Version },
    /// The record belongs to a sign-in, and is to replace the record of any older sign-in.
    PendingInstall {
        /// The store held a record at the time. If the store holds no record later, another process has
        /// signed the account out.
        replaces_record: bool,
    },
}

impl Known {
    /// Whether the record is to replace the stored one.
    pub(super) fn is_ahead_of(&self, stored: Option<&Record>, replaced: &mut Replaced) -> bool {
        let Some(stored) = stored else {
            // Without a record to replace, another process has signed the account out.
            let replaces_record = match self.save {
                SaveState::PendingInstall { replaces_record } => replaces_record,
                SaveState::Pending { .. } | SaveState::Saved => true,
            };
            return !replaces_record;
        };
        let is_older_sign_in = matches!(self.save, SaveState::PendingInstall { .. })
            && !stored.lineage.is_as_new_as(&self.record.lineage);
        let has_same_token = self.record.tokens.refresh_token() == stored.tokens.refresh_token();
        is_older_sign_in
            || replaced.contains(stored)
            || !has_same_token && replaced.has_spent_token_of(stored)
    }
}
