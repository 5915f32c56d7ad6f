use std::time::Duration;

use super::*;
use crate::{account_id::AccountId, error::ErrorKind, token::TokenSet};

fn record(name: &str) -> Record {
    let lifetime = Duration::from_secs(1);
    Record::new(TokenSet::new(name, SystemTime::UNIX_EPOCH, lifetime))
}

fn signed_in(name: &str, second: u64) -> Record {
    let mut record = record(name);
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
    record.lineage = Lineage::of_sign_in(&record.tokens, at, &Lineage::default());
    record
}

const INSTALL: SaveState = SaveState::PendingInstall {
    replaces_record: false,
};

fn pending(intent: Version) -> SaveState {
    SaveState::Pending {
        intent,
        before_intent: Version::unique(),
    }
}

#[test]
fn an_unsaved_record_stands_while_the_store_holds_the_replaced_version() {
    let (old, new) = (record("old"), record("new"));
    let mut state = RecordState::default();
    state.set(new.clone(), pending(old.version));
    let version = old.version;
    match state.reconcile(Some(old)) {
        Reconciled::Unsaved { record, replaces } => {
            assert_eq!((record, replaces), (new, Some(version)));
        }
        other => panic!("{other:?}"),
    }
    assert!(state.is_unsaved());
}

#[test]
fn an_unsaved_record_gives_way_to_a_newer_one_and_to_a_removal() {
    for stored in [Some(record("winner")), None] {
        let mut state = RecordState::default();
        state.set(record("new"), pending(Version::unique()));
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
fn an_installed_record_replaces_the_records_of_older_sign_ins_alone() {
    let installed = signed_in("installed", 5);
    let grown = installed.refreshed(record("grown").tokens);
    for (stored, is_ahead) in [
        (None, true),
        (Some(record("of unknown origin")), true),
        (Some(signed_in("older", 4)), true),
        (Some(grown), false),
        (Some(signed_in("newer", 6)), false),
    ] {
        let mut state = RecordState::default();
        state.set(installed.clone(), INSTALL);
        let version = stored.as_ref().map(|record| record.version);
        match state.reconcile(stored) {
            Reconciled::Unsaved { replaces, .. } => {
                assert!(is_ahead && replaces == version && state.is_unsaved());
            }
            Reconciled::Newer { conflict, .. } => {
                assert!(!is_ahead && conflict && !state.is_unsaved());
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_failed_save_that_took_effect_is_recognised() {
    for saved in [pending(Version::unique()), INSTALL, SaveState::Saved] {
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
        intent: Version::unique(),
        before_intent: before.version,
    };
    state.set(grant.clone(), save);
    assert!(state.is_ahead(&grant, Some(&before)));
    assert!(!state.is_ahead(&record("other"), Some(&before)));
    for stored in [None, Some(record("another"))] {
        assert!(!state.is_ahead(&grant, stored.as_ref()));
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
    let (installed, granted) = (signed_in("installed", 5), record("granted"));
    let mut state = RecordState::default();
    state.set(installed.clone(), INSTALL);
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
    let lineage = signed_in("refused", 5).lineage;
    let at = SystemTime::UNIX_EPOCH;
    let refusal = |refused_at| Refusal {
        token: refused.clone(),
        lineage: lineage.clone(),
        error: error.clone(),
        refused_at,
    };
    state.refuse(refusal(Some(at)));
    // Other records that the store brings meanwhile.
    state.reconcile(Some(record("other")));
    state.set(record("installed"), INSTALL);
    let found = state.refusal(&refused, &lineage, |at| at == SystemTime::UNIX_EPOCH);
    let kind = found.map(|error| error.kind());
    assert_eq!(kind, Some(ErrorKind::GrantRefused));
    let is_refused = |state: &RecordState, token: &RefreshToken, lineage, recent| {
        state.refusal(token, lineage, |_| recent).is_some()
    };
    let newer = signed_in("newer", 6).lineage;
    assert!(!is_refused(&state, &"new".into(), &lineage, true));
    assert!(!is_refused(&state, &refused, &lineage, false));
    assert!(!is_refused(&state, &refused, &newer, true));
    state.refuse(refusal(None));
    assert!(is_refused(&state, &refused, &lineage, false));
    assert!(!is_refused(&state, &refused, &newer, false));
    state.lift_refusal(&"new".into());
    assert!(is_refused(&state, &refused, &lineage, false));
    state.clear();
    assert!(!is_refused(&state, &refused, &lineage, true));
    assert!(state.known.is_none() && !state.is_unsaved());
}

#[test]
fn an_installed_record_that_was_to_replace_a_record_gives_way_to_a_removal() {
    let mut state = RecordState::default();
    let save = SaveState::PendingInstall {
        replaces_record: true,
    };
    state.set(signed_in("installed", 5), save);
    let older = Some(signed_in("older", 4));
    assert!(matches!(state.reconcile(older), Reconciled::Unsaved { .. }));
    let gone = state.reconcile(None);
    assert!(matches!(gone, Reconciled::Missing { conflict: true }));
}
