//! The pages of accounts, and readiness.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    records::odd_names,
    steps::{IMPATIENT, acquire, delete, failed, release, save, tokens},
};
use crate::{
    account_id::AccountId,
    store::{PageCursor, PageRequest, StoreErrorKind, TokenStore, Version},
};

/// More pages than any rule needs.
const MOST_PAGES: usize = 1_000;

/// A store that works says that it is ready.
pub(super) async fn a_sound_store_is_ready(store: &impl TokenStore) {
    let rule = "a sound store is ready";
    store.check().await.unwrap_or_else(|e| failed(rule, &e));
}

/// Returns whether the store can list its accounts.
pub(super) async fn an_empty_store_lists_no_account(store: &impl TokenStore) -> bool {
    let rule = "an empty store lists no account";
    let first = store.accounts(&PageRequest::default()).await;
    if first.is_err_and(|error| error.kind() == StoreErrorKind::Unsupported) {
        return false;
    }
    assert_eq!(list(store, 1, rule).await, [], "{rule}");
    true
}

/// Pages of any size list each account that has a record, under any name, and no other account. A
/// lease makes no account.
pub(super) async fn the_pages_list_each_account(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "the pages list each account";
    let before = list(one, PageRequest::HIGHEST_LIMIT, rule).await;
    let before = BTreeSet::from_iter(before);
    let saved = save_all(one, odd_names(), rule).await;
    let lease = acquire(one, &"leased-alone".into(), IMPATIENT, rule).await;
    let expected = &before | &saved.iter().map(|(account, _)| account.clone()).collect();
    for limit in [1, 2, 7, PageRequest::HIGHEST_LIMIT] {
        let listed = BTreeSet::from_iter(list(other, limit, rule).await);
        assert_eq!(&expected - &listed, BTreeSet::new(), "{rule}: missing");
        assert_eq!(&listed - &expected, BTreeSet::new(), "{rule}: no record");
    }
    release(lease, rule).await;
    delete_all(one, saved, rule).await;
    let listed = BTreeSet::from_iter(list(other, 7, rule).await);
    assert_eq!(listed, before, "{rule}: after the records are gone");
}

/// A cursor that passed through another process goes on where its page ended.
pub(super) async fn a_cursor_is_a_text(one: &impl TokenStore, other: &impl TokenStore) {
    let rule = "a cursor works in another process";
    let names = (0..5).map(|n| AccountId::from(format!("cursor-{n}")));
    let saved = save_all(one, names, rule).await;
    let (mut listed, mut cursor) = (BTreeSet::new(), None);
    for n in 0..MOST_PAGES {
        let request = PageRequest::new(cursor, 1);
        let page = match n % 2 {
            0 => one.accounts(&request).await,
            _ => other.accounts(&request).await,
        };
        let page = page.unwrap_or_else(|e| failed(rule, &e));
        listed.extend(page.accounts);
        let Some(next) = page.next else { break };
        cursor = Some(PageCursor::new(next.as_str()));
    }
    for (account, _) in &saved {
        assert!(listed.contains(account), "{rule}: {account} is missing");
    }
    delete_all(one, saved, rule).await;
}

/// Accounts that come and go while the pages are read hide no account that stays.
pub(super) async fn an_account_that_stays_is_listed<S: TokenStore>(one: &Arc<S>, other: &Arc<S>) {
    let rule = "an account that stays is listed while others come and go";
    let names = (0..20).map(|n| AccountId::from(format!("stays-{n}")));
    let staying = save_all(&**one, names, rule).await;
    let store = Arc::clone(one);
    let coming_and_going = tokio::spawn(async move {
        for n in 0..40 {
            let account = AccountId::from(format!("{}-passes", n * 7 % 40));
            let passing = save_all(&*store, [account], rule).await;
            tokio::task::yield_now().await;
            delete_all(&*store, passing, rule).await;
        }
    });
    let mut is_over = false;
    while !is_over {
        is_over = coming_and_going.is_finished();
        let listed = list(&**other, 3, rule).await;
        for (account, _) in &staying {
            assert!(listed.contains(account), "{rule}: {account} is missing");
        }
        // A store without I/O never yields to the other task by itself.
        tokio::task::yield_now().await;
    }
    coming_and_going.await.expect(rule);
    delete_all(&**one, staying, rule).await;
}

async fn save_all(
    store: &impl TokenStore,
    accounts: impl IntoIterator<Item = AccountId>,
    rule: &str,
) -> Vec<(AccountId, Version)> {
    let mut saved = Vec::new();
    for account in accounts {
        let version = save(store, &account, None, tokens("listed"), rule).await;
        saved.push((account, version));
    }
    saved
}

async fn delete_all(store: &impl TokenStore, saved: Vec<(AccountId, Version)>, rule: &str) {
    for (account, version) in saved {
        let gone = delete(store, &account, version, rule).await;
        assert!(gone, "{rule}: {account} was changed");
    }
}

/// The accounts of all pages, in the order of the pages.
async fn list(store: &impl TokenStore, limit: usize, rule: &str) -> Vec<AccountId> {
    let mut request = PageRequest::new(None, limit);
    let mut listed = Vec::new();
    for _ in 0..MOST_PAGES {
        let page = store.accounts(&request).await;
        let page = page.unwrap_or_else(|e| failed(rule, &e));
        if let Some(error) = page.errors.first() {
            failed(rule, error);
        }
        listed.extend(page.accounts);
        match page.next {
            Some(next) => request = PageRequest::new(Some(next), limit),
            None => return listed,
        }
    }
    panic!("{rule}: {MOST_PAGES} pages of {limit} came to no end");
}
