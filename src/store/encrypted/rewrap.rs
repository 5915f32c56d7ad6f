//! Seals stored records anew, with the store's present key.

use std::time::Duration;

use super::{
    super::{
        LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version, fault::Fault,
    },
    EncryptedStore,
};
use crate::account_id::AccountId;

/// A load and a save end long before.
const LEASE_TIME_TO_LIVE: Duration = Duration::from_secs(60);
/// As long as a flight waits by default.
const LEASE_WAIT: Duration = Duration::from_secs(20);

/// The result of a [`rewrap`](EncryptedStore::rewrap) for one account.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rewrapped {
    /// The record was encrypted before, and was saved with the store's key under a new version.
    Changed,
    /// The record was not encrypted before, and was saved with the store's key under a new version.
    ///
    /// Expected once, while the program [begins to
    /// encrypt](super::EncryptedStoreBuilder::accept_unencrypted). If the record of this account was
    /// encrypted before, another user has written to the store: sign the account in again. An account
    /// that loads the record later cannot tell, and reports nothing.
    Encrypted,
    /// The record was sealed with the store's key, environment and format before.
    Current,
    /// The record holds an intent, whose process may be about to save new tokens over this version.
    /// The store left the record as it is. The record changes with its next refresh.
    HoldsIntent,
    /// The store has no record of the account.
    Absent,
}

/// What `rewrap` will do about a record.
enum Plan {
    Save(Record),
    Nothing(Rewrapped),
}

impl<S: TokenStore> EncryptedStore<S> {
    /// Saves the records of these accounts anew, with the store's key, environment and format, and
    /// returns a result for each account.
    ///
    /// For accounts that seldom refresh, after a change of the key for example. The store must
    /// [read](super::EncryptedStoreBuilder::read_with) the records, and all other processes that share
    /// the store must read records of the new key. Tokens, refusals and lineages stay the same; nothing is
    /// sent to the service.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{AccountId, TokenSet};
    /// # use dropbox_sign_oauth::store::{MemoryStore, Record, TokenStore};
    /// use dropbox_sign_oauth::store::{AccountPages, EncryptedStore, EncryptionKey, Rewrapped};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let inner = MemoryStore::new();
    /// # let (old, new) = (EncryptionKey::generate("2025")?, EncryptionKey::generate("2026")?);
    /// # let record = Record::new(TokenSet::from_refresh_token("refresh"));
    /// # let store = EncryptedStore::new(inner.clone(), old.clone());
    /// # store.compare_and_swap(&"acme".into(), None, &record).await?;
    /// let store = EncryptedStore::builder(inner, new).read_with(old).build()?;
    /// let mut pages = AccountPages::of(&store);
    /// while let Some(page) = pages.next_page().await? {
    ///     for (account, result) in store.rewrap(page.accounts).await {
    ///         match result {
    ///             Ok(Rewrapped::Changed | Rewrapped::Current) => {}
    ///             Ok(Rewrapped::Encrypted) => println!("{account} was not encrypted before"),
    ///             Ok(other) => println!("{account}: {other:?}"),
    ///             Err(error) => eprintln!("{error}"),
    ///         }
    ///     }
    /// }
    /// # let results = store.rewrap(["acme", "globex"]).await;
    /// # assert_eq!(results[0].1.as_ref().ok(), Some(&Rewrapped::Current));
    /// # assert_eq!(results[1].1.as_ref().ok(), Some(&Rewrapped::Absent));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// An old key can go when no result is an error or `HoldsIntent`, and no page has an
    /// [error](super::super::AccountsPage::errors). If the inner store cannot list its accounts, take the
    /// names from the program's own database.
    ///
    /// The accounts take their turns. A record that has to change is saved under the account's lease, for
    /// which a turn waits for up to 20 seconds. Call `rewrap` again for the accounts that failed.
    ///
    /// # Errors
    ///
    /// Each account has a result of its own, and an error does not keep the other accounts from their
    /// turns: [`LeaseTimeout`](StoreErrorKind::LeaseTimeout) if another process refreshes the account
    /// all the while, [`Undecryptable`](StoreErrorKind::Undecryptable) for a record that no key opens and
    /// that was left as it is, and the inner store's own failures.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, each record is the old record or the new record, whole. The lease is
    /// released as soon as the inner store can. Call `rewrap` again with the same accounts.
    #[must_use = "each account has a result of its own"]
    pub async fn rewrap<A: Into<AccountId>>(
        &self,
        accounts: impl IntoIterator<Item = A>,
    ) -> Vec<(AccountId, Result<Rewrapped, StoreError>)> {
        let mut results = Vec::new();
        for account in accounts.into_iter().map(Into::into) {
            let result = self.rewrap_account(&account).await;
            results.push((account, result));
        }
        results
    }

    async fn rewrap_account(&self, account: &AccountId) -> Result<Rewrapped, StoreError> {
        // Most accounts need no lease.
        if let Plan::Nothing(result) = self.plan_for(account).await? {
            return Ok(result);
        }
        let request = LeaseRequest::new(LEASE_TIME_TO_LIVE, LEASE_WAIT);
        let lease = self.inner.lease(account, request).await?;
        let result = self.rewrap_under_lease(account).await;
        // If this fails, the lease ends with its time to live, and the record is as the result says.
        let _ = lease.release().await;
        result
    }

    async fn rewrap_under_lease(&self, account: &AccountId) -> Result<Rewrapped, StoreError> {
        let record = match self.plan_for(account).await? {
            Plan::Save(record) => record,
            Plan::Nothing(result) => return Ok(result),
        };
        let expected = record.version;
        let done = if record.is_read_unencrypted {
            Rewrapped::Encrypted
        } else {
            Rewrapped::Changed
        };
        let record = record.with_version(Version::unique());
        match self
            .compare_and_swap(account, Some(expected), &record)
            .await?
        {
            Swap::Saved => Ok(done),
            Swap::Conflict => {
                let message = "another process saved the record meanwhile";
                let fault = Fault::new(StoreErrorKind::LeaseLost, message);
                Err(self.error(fault.with_help("rewrap the account again"), account))
            }
        }
    }

    async fn plan_for(&self, account: &AccountId) -> Result<Plan, StoreError> {
        Ok(match self.load_opened(account).await? {
            None => Plan::Nothing(Rewrapped::Absent),
            Some(opened) if opened.is_current => Plan::Nothing(Rewrapped::Current),
            // The process that wrote the intent would take a new version for another process's record,
            // and its granted tokens would give way.
            Some(opened) if opened.record.presented_at.is_some() => {
                Plan::Nothing(Rewrapped::HoldsIntent)
            }
            Some(opened) => Plan::Save(opened.record),
        })
    }
}
