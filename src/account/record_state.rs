//! What this process knows of an account's record: the newest tokens, whether the store has them,
//! the intents that this process wrote, and the refresh token that must not be presented again.
//!
//! Only the holder of the account's lease changes the record state, except that tokens may be
//! installed while the store is out of order.

use std::time::SystemTime;

use crate::{
    error::Error,
    secret::RefreshToken,
    store::{Record, Version},
};

#[derive(Debug, Default)]
pub(super) struct RecordState {
    known: Option<Known>,
    refused: Option<(RefreshToken, Error)>,
    own_intent: Option<OwnIntent>,
    /// An intent of this process that came to nothing, and may be the stored record.
    left_intent: Option<Record>,
}

/// The last intent of this process.
#[derive(Clone, Copy, Debug)]
struct OwnIntent {
    version: Version,
    /// The earlier intent of this process that this intent replaces, if its outcome is known. The
    /// store holds the earlier intent until this one is saved.
    settled: Option<Version>,
    /// The refresh token was presented, and the outcome is unknown: the request is under way, or its
    /// flight was aborted.
    is_open: bool,
}

/// The newest record that this process knows.
#[derive(Debug)]
struct Known {
    record: Record,
    save: SaveState,
}

/// Whether the store has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SaveState {
    /// The record is the stored one.
    Saved,
    /// The record is to replace the stored one of this version, or the lack of one. A store that
    /// failed over may have lost the intent, and hold the record before it again. Any other stored
    /// record is newer.
    Pending {
        replaces: Option<Version>,
        before_intent: Option<Version>,
    },
    /// The record is to replace any stored one: somebody has signed in.
    PendingInstall,
}

impl SaveState {
    /// Whether the record may replace the stored one of this version.
    fn may_replace(self, stored: Option<Version>) -> bool {
        match self {
            Self::Pending {
                replaces,
                before_intent,
            } => stored == replaces || stored.is_some() && stored == before_intent,
            Self::PendingInstall => true,
            Self::Saved => false,
        }
    }
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

    /// A granted record that the store lacks, and the version that it is to replace.
    pub(super) fn pending(&self) -> Option<(Record, Option<Version>)> {
        match self.known.as_ref()? {
            Known {
                record,
                save: SaveState::Pending { replaces, .. },
            } => Some((record.clone(), *replaces)),
            _ => None,
        }
    }

    /// Whether the known record may replace the stored one of this version.
    pub(super) fn may_replace(&self, stored: Option<Version>, with: &Record) -> bool {
        let known = self.known.as_ref();
        known.is_some_and(|known| {
            known.record.version == with.version && known.save.may_replace(stored)
        })
    }

    /// Tokens that were installed and are yet to be saved stand against the records of a flight that
    /// began before.
    pub(super) fn set(&mut self, record: Record, save: SaveState) {
        if let Some(known) = &self.known
            && known.save == SaveState::PendingInstall
            && known.record.version != record.version
        {
            return;
        }
        self.known = Some(Known { record, save });
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Compares the stored record with the known one, and follows the store unless the known one
    /// is ahead.
    pub(super) fn reconcile(&mut self, stored: Option<Record>) -> Reconciled {
        let stored_version = stored.as_ref().map(|record| record.version);
        if let Some(known) = &mut self.known {
            // A save that failed may have taken effect all the same. Tokens that somebody pasted into
            // the stored record under the same version are newer.
            let is_same = |stored: &Record| {
                stored.version == known.record.version && stored.tokens == known.record.tokens
            };
            if stored.as_ref().is_some_and(is_same) {
                known.save = SaveState::Saved;
                return Reconciled::Unchanged(known.record.clone());
            }
            if known.save.may_replace(stored_version) {
                return Reconciled::Unsaved {
                    record: known.record.clone(),
                    replaces: stored_version,
                };
            }
        }
        let conflict = self.is_unsaved();
        self.known = stored.clone().map(|record| Known {
            record,
            save: SaveState::Saved,
        });
        match stored {
            Some(record) => Reconciled::Newer { record, conflict },
            None => Reconciled::Missing { conflict },
        }
    }

    /// Takes note of an intent that is about to be saved.
    pub(super) fn write_intent(&mut self, replaces: Version, version: Version) {
        let settled = self.is_settled(replaces).then_some(replaces);
        self.own_intent = Some(OwnIntent {
            version,
            settled,
            is_open: false,
        });
    }

    /// Takes note that the refresh token is being presented, or that the outcome is known.
    pub(super) fn set_presenting(&mut self, is_presenting: bool) {
        if let Some(intent) = &mut self.own_intent {
            intent.is_open = is_presenting;
        }
    }

    /// Whether the refresh token is being presented, or was when its flight was aborted.
    pub(super) fn is_presenting(&self) -> bool {
        self.own_intent.is_some_and(|intent| intent.is_open)
    }

    /// Takes note of an intent that is yet to be withdrawn.
    pub(super) fn leave_intent(&mut self, intent: Record) {
        self.left_intent = Some(intent);
    }

    pub(super) fn take_left_intent(&mut self) -> Option<Record> {
        self.left_intent.take()
    }

    /// When the record's refresh token was about to be presented, with no outcome known: by another
    /// process, or by a flight of this process that was aborted.
    pub(super) fn open_intent(&self, record: &Record) -> Option<SystemTime> {
        record
            .presented_at
            .filter(|_| !self.is_settled(record.version))
    }

    /// Whether this is an intent of this process whose outcome is known.
    fn is_settled(&self, version: Version) -> bool {
        self.own_intent.is_some_and(|own| {
            own.settled == Some(version) || own.version == version && !own.is_open
        })
    }

    /// From now on this refresh token gets this error instead of being presented.
    pub(super) fn refuse(&mut self, token: RefreshToken, error: Error) {
        self.refused = Some((token, error));
    }

    /// Why this refresh token must not be presented, if it must not.
    pub(super) fn refusal(&self, token: &RefreshToken) -> Option<Error> {
        match &self.refused {
            Some((refused, error)) if refused == token => Some(error.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{account_id::AccountId, error::ErrorKind, token::TokenSet};

    fn record(name: &str) -> Record {
        let lifetime = Duration::from_secs(1);
        Record::new(TokenSet::new(name, SystemTime::UNIX_EPOCH, lifetime))
    }

    #[test]
    fn an_unsaved_record_stands_while_the_store_holds_the_replaced_version() {
        let (old, new) = (record("old"), record("new"));
        let mut state = RecordState::default();
        let replaces = Some(old.version);
        state.set(
            new.clone(),
            SaveState::Pending {
                replaces,
                before_intent: None,
            },
        );
        match state.reconcile(Some(old)) {
            Reconciled::Unsaved {
                record,
                replaces: r,
            } => assert_eq!((record, r), (new, replaces)),
            other => panic!("{other:?}"),
        }
        assert!(state.is_unsaved());
    }

    #[test]
    fn an_unsaved_record_gives_way_to_a_newer_one_and_to_a_removal() {
        for stored in [Some(record("winner")), None] {
            let mut state = RecordState::default();
            let replaces = Some(Version::unique());
            state.set(
                record("new"),
                SaveState::Pending {
                    replaces,
                    before_intent: None,
                },
            );
            match state.reconcile(stored.clone()) {
                Reconciled::Newer { record, conflict } => {
                    assert!(conflict);
                    assert_eq!(Some(record), stored);
                }
                Reconciled::Missing { conflict } => assert!(conflict && stored.is_none()),
                other => panic!("{other:?}"),
            }
            assert!(!state.is_unsaved());
        }
    }

    #[test]
    fn an_installed_record_gives_way_to_nothing() {
        for stored in [Some(record("stored")), None] {
            let mut state = RecordState::default();
            state.set(record("installed"), SaveState::PendingInstall);
            let version = stored.as_ref().map(|record| record.version);
            assert!(matches!(
                state.reconcile(stored),
                Reconciled::Unsaved { replaces, .. } if replaces == version
            ));
            assert!(state.is_unsaved());
        }
    }

    #[test]
    fn a_failed_save_that_took_effect_is_recognised() {
        for saved in [
            SaveState::Pending {
                replaces: None,
                before_intent: None,
            },
            SaveState::PendingInstall,
            SaveState::Saved,
        ] {
            let mut state = RecordState::default();
            state.set(record("new"), saved);
            let stored = state.known.as_ref().map(|known| known.record.clone());
            assert!(matches!(state.reconcile(stored), Reconciled::Unchanged(_)));
            assert!(!state.is_unsaved());
        }
    }

    #[test]
    fn a_grant_replaces_the_record_from_before_the_intent_after_a_failover() {
        let (before, grant) = (record("before"), record("grant"));
        let mut state = RecordState::default();
        let save = SaveState::Pending {
            replaces: Some(Version::unique()),
            before_intent: Some(before.version),
        };
        state.set(grant.clone(), save);
        assert!(state.may_replace(Some(before.version), &grant));
        assert!(!state.may_replace(Some(before.version), &record("other")));
        for stored in [None, Some(Version::unique())] {
            assert!(!state.may_replace(stored, &grant));
        }
        match state.reconcile(Some(before.clone())) {
            Reconciled::Unsaved { record, replaces } => {
                assert_eq!((record, replaces), (grant, Some(before.version)));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn an_installed_record_stands_against_the_grant_of_an_earlier_flight() {
        let (installed, granted) = (record("installed"), record("granted"));
        let mut state = RecordState::default();
        state.set(installed.clone(), SaveState::PendingInstall);
        state.set(granted.clone(), SaveState::Saved);
        match state.reconcile(Some(granted.clone())) {
            Reconciled::Unsaved { record, replaces } => {
                assert_eq!(
                    (record, replaces),
                    (installed.clone(), Some(granted.version))
                );
            }
            other => panic!("{other:?}"),
        }
        state.set(installed, SaveState::Saved);
        assert!(!state.is_unsaved());
    }

    #[test]
    fn tokens_that_were_pasted_under_the_same_version_are_newer() {
        let known = record("known");
        let mut state = RecordState::default();
        state.set(known.clone(), SaveState::Saved);
        let pasted = record("pasted").with_version(known.version);
        match state.reconcile(Some(pasted.clone())) {
            Reconciled::Newer { record, conflict } => {
                assert!(record == pasted && !conflict);
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_same_record_brings_nothing_new() {
        let stored = record("a");
        let mut state = RecordState::default();
        assert!(matches!(
            state.reconcile(Some(stored.clone())),
            Reconciled::Newer {
                conflict: false,
                ..
            }
        ));
        assert!(matches!(
            state.reconcile(Some(stored)),
            Reconciled::Unchanged(_)
        ));
    }

    #[test]
    fn an_intent_is_open_unless_this_process_knows_the_outcome() {
        let intent = record("a").to_intent(SystemTime::UNIX_EPOCH);
        let mut state = RecordState::default();
        assert!(state.open_intent(&intent).is_some());
        state.write_intent(record("z").version, intent.version);
        assert!(state.open_intent(&intent).is_none(), "not presented yet");
        state.set_presenting(true);
        assert!(state.open_intent(&intent).is_some(), "presented");
        state.set_presenting(false);
        assert!(state.open_intent(&intent).is_none(), "the outcome is known");
        assert!(state.open_intent(&record("b")).is_none());
    }

    #[test]
    fn a_refusal_holds_for_its_token_until_the_state_is_cleared() {
        let refused = RefreshToken::new("refused");
        let error = Error::new(ErrorKind::GrantRefused, &AccountId::default());
        let mut state = RecordState::default();
        state.refuse(refused.clone(), error);
        // Whatever the store brings meanwhile.
        state.reconcile(Some(record("other")));
        state.set(record("installed"), SaveState::PendingInstall);
        let refusal = state.refusal(&refused).map(|error| error.kind());
        assert_eq!(refusal, Some(ErrorKind::GrantRefused));
        assert!(state.refusal(&RefreshToken::new("new")).is_none());
        state.clear();
        assert!(state.refusal(&refused).is_none());
        assert!(state.known.is_none() && !state.is_unsaved());
    }
}
