//! A part of a store's accounts.

use std::collections::BTreeSet;

use super::StoreError;
use crate::account_id::AccountId;

/// Asks a store for a page of its accounts.
///
/// ```
/// use dropbox_sign_oauth::store::{PageCursor, PageRequest};
///
/// let first = PageRequest::default();
/// assert_eq!(first.limit(), 1_000);
/// assert!(first.cursor().is_none());
///
/// let next = PageRequest::new(Some(PageCursor::new("acme")), 100);
/// assert_eq!(next.cursor().map(PageCursor::as_str), Some("acme"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    cursor: Option<PageCursor>,
    limit: usize,
}

impl PageRequest {
    /// The limit of the default request.
    pub const DEFAULT_LIMIT: usize = 1_000;

    /// The highest limit.
    pub const HIGHEST_LIMIT: usize = 10_000;

    /// Asks for the page at `cursor`, or for the first page without a cursor.
    ///
    /// `limit` is the size of the page, from 1 to [`HIGHEST_LIMIT`](Self::HIGHEST_LIMIT). A limit beyond
    /// these bounds counts as the nearer bound.
    pub fn new(cursor: Option<PageCursor>, limit: usize) -> Self {
        let limit = limit.clamp(1, Self::HIGHEST_LIMIT);
        Self { cursor, limit }
    }

    /// Where the page begins. `None`: the first page.
    pub fn cursor(&self) -> Option<&PageCursor> {
        self.cursor.as_ref()
    }

    /// The size of the page.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl Default for PageRequest {
    /// Asks for the first page.
    fn default() -> Self {
        Self::new(None, Self::DEFAULT_LIMIT)
    }
}

/// Where a page of accounts begins: a text of the store, for the same store.
///
/// A cursor does not expire, holds no secret, and works in another process. A program can pass the text
/// on, in the link to the next page of a list for example. The text may hold the name of an account.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageCursor(String);

impl PageCursor {
    /// The cursor with this text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A page of a store's accounts, from [`TokenStore::accounts`](super::TokenStore::accounts).
#[non_exhaustive]
#[derive(Clone, Debug, Default)]
pub struct AccountsPage {
    /// The accounts. The page may hold fewer accounts than the limit, none even, or a few more.
    pub accounts: Vec<AccountId>,
    /// Entries of the store whose account cannot be told: a file with a name that the store never
    /// gives, for example. Each error names the entry and the next step.
    pub errors: Vec<StoreError>,
    /// The cursor of the next page. `None`: this is the last page.
    pub next: Option<PageCursor>,
}

impl AccountsPage {
    /// A page without errors.
    pub fn new(accounts: Vec<AccountId>, next: Option<PageCursor>) -> Self {
        Self {
            accounts,
            next,
            ..Self::default()
        }
    }

    /// The page of a store that has all its names at hand, in any order. The cursor is the last name of
    /// the page.
    ///
    /// Looks at each name, and keeps the names of the page alone.
    ///
    /// ```
    /// use dropbox_sign_oauth::{AccountId, store::{AccountsPage, PageRequest}};
    ///
    /// let names = ["initech", "acme", "globex"].map(AccountId::from);
    /// let page = AccountsPage::of_all(names.clone(), &PageRequest::new(None, 2));
    /// assert_eq!(page.accounts, [AccountId::from("acme"), "globex".into()]);
    ///
    /// let page = AccountsPage::of_all(names, &PageRequest::new(page.next, 2));
    /// assert_eq!(page.accounts, [AccountId::from("initech")]);
    /// assert!(page.next.is_none());
    /// ```
    pub fn of_all(names: impl IntoIterator<Item = AccountId>, request: &PageRequest) -> Self {
        let (accounts, next) = smallest(names, request);
        Self::new(accounts, next)
    }
}

/// The smallest keys after the request's cursor, as many as its limit, and the cursor of the next page.
/// A key that comes twice counts once.
pub(super) fn smallest<K: AsRef<str> + Ord>(
    keys: impl IntoIterator<Item = K>,
    request: &PageRequest,
) -> (Vec<K>, Option<PageCursor>) {
    let after = request.cursor().map(PageCursor::as_str);
    let mut page = BTreeSet::new();
    let mut goes_on = false;
    for key in keys {
        if after.is_some_and(|after| key.as_ref() <= after) {
            continue;
        }
        if page.len() == request.limit() && page.last() < Some(&key) {
            goes_on = true;
            continue;
        }
        page.insert(key);
        if page.len() > request.limit() {
            page.pop_last();
            goes_on = true;
        }
    }
    let last = page.last().filter(|_| goes_on);
    let next = last.map(|last| PageCursor::new(last.as_ref()));
    (page.into_iter().collect(), next)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_limit_has_bounds() {
        for (limit, counts_as) in [(0, 1), (1, 1), (10_000, 10_000), (usize::MAX, 10_000)] {
            assert_eq!(PageRequest::new(None, limit).limit(), counts_as);
        }
    }

    proptest! {
        #[test]
        fn s137_the_pages_of_all_names_hold_each_name_once_in_order(
            names in prop::collection::vec("[ab\u{e4}]{0,3}", 0..40),
            limit in 1_usize..9,
        ) {
            let mut seen = Vec::new();
            let mut request = PageRequest::new(None, limit);
            loop {
                let all = names.iter().map(AccountId::from);
                let page = AccountsPage::of_all(all, &request);
                prop_assert!(page.accounts.len() <= limit);
                seen.extend(page.accounts);
                match page.next {
                    Some(next) => request = PageRequest::new(Some(next), limit),
                    None => break,
                }
            }
            let sorted: BTreeSet<_> = names.iter().map(AccountId::from).collect();
            prop_assert_eq!(seen, sorted.into_iter().collect::<Vec<_>>());
        }
    }
}
