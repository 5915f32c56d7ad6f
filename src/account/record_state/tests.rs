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

fn signed_in_with(token: &str, second: u64) -> Record {
    let mut record = with_refresh(token);
    record.lineage = signed_in(token, second).lineage;
    record
}

fn with_refresh(token: &str) -> Record {
    Record::new(TokenSet::from_refresh_token(token))
}

/// A state with a grant over an intent that replaced the record `before`.
fn granted(grant: &Record, before: &Record) -> (RecordState, Record) {
    let mut state = RecordState::default();
    let intent = before.to_intent(SystemTime::UNIX_EPOCH);
    state.set(intent.clone(), SaveState::Saved);
    state.set_granted(grant.clone(), &intent, before.version);
    (state, intent)
}

#[test]
fn a_grant_stands_while_the_store_holds_the_intent_or_the_record_from_before() {
    let (before, grant) = (with_refresh("spent"), with_refresh("grant"));
    for is_saved in [false, true] {
        let (mut state, intent) = granted(&grant, &before);
        if is_saved {
            state.set(grant.clone(), SaveState::Saved);
        }
        for stored in [intent, before.clone()] {
            assert!(state.is_ahead(&grant, Some(&stored)));
            assert!(!state.is_ahead(&record("other"), Some(&stored)));
            let version = stored.version;
            match state.reconcile(Some(stored)) {
                Reconciled::Unsaved { record, replaces } => {
                    assert_eq!((&record, replaces), (&grant, Some(version)));
                }
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(state.is_unsaved(), !is_saved);
    }
}

#[test]
fn an_unsaved_grant_gives_way_to_a_newer_record_and_to_a_removal() {
    for stored in [Some(with_refresh("winner")), None] {
        let (mut state, _) = granted(&with_refresh("grant"), &with_refresh("spent"));
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
fn s103_the_tokens_of_sixteen_refreshes_are_remembered_with_any_intent_or_refusal() {
    let tokens: Vec<_> = (0..=17).map(|n| with_refresh(&n.to_string())).collect();
    let mut state = RecordState::default();
    for pair in tokens.windows(2) {
        let intent = pair[0].to_intent(SystemTime::UNIX_EPOCH);
        state.set_granted(pair[1].clone(), &intent, pair[0].version);
        state.set(pair[1].clone(), SaveState::Saved);
    }
    // Another process has refreshed since.
    state.reconcile(Some(with_refresh("other")));
    for spent in &tokens[1..17] {
        // As it was, with an intent of any process, and with another process's refusal.
        for stored in [
            spent.clone(),
            spent.to_intent(SystemTime::UNIX_EPOCH),
            spent.to_refused(&"x".into(), SystemTime::UNIX_EPOCH),
        ] {
            let found = state.reconcile(Some(stored));
            assert!(matches!(found, Reconciled::Unsaved { .. }), "{found:?}");
        }
    }
    let forgotten = state.reconcile(Some(tokens[0].clone()));
    assert!(matches!(forgotten, Reconciled::Newer { .. }));
}

#[test]
fn s103_a_spent_token_is_known_without_a_known_record_until_a_newer_sign_in() {
    let (spent, new) = (signed_in_with("spent", 5), signed_in_with("new", 5));
    let (mut state, _) = granted(&new, &spent);
    state.clear();
    assert!(state.is_spent(&spent) && !state.is_spent(&new));
    assert!(!state.is_spent(&signed_in_with("spent", 6)));
    assert!(!state.is_spent(&record("access alone")));
    // Installed again, within the same millisecond.
    let again = signed_in_with("spent", 5);
    let (mut state, _) = granted(&new, &spent);
    state.set_installed(again.clone(), SaveState::Saved, None);
    assert!(!state.is_spent(&again));
    let (mut state, _) = granted(&new, &spent);
    // Each look remembers the token anew.
    for n in 0..20 {
        let pair = [n, n + 1].map(|n| signed_in_with(&n.to_string(), 5));
        let intent = pair[0].to_intent(SystemTime::UNIX_EPOCH);
        state.set_granted(pair[1].clone(), &intent, pair[0].version);
        assert!(state.is_spent(&spent));
    }
}

#[test]
fn while_another_process_presents_a_spent_token_its_record_stands_without_the_lease() {
    let (spent, grant) = (with_refresh("spent"), with_refresh("grant"));
    let (mut state, intent) = granted(&grant, &spent);
    let other = spent.to_intent(SystemTime::UNIX_EPOCH);
    assert!(state.is_ahead(&grant, Some(&intent)) && !state.is_ahead(&grant, Some(&other)));
    // The grant is not forgotten.
    assert!(
        matches!(state.reconcile(Some(other)), Reconciled::Unsaved { record, .. } if record == grant)
    );
}

#[test]
fn s103_a_sign_in_replaces_the_record_that_it_was_saved_over() {
    let (old, new) = (with_refresh("old"), with_refresh("new"));
    let mut state = RecordState::default();
    state.set_installed(new.clone(), SaveState::Saved, Some(&old));
    let found = state.reconcile(Some(old.clone()));
    assert!(matches!(found, Reconciled::Unsaved { record, .. } if record == new));
    // After a sign-out, there is nothing to put in the place of the stored record.
    state.clear();
    assert!(matches!(
        state.reconcile(Some(old)),
        Reconciled::Newer { .. }
    ));
}

#[test]
fn a_replaced_record_into_which_tokens_were_pasted_is_newer() {
    let before = with_refresh("spent");
    let (mut state, intent) = granted(&with_refresh("grant"), &before);
    let pasted = with_refresh("pasted").with_version(intent.version);
    let found = state.reconcile(Some(pasted.clone()));
    assert!(matches!(found, Reconciled::Newer { record, .. } if record == pasted));
}

#[test]
fn a_record_without_a_refresh_token_is_replaced_by_its_version_alone() {
    let (old, new) = (record("access alone"), with_refresh("new"));
    let mut state = RecordState::default();
    state.set_installed(new.clone(), SaveState::Saved, Some(&old));
    let put_back = state.reconcile(Some(old));
    assert!(matches!(put_back, Reconciled::Unsaved { .. }));
    let pasted = record("pasted");
    let found = state.reconcile(Some(pasted.clone()));
    assert!(matches!(found, Reconciled::Newer { record, .. } if record == pasted));
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
    let (granted, _) = granted(&with_refresh("new"), &with_refresh("spent"));
    let states = [INSTALL, SaveState::Saved].map(|save| {
        let mut state = RecordState::default();
        state.set(with_refresh("new"), save);
        state
    });
    for mut state in states.into_iter().chain([granted]) {
        let stored = state.known.as_ref().map(|known| known.record.clone());
        assert!(matches!(state.reconcile(stored), Reconciled::Unchanged(_)));
        assert!(!state.is_unsaved());
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
