//! What this process knows of an account's record: the newest tokens, whether the store has them,
//! and the refresh token that must not be presented again.
//!
//! Changed only by whoever holds the account's lease, but for tokens that are installed while the
//! store is out of order.

use std::time::SystemTime;

use crate::{
    error::Error,
    secret::RefreshToken,
    store::{Record, Version},
};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    known: Option<Known>,
    refused: Option<(RefreshToken, Error)>,
    /// The last record by which this process announced a presentation. What came of that is known
    /// here, whatever the store has of it.
    announced: Option<Version>,
    /// A record of ours that announces what did not happen, and may be the stored one.
    mark: Option<Record>,
}

/// The newest record that this process knows.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) record: Record,
    pub(super) saved: Saved,
}

/// Where the store stands with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// It is the stored one.
    Yes,
    /// It is to replace the stored one of this version, or the lack of one. Any other that turns
    /// up in the store is newer.
    NotYet { replaces: Option<Version> },
    /// It is to replace whatever is stored: somebody has signed in.
    NotYetInstalled,
}

/// What a look into the store has brought.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing new.
    Same(Known),
    /// The store still lacks a record of ours; it holds this version.
    Unsaved {
        record: Record,
        replaces: Option<Version>,
    },
    /// A record of somebody else's. `conflict` if one of ours gave way to it.
    Newer { known: Known, conflict: bool },
    /// No record. `conflict` if one of ours gave way to its removal.
    Nothing { conflict: bool },
}

impl Ledger {
    pub(super) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    pub(super) fn is_unsaved(&self) -> bool {
        matches!(&self.known, Some(known) if known.saved != Saved::Yes)
    }

    pub(super) fn set(&mut self, record: Record, saved: Saved) {
        self.known = Some(Known { record, saved });
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Compares what the store holds with what we know, and follows the store unless it is we who
    /// are ahead.
    pub(super) fn reconcile(&mut self, stored: Option<Record>) -> Found {
        let stored_version = stored.as_ref().map(|record| record.version);
        if let Some(known) = &mut self.known {
            // A save that erred may have taken effect all the same.
            if Some(known.record.version) == stored_version {
                known.saved = Saved::Yes;
                return Found::Same(known.clone());
            }
            let replaces = match known.saved {
                Saved::NotYet { replaces } => Some(replaces),
                Saved::NotYetInstalled => Some(stored_version),
                Saved::Yes => None,
            };
            if replaces == Some(stored_version) {
                return Found::Unsaved {
                    record: known.record.clone(),
                    replaces: stored_version,
                };
            }
        }
        let conflict = self.is_unsaved();
        self.known = stored.map(|record| Known {
            record,
            saved: Saved::Yes,
        });
        match self.known.clone() {
            Some(known) => Found::Newer { known, conflict },
            None => Found::Nothing { conflict },
        }
    }

    /// Takes note of a record that is about to be saved to announce a presentation.
    pub(super) fn announce(&mut self, version: Version) {
        self.announced = Some(version);
    }

    /// Takes note of a mark that is yet to be taken back.
    pub(super) fn leave_mark(&mut self, announced: Record) {
        self.mark = Some(announced);
    }

    pub(super) fn take_mark(&mut self) -> Option<Record> {
        self.mark.take()
    }

    /// When somebody else was about to present the record's refresh token, with no outcome known.
    pub(super) fn in_doubt(&self, record: &Record) -> Option<SystemTime> {
        record
            .presented_at
            .filter(|_| self.announced != Some(record.version))
    }

    /// From now on this refresh token is answered with this error instead of being presented.
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
    use crate::{account::AccountId, error::ErrorKind, token::TokenSet};

    fn record(name: &str) -> Record {
        let lifetime = Duration::from_secs(1);
        Record::new(TokenSet::new(name, SystemTime::UNIX_EPOCH, lifetime))
    }

    #[test]
    fn an_unsaved_record_stands_while_the_store_holds_what_it_replaces() {
        let (old, new) = (record("old"), record("new"));
        let mut ledger = Ledger::default();
        let replaces = Some(old.version);
        ledger.set(new.clone(), Saved::NotYet { replaces });
        match ledger.reconcile(Some(old)) {
            Found::Unsaved {
                record,
                replaces: r,
            } => assert_eq!((record, r), (new, replaces)),
            other => panic!("{other:?}"),
        }
        assert!(ledger.is_unsaved());
    }

    #[test]
    fn an_unsaved_record_gives_way_to_a_newer_one_and_to_a_removal() {
        for stored in [Some(record("winner")), None] {
            let mut ledger = Ledger::default();
            let replaces = Some(Version::unique());
            ledger.set(record("new"), Saved::NotYet { replaces });
            match ledger.reconcile(stored.clone()) {
                Found::Newer { known, conflict } => {
                    assert!(conflict);
                    assert_eq!(Some(known.record), stored);
                }
                Found::Nothing { conflict } => assert!(conflict && stored.is_none()),
                other => panic!("{other:?}"),
            }
            assert!(!ledger.is_unsaved());
        }
    }

    #[test]
    fn an_installed_record_gives_way_to_nothing() {
        for stored in [Some(record("stored")), None] {
            let mut ledger = Ledger::default();
            ledger.set(record("installed"), Saved::NotYetInstalled);
            let version = stored.as_ref().map(|record| record.version);
            assert!(matches!(
                ledger.reconcile(stored),
                Found::Unsaved { replaces, .. } if replaces == version
            ));
            assert!(ledger.is_unsaved());
        }
    }

    #[test]
    fn a_save_that_erred_and_took_effect_is_recognised() {
        for saved in [
            Saved::NotYet { replaces: None },
            Saved::NotYetInstalled,
            Saved::Yes,
        ] {
            let mut ledger = Ledger::default();
            ledger.set(record("new"), saved);
            let stored = ledger.known().map(|known| known.record.clone());
            assert!(matches!(ledger.reconcile(stored), Found::Same(_)));
            assert!(!ledger.is_unsaved());
        }
    }

    #[test]
    fn the_same_record_brings_nothing_new() {
        let stored = record("a");
        let mut ledger = Ledger::default();
        assert!(matches!(
            ledger.reconcile(Some(stored.clone())),
            Found::Newer {
                conflict: false,
                ..
            }
        ));
        assert!(matches!(ledger.reconcile(Some(stored)), Found::Same(_)));
    }

    #[test]
    fn only_a_strangers_announcement_leaves_doubt() {
        let announced = record("a").presented_at(SystemTime::UNIX_EPOCH);
        let mut ledger = Ledger::default();
        assert!(ledger.in_doubt(&announced).is_some());
        ledger.announce(announced.version);
        assert!(ledger.in_doubt(&announced).is_none());
        assert!(ledger.in_doubt(&record("b")).is_none());
    }

    #[test]
    fn a_refusal_holds_for_its_token_until_the_ledger_is_cleared() {
        let refused = RefreshToken::new("refused");
        let error = Error::new(ErrorKind::GrantRefused, &AccountId::default());
        let mut ledger = Ledger::default();
        ledger.refuse(refused.clone(), error);
        // Whatever the store brings meanwhile.
        ledger.reconcile(Some(record("other")));
        ledger.set(record("installed"), Saved::NotYetInstalled);
        let refusal = ledger.refusal(&refused).map(|error| error.kind());
        assert_eq!(refusal, Some(ErrorKind::GrantRefused));
        assert!(ledger.refusal(&RefreshToken::new("new")).is_none());
        ledger.clear();
        assert!(ledger.refusal(&refused).is_none());
        assert!(ledger.known().is_none() && !ledger.is_unsaved());
    }
}
