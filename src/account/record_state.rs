//! What this process knows of an account's record: the newest tokens, whether the store has them,
//! the intents that this process wrote, and the refresh token that must not be presented again.

mod known;
mod replaced;

pub(super) use known::SaveState;

use std::time::SystemTime;

use self::{known::Known, replaced::Replaced};
use crate::{
    error::Error,
    secret::RefreshToken,
    store::{Lineage, Record, Version},
};

/// In boxes: what most accounts lack.
#[derive(Debug, Default)]
pub(super) struct RecordState {
    known: Option<Known>,
    replaced: Replaced,
    /// The store held a record, and another process, or an operator, has removed the record.
    is_removed: bool,
    /// The installed refresh token was one that the replaced record, or this process, knew as spent.
    is_reinstalled: bool,
    refusal: Option<Box<Refusal>>,
    own_intent: Option<OwnIntent>,
    left_intent: Option<Box<LeftIntent>>,
}

/// An intent of this process with a known outcome, which may still be the stored record.
#[derive(Clone, Debug)]
pub(super) struct LeftIntent {
    /// Of the intent, and of what the store may hold in its place: an earlier intent that was left, or
    /// the record from before the intent. The latest last.
    pub(super) versions: Vec<Version>,
    /// The record that is to replace the intent.
    pub(super) outcome: Record,
}

/// A refresh token that this process must not present.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) token: RefreshToken,
    /// A newer sign-in with the same token lifts the refusal.
    pub(super) lineage: Lineage,
    pub(super) error: Error,
    /// When the token endpoint refused the token for good; `None` if the token may be spent, and the
    /// policy forbids a replay.
    pub(super) refused_at: Option<SystemTime>,
}

/// The last intent of this process.
#[derive(Clone, Copy, Debug)]
struct OwnIntent {
    version: Version,
    /// The earlier intent of this process that this intent replaces, if its outcome is known. The
    /// store holds the earlier intent until this one is saved.
    closed: Option<Version>,
    /// The refresh token was presented, and the outcome is unknown: the request is under way, or its
    /// flight was aborted.
    is_open: bool,
}

/// How the stored record compares with the one that this process knows.
#[derive(Debug)]
pub(super) enum Reconciled {
    /// They are the same.
    Unchanged(Record),
    /// The store still lacks a record of ours, and holds this version.
    Unsaved {
        record: Record,
        replaces: Option<Version>,
    },
    /// Another process saved this record. `conflict` if one of ours gave way to it.
    Newer { record: Record, conflict: bool },
    /// There is no record. `conflict` if one of ours gave way to its removal.
    Missing { conflict: bool },
}

impl Reconciled {
    pub(super) fn is_conflict(&self) -> bool {
        matches!(
            self,
            Self::Newer { conflict: true, .. } | Self::Missing { conflict: true }
        )
    }
}

impl RecordState {
    pub(super) fn is_unsaved(&self) -> bool {
        matches!(&self.known, Some(known) if known.save != SaveState::Saved)
    }

    /// Whether the store lacks a record of ours, or may hold an intent of ours with a known outcome.
    pub(super) fn has_leftovers(&self) -> bool {
        self.is_unsaved() || self.left_intent.is_some()
    }

    /// Whether nothing is known of the record, and nothing is to be remembered.
    pub(super) fn is_blank(&self) -> bool {
        self.known.is_none() && self.refusal.is_none() && self.replaced.is_empty()
    }

    /// Whether this process knows, or has known, a record of the account. A sign-out of this process
    /// forgets the record.
    pub(super) fn was_signed_in(&self) -> bool {
        self.known.is_some() || self.is_removed
    }

    /// Whether the refresh token of the known record was refused, though the access token beside it may
    /// be valid. A refusal in the record counts at any age: no token has come since.
    pub(super) fn is_refused(&self, is_recent: impl FnOnce(SystemTime) -> bool) -> bool {
        let with_token = self
            .known_record()
            .and_then(|record| Some((record, record.tokens.refresh_token()?)));
        with_token.is_some_and(|(record, token)| {
            record.is_refused() || self.refusal(token, &record.lineage, is_recent).is_some()
        })
    }

    /// The newest record that this process knows.
    pub(super) fn known_record(&self) -> Option<&Record> {
        self.known.as_ref().map(|known| &known.record)
    }

    /// A granted record that the store lacks, and the version that it is to replace.
    pub(super) fn pending(&self) -> Option<(Record, Version)> {
        match self.known.as_ref()? {
            Known {
                record,
                save: SaveState::Pending { intent },
            } => Some((record.clone(), *intent)),
            _ => None,
        }
    }

    /// Whether this unsaved record is to replace the stored one, which is not the expected one: this
    /// process may have lost the lease. While another process presents a token, its record stands.
    pub(super) fn is_ahead(&mut self, unsaved: &Record, stored: Option<&Record>) -> bool {
        let is_presenting = stored
            .is_some_and(|stored| stored.presented_at.is_some() && !self.replaced.contains(stored));
        let known = self.known.as_ref();
        let known = known.filter(|known| known.record.version == unsaved.version);
        known.is_some_and(|known| known.is_ahead_of(stored, &mut self.replaced)) && !is_presenting
    }

    /// Whether this process was granted another token for the record's refresh token.
    pub(super) fn is_spent(&mut self, record: &Record) -> bool {
        self.replaced.has_spent_token_of(record)
    }

    /// The lineage of the known record.
    pub(super) fn lineage(&self) -> Lineage {
        let known = self.known.as_ref();
        known.map_or_else(Lineage::default, |known| known.record.lineage.clone())
    }

    /// Tokens that were installed and are yet to be saved stand against the records of a flight that
    /// began before.
    pub(super) fn set(&mut self, record: Record, save: SaveState) {
        if let Some(known) = &self.known
            && matches!(known.save, SaveState::PendingInstall { .. })
            && known.record.version != record.version
        {
            return;
        }
        self.known = Some(Known { record, save });
    }

    /// Keeps a record that was granted to this process, and that is to replace the intent.
    pub(super) fn set_granted(&mut self, granted: Record, intent: &Record, before_intent: Version) {
        self.replaced.add(before_intent, &intent.tokens);
        self.replaced.add(intent.version, &intent.tokens);
        let tokens = (
            intent.tokens.refresh_token(),
            granted.tokens.refresh_token(),
        );
        if let (Some(spent), Some(new)) = tokens
            && spent != new
        {
            self.replaced.add_spent(spent, &intent.lineage, new);
        }
        self.is_reinstalled = false;
        let intent = intent.version;
        self.set(granted, SaveState::Pending { intent });
    }

    /// Keeps the record of a sign-in, and forgets what is known of the sign-in before.
    pub(super) fn set_installed(
        &mut self,
        installed: Record,
        save: SaveState,
        replaced: Option<&Record>,
    ) {
        let token = installed.tokens.refresh_token();
        let is_reinstalled = token.is_some_and(|token| {
            replaced.is_some_and(|replaced| replaced.has_outgrown(token))
                || self.replaced.has_spent(token)
        });
        self.clear();
        self.is_reinstalled = is_reinstalled;
        if let Some(replaced) = replaced {
            self.replaced.add(replaced.version, &replaced.tokens);
        }
        if let Some(token) = installed.tokens.refresh_token() {
            self.replaced.forget_spent(token);
        }
        self.set(installed, save);
    }

    /// Whether the program has installed a refresh token that was known as spent.
    pub(super) fn is_reinstalled(&self) -> bool {
        self.is_reinstalled
    }

    /// Forgets the record. What was replaced stays replaced.
    pub(super) fn clear(&mut self) {
        *self = Self {
            replaced: std::mem::take(&mut self.replaced),
            ..Self::default()
        };
    }

    /// Compares the stored record with the known one, and follows the store unless the known one
    /// is ahead.
    pub(super) fn reconcile(&mut self, stored: Option<Record>) -> Reconciled {
        if let Some(known) = &mut self.known {
            // A save that failed may have taken effect all the same. Tokens that an operator pasted
            // into the stored record under the same version are newer.
            let is_same = |stored: &Record| {
                stored.version == known.record.version && stored.tokens == known.record.tokens
            };
            if stored.as_ref().is_some_and(is_same) {
                known.save = SaveState::Saved;
                return Reconciled::Unchanged(known.record.clone());
            }
            if known.is_ahead_of(stored.as_ref(), &mut self.replaced) {
                return Reconciled::Unsaved {
                    record: known.record.clone(),
                    replaces: stored.map(|record| record.version),
                };
            }
        }
        let conflict = self.is_unsaved();
        self.is_removed = stored.is_none() && self.was_signed_in();
        self.is_reinstalled = false;
        self.known = stored.clone().map(|record| Known {
            record,
            save: SaveState::Saved,
        });
        match stored {
            Some(record) => Reconciled::Newer { record, conflict },
            None => Reconciled::Missing { conflict },
        }
    }

    /// Remembers an intent that is about to be saved.
    pub(super) fn write_intent(&mut self, replaces: Version, version: Version) {
        let closed = self.is_closed(replaces).then_some(replaces);
        self.own_intent = Some(OwnIntent {
            version,
            closed,
            is_open: false,
        });
    }

    /// Remembers that the refresh token is being presented, or that the outcome is known.
    pub(super) fn set_presenting(&mut self, is_presenting: bool) {
        if let Some(intent) = &mut self.own_intent {
            intent.is_open = is_presenting;
        }
    }

    /// Whether the refresh token is being presented, or was when its flight was aborted.
    pub(super) fn is_presenting(&self) -> bool {
        self.own_intent.is_some_and(|intent| intent.is_open)
    }

    /// Remembers an intent that the store could not replace by its outcome.
    pub(super) fn leave_intent(&mut self, mut left: LeftIntent) {
        let earlier = self.left_intent.take();
        let same = earlier.filter(|earlier| earlier.outcome.tokens == left.outcome.tokens);
        if let Some(same) = same {
            left.versions.splice(0..0, same.versions);
        }
        self.left_intent = Some(Box::new(left));
    }

    pub(super) fn left_intent(&self) -> Option<LeftIntent> {
        self.left_intent.as_deref().cloned()
    }

    /// Forgets the left intent: the store does not hold the intent any more.
    pub(super) fn forget_left_intent(&mut self, gone: &LeftIntent) {
        self.left_intent
            .take_if(|left| left.versions == gone.versions);
    }

    /// When the record's refresh token was about to be presented, with no outcome known: by another
    /// process, or by a flight of this process that was aborted.
    pub(super) fn open_intent(&self, record: &Record) -> Option<SystemTime> {
        record
            .presented_at
            .filter(|_| !self.is_closed(record.version))
    }

    /// Whether this is an intent of this process whose outcome is known.
    fn is_closed(&self, version: Version) -> bool {
        self.own_intent.is_some_and(|own| {
            own.closed == Some(version) || own.version == version && !own.is_open
        })
    }

    /// Remembers that a refresh token must not be presented.
    pub(super) fn refuse(&mut self, refusal: Refusal) {
        self.refusal = Some(Box::new(refusal));
    }

    /// Forgets that this refresh token was refused: the token endpoint has granted tokens for it.
    pub(super) fn lift_refusal(&mut self, token: &RefreshToken) {
        self.refusal.take_if(|refusal| refusal.token == *token);
    }

    /// Why this refresh token of a sign-in must not be presented, if it must not. `is_recent` says
    /// whether a refusal of that time still counts.
    pub(super) fn refusal(
        &self,
        token: &RefreshToken,
        lineage: &Lineage,
        is_recent: impl FnOnce(SystemTime) -> bool,
    ) -> Option<Error> {
        let refusal = self.refusal.as_ref()?;
        let counts = refusal.token == *token
            && refusal.lineage.is_as_new_as(lineage)
            && refusal.refused_at.is_none_or(is_recent);
        counts.then(|| refusal.error.clone())
    }
}

#[cfg(test)]
mod tests;
