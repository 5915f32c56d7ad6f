//! A walk through all accounts of a store.

use super::{AccountsPage, PageRequest, StoreError, TokenStore};

/// Reads all pages of a store's accounts, one after another.
///
/// ```
/// use dropbox_sign_oauth::store::{AccountPages, StoreError, TokenStore};
///
/// async fn print_accounts(store: &dyn TokenStore) -> Result<(), StoreError> {
///     let mut pages = AccountPages::of(store);
///     while let Some(page) = pages.next_page().await? {
///         for account in page.accounts {
///             println!("{account}");
///         }
///         for error in page.errors {
///             eprintln!("{error}");
///         }
///     }
///     Ok(())
/// }
/// # use dropbox_sign_oauth::store::MemoryStore;
/// # tokio::runtime::Runtime::new().unwrap().block_on(print_accounts(&MemoryStore::new())).unwrap();
/// ```
///
/// One page is in memory at a time. [`TokenStore::accounts`] says which accounts the pages hold.
#[derive(Debug)]
pub struct AccountPages<'a> {
    store: &'a dyn TokenStore,
    limit: usize,
    /// `None` after the last page.
    request: Option<PageRequest>,
}

impl<'a> AccountPages<'a> {
    /// Begins with the first page, with [`PageRequest::DEFAULT_LIMIT`].
    pub fn of(store: &'a dyn TokenStore) -> Self {
        Self::with_limit(store, PageRequest::DEFAULT_LIMIT)
    }

    /// Begins with the first page, with another limit for each page: see [`PageRequest::new`].
    pub fn with_limit(store: &'a dyn TokenStore, limit: usize) -> Self {
        Self {
            store,
            limit,
            request: Some(PageRequest::new(None, limit)),
        }
    }

    /// The next page that holds an account or an error. `None`: there is no further page.
    ///
    /// # Errors
    ///
    /// Those of [`TokenStore::accounts`]. After an error, call again for the same page.
    ///
    /// # Cancel safety
    ///
    /// After a dropped future, the next call reads the same page.
    pub async fn next_page(&mut self) -> Result<Option<AccountsPage>, StoreError> {
        while let Some(request) = &self.request {
            let page = self.store.accounts(request).await?;
            let next = page.next.clone();
            self.request = next.map(|next| PageRequest::new(Some(next), self.limit));
            if !page.accounts.is_empty() || !page.errors.is_empty() {
                return Ok(Some(page));
            }
        }
        Ok(None)
    }
}
