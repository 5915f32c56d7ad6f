//! The newest record that this process knows, and whether it is ahead of the stored one.

use crate::{
    secret::RefreshToken,
    store::{Record, Version},
};

/// The newest record that this process knows.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) record: Record,
    pub(super) save: SaveState,
    /// The versions that this record has replaced by a save of this process, if it was granted. A
    /// store that failed over may hold one of them again, whose refresh token is spent.
    pub(super) replaced: Vec<Version>,
    /// The refresh token that was spent for this record, if the record was granted to this process.
    pub(super) spent: Option<RefreshToken>,
}

/// Whether the store has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::account) enum SaveState {
    /// The record is the stored one.
    Saved,
    /// The record is to replace the stored intent. A store that failed over may have lost the
    /// intent, and hold the record before the intent again. Any other stored record is newer.
    Pending {
        intent: Version,
        before_intent: Version,
    },
    /// The record belongs to a sign-in, and is to replace the record of any older sign-in.
    PendingInstall {
        /// The store held a record at the time. If the store holds no record later, another process has
        /// signed the account out.
        replaces_record: bool,
    },
}

impl Known {
    /// Whether the record is to replace the stored one.
    pub(super) fn is_ahead_of(&self, stored: Option<&Record>) -> bool {
        if stored.is_some_and(|stored| self.has_spent_token_of(stored)) {
            return true;
        }
        match self.save {
            SaveState::Pending {
                intent,
                before_intent,
            } => stored.is_some_and(|stored| [intent, before_intent].contains(&stored.version)),
            SaveState::PendingInstall { replaces_record } => match stored {
                Some(stored) => !stored.lineage.is_as_new_as(&self.record.lineage),
                None => !replaces_record,
            },
            SaveState::Saved => {
                stored.is_some_and(|stored| self.replaced.contains(&stored.version))
            }
        }
    }

    /// Whether the stored record has only the refresh token that was spent for this record: another
    /// process found the spent token, and was granted nothing for it. While another process presents the
    /// token, its record stands.
    fn has_spent_token_of(&self, stored: &Record) -> bool {
        let (ours, theirs) = (&self.record, stored.tokens.refresh_token());
        self.spent.is_some()
            && self.spent.as_ref() == theirs
            && ours.tokens.refresh_token() != theirs
            && stored.presented_at.is_none()
            && ours.lineage.is_as_new_as(&stored.lineage)
    }
}
