//! Many calls at once.

use std::sync::Arc;

use super::steps::{count, load, record, save, swap, tokens};
use crate::{
    account_id::AccountId,
    store::{Swap, TokenStore},
};

/// No reader sees half of a save.
pub(super) async fn a_reader_sees_whole_records<S: TokenStore>(one: &Arc<S>, other: &Arc<S>) {
    let rule = "a reader sees whole records";
    let account = AccountId::from("read-while-written");
    let mut version = save(&**one, &account, None, tokens("0"), rule).await;
    let writer = Arc::clone(one);
    let written = account.clone();
    let writing = tokio::spawn(async move {
        for n in 1..100 {
            version = save(
                &*writer,
                &written,
                Some(version),
                tokens(&n.to_string()),
                rule,
            )
            .await;
        }
    });
    while !writing.is_finished() {
        let record = load(&**other, &account, rule).await;
        let name = count(record.as_ref(), rule).to_string();
        let seen = record.map(|record| record.tokens);
        assert_eq!(
            seen,
            Some(tokens(&name)),
            "{rule}: half of a record was seen"
        );
        // A store without I/O never yields to the writer by itself.
        tokio::task::yield_now().await;
    }
    writing.await.expect(rule);
}

/// Of many saves that expect the same version, one is saved and the others are conflicts.
pub(super) async fn one_of_many_equal_saves_wins<S: TokenStore>(one: &Arc<S>, other: &Arc<S>) {
    let rule = "one of many equal saves wins";
    let account = AccountId::from("one-wins");
    let mut expected = None;
    for round in 0..3 {
        let mut saves = Vec::new();
        for n in 0..16 {
            let store = Arc::clone(if n % 2 == 0 { one } else { other });
            let account = account.clone();
            saves.push(tokio::spawn(async move {
                let record = record(&format!("{round}-{n}"));
                let swap = swap(&*store, &account, expected, &record, rule).await;
                (swap == Swap::Saved).then_some(record)
            }));
        }
        let mut winners = Vec::new();
        for save in saves {
            winners.extend(save.await.expect(rule));
        }
        assert_eq!(winners.len(), 1, "{rule}, round {round}");
        let record = load(&**one, &account, rule).await;
        assert_eq!(
            record,
            winners.pop(),
            "{rule}: the tokens of another save remain"
        );
        expected = record.map(|record| record.version);
    }
}

/// Loading, changing and saving in a loop until the save succeeds loses no change.
pub(super) async fn no_concurrent_save_is_lost<S: TokenStore>(one: &Arc<S>, other: &Arc<S>) {
    const TASKS: usize = 8;
    const EACH: usize = 5;

    let rule = "no concurrent save is lost";
    let account = AccountId::from("counter");
    let mut tasks = Vec::new();
    for n in 0..TASKS {
        let store = Arc::clone(if n % 2 == 0 { one } else { other });
        let account = account.clone();
        tasks.push(tokio::spawn(async move {
            let mut saved = 0;
            while saved < EACH {
                let stored = load(&*store, &account, rule).await;
                let counted = record(&(count(stored.as_ref(), rule) + 1).to_string());
                let expected = stored.map(|stored| stored.version);
                if swap(&*store, &account, expected, &counted, rule).await == Swap::Saved {
                    saved += 1;
                }
            }
        }));
    }
    for task in tasks {
        task.await.expect(rule);
    }
    let record = load(&**one, &account, rule).await;
    assert_eq!(count(record.as_ref(), rule), TASKS * EACH, "{rule}");
}

/// Concurrent saves of different accounts all take effect.
pub(super) async fn concurrent_accounts_do_not_disturb_each_other<S: TokenStore>(
    one: &Arc<S>,
    other: &Arc<S>,
) {
    let rule = "concurrent accounts do not disturb each other";
    let account = |n: usize| AccountId::from(format!("parallel-{n}"));
    let mut tasks = Vec::new();
    for n in 0..16 {
        let store = Arc::clone(if n % 2 == 0 { one } else { other });
        tasks.push(tokio::spawn(async move {
            let first = save(&*store, &account(n), None, tokens("first"), rule).await;
            let second = tokens(&n.to_string());
            save(&*store, &account(n), Some(first), second, rule).await
        }));
    }
    for (n, task) in tasks.into_iter().enumerate() {
        let version = task.await.expect(rule);
        let record = load(&**one, &account(n), rule).await;
        let record = record.expect(rule);
        assert_eq!(record.version, version, "{rule}");
        assert_eq!(record.tokens, tokens(&n.to_string()), "{rule}");
    }
}
