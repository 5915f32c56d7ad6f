//! What this process knows of an account's record: the newest tokens, whether the store has them,
//! and the refresh token that must not be presented again.
//!
//! Changed only by whoever holds the account's lease, but for tokens that are installed while the
//! store is out of order.

use crate::{
    error::Error,
    secret::RefreshToken,
    store::{Record, Version},
    token::TokenSet,
};

#[derive(Debug, Default)]
pub(super) struct Ledger {
    known: Option<Known>,
    refused: Option<(RefreshToken, Error)>,
}

/// The newest tokens that this process knows.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub(super) tokens: TokenSet,
    pub(super) saved: Saved,
}

/// Where the store stands with them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Saved {
    /// They are its record of this version.
    As(Version),
    /// They are to replace its record of this version, or its lack of one.
    NotYet { replaces: Option<Version> },
}

/// What a look into the store has brought.
#[derive(Debug)]
pub(super) enum Found {
    /// Nothing new.
    Same(Known),
    /// Tokens of ours that the store still lacks.
    Unsaved {
        tokens: TokenSet,
        replaces: Option<Version>,
    },
    /// A record of somebody else's. `conflict` if tokens of ours gave way to it.
    Newer { known: Known, conflict: bool },
    /// No record. `conflict` if tokens of ours gave way to its removal.
    Nothing { conflict: bool },
}

impl Known {
    /// What has to be named to replace the record.
    pub(super) fn version(&self) -> Option<Version> {
        match self.saved {
            Saved::As(version) => Some(version),
            Saved::NotYet { replaces } => replaces,
        }
    }
}

impl Ledger {
    pub(super) fn known(&self) -> Option<&Known> {
        self.known.as_ref()
    }

    pub(super) fn is_unsaved(&self) -> bool {
        matches!(&self.known, Some(known) if matches!(known.saved, Saved::NotYet { .. }))
    }

    pub(super) fn set(&mut self, tokens: TokenSet, saved: Saved) {
        self.known = Some(Known { tokens, saved });
    }

    pub(super) fn clear(&mut self) {
        self.known = None;
        self.refused = None;
    }

    /// Compares what the store holds with what we know, and follows the store unless it is we who
    /// are ahead: it still holds just the record that our tokens are to replace.
    pub(super) fn reconcile(&mut self, stored: Option<Record>) -> Found {
        let stored_version = stored.as_ref().map(|record| record.version);
        if let (Some(known), Some(record)) = (&mut self.known, &stored) {
            // A save that erred may have taken effect all the same.
            if known.tokens.same_tokens(&record.tokens) {
                known.saved = Saved::As(record.version);
            }
        }
        let unsaved = self.is_unsaved();
        match (&self.known, stored) {
            (Some(known), _) if known.version() == stored_version => match known.saved {
                Saved::As(_) => Found::Same(known.clone()),
                Saved::NotYet { replaces } => Found::Unsaved {
                    tokens: known.tokens.clone(),
                    replaces,
                },
            },
            (_, Some(record)) => {
                let known = Known {
                    tokens: record.tokens,
                    saved: Saved::As(record.version),
                };
                self.known = Some(known.clone());
                Found::Newer {
                    known,
                    conflict: unsaved,
                }
            }
            (_, None) => {
                self.known = None;
                Found::Nothing { conflict: unsaved }
            }
        }
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

    /// Lets every refresh token be presented again.
    pub(super) fn pardon(&mut self) {
        self.refused = None;
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn tokens(name: &str) -> TokenSet {
        TokenSet::new(name, SystemTime::UNIX_EPOCH, Duration::from_secs(1))
    }

    fn record(name: &str, version: u64) -> Record {
        Record {
            tokens: tokens(name),
            version: Version::from_u64(version),
        }
    }

    #[test]
    fn unsaved_tokens_stand_while_the_store_holds_what_they_replace() {
        let mut ledger = Ledger::default();
        let replaces = Some(Version::from_u64(1));
        ledger.set(tokens("new"), Saved::NotYet { replaces });
        let found = ledger.reconcile(Some(record("old", 1)));
        assert!(matches!(found, Found::Unsaved { tokens: t, .. } if t == tokens("new")));
    }

    #[test]
    fn unsaved_tokens_give_way_to_a_newer_record_and_to_its_removal() {
        for stored in [Some(record("winner", 2)), None] {
            let mut ledger = Ledger::default();
            let replaces = Some(Version::from_u64(1));
            ledger.set(tokens("new"), Saved::NotYet { replaces });
            match ledger.reconcile(stored) {
                Found::Newer { known, conflict } => {
                    assert!(conflict);
                    assert_eq!(known.tokens, tokens("winner"));
                }
                Found::Nothing { conflict } => assert!(conflict),
                other => panic!("{other:?}"),
            }
            assert!(!ledger.is_unsaved());
        }
    }

    #[test]
    fn a_save_that_erred_and_took_effect_is_recognised() {
        let mut ledger = Ledger::default();
        let replaces = Some(Version::from_u64(1));
        ledger.set(tokens("new"), Saved::NotYet { replaces });
        assert!(matches!(
            ledger.reconcile(Some(record("new", 2))),
            Found::Same(known) if known.saved == Saved::As(Version::from_u64(2))
        ));
    }

    #[test]
    fn the_same_record_brings_nothing_new() {
        let mut ledger = Ledger::default();
        assert!(matches!(
            ledger.reconcile(Some(record("a", 1))),
            Found::Newer {
                conflict: false,
                ..
            }
        ));
        assert!(matches!(
            ledger.reconcile(Some(record("a", 1))),
            Found::Same(_)
        ));
    }
}
