//! Stores that break one rule each. The conformance suite has to fail for each of them.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, UNIX_EPOCH},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId, TokenSet,
    store::{AccountsPage, Lease, LeaseRequest, PageCursor, PageRequest, StoreError, Swap},
};
use futures_util::FutureExt;

use super::*;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Rule {
    None,
    SwapsBlindly,
    SwapsOverNothing,
    DeletesBlindly,
    DeletesNothing,
    ForgetsRefreshTokens,
    ForgetsMilliseconds,
    ForgetsIntents,
    ForgetsRefusals,
    ForgetsLineages,
    MakesUpVersions,
    IgnoresCase,
    CutsNames,
    LeasesToAll,
    LeasesOnceForAll,
    LeasesForGood,
    NamesNoAccount,
    SavesByHalves,
    ListsNothing,
    ListsTheFirstPageAlone,
    ListsOnePageForEver,
    ListsStrangers,
    SkipsAnAccount,
    IsNeverReady,
}

#[derive(Clone, Debug)]
struct Broken(MemoryStore, Rule);

impl Broken {
    fn name(&self, account: &AccountId) -> AccountId {
        match self.1 {
            Rule::IgnoresCase => account.as_str().to_lowercase().into(),
            Rule::CutsNames => account.as_str().chars().take(64).collect::<String>().into(),
            _ => account.clone(),
        }
    }

    /// The new access token with the old refresh token.
    async fn half(&self, account: &AccountId, record: &Record) -> Option<Record> {
        let old = self.0.load(account).await.expect("memory")?.tokens;
        let access = record.tokens.access_token()?.expose_secret();
        let (issued_at, lifetime) = (record.tokens.issued_at()?, record.tokens.lifetime()?);
        let half = TokenSet::new(access, issued_at, lifetime);
        let refresh = old.refresh_token()?.expose_secret();
        Some(Record::new(half.with_refresh_token(refresh)))
    }

    async fn newest(&self, account: &AccountId) -> Option<Version> {
        let record = self.0.load(account).await.expect("memory");
        record.map(|record| record.version)
    }
}

#[async_trait]
impl TokenStore for Broken {
    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        self.0.load(&self.name(account)).await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let account = self.name(account);
        let newest = self.newest(&account).await;
        let expected = match self.1 {
            Rule::SwapsBlindly => newest,
            Rule::SwapsOverNothing if newest.is_none() => None,
            _ => expected,
        };
        let tokens = &record.tokens;
        let access = tokens.access_token().map(|token| token.expose_secret());
        let times = tokens.issued_at().zip(tokens.lifetime());
        let tokens = match (self.1, access.zip(times)) {
            (Rule::ForgetsRefreshTokens, Some((access, (issued_at, lifetime)))) => {
                TokenSet::new(access, issued_at, lifetime)
            }
            (Rule::ForgetsMilliseconds, Some((access, (issued_at, lifetime)))) => {
                let issued_at = issued_at.duration_since(UNIX_EPOCH);
                let seconds = issued_at.expect("after the epoch").as_secs();
                let issued_at = UNIX_EPOCH + Duration::from_secs(seconds);
                let refresh = tokens
                    .refresh_token()
                    .map_or("", |token| token.expose_secret());
                TokenSet::new(access, issued_at, lifetime).with_refresh_token(refresh)
            }
            _ => tokens.clone(),
        };
        let mut kept = Record::new(tokens);
        if self.1 != Rule::MakesUpVersions {
            kept = kept.with_version(record.version);
        }
        if self.1 != Rule::ForgetsIntents {
            kept.presented_at = record.presented_at;
        }
        if self.1 != Rule::ForgetsRefusals {
            kept.refused_at = record.refused_at;
        }
        if self.1 != Rule::ForgetsLineages {
            kept.lineage = record.lineage.clone();
        }
        let record = kept;
        if self.1 == Rule::SavesByHalves
            && newest == expected
            && let Some(half) = self.half(&account, &record).await
        {
            self.0.compare_and_swap(&account, expected, &half).await?;
            tokio::task::yield_now().await;
            let expected = Some(half.version);
            return self.0.compare_and_swap(&account, expected, &record).await;
        }
        self.0.compare_and_swap(&account, expected, &record).await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        let account = self.name(account);
        let expected = match (self.1, self.newest(&account).await) {
            (Rule::DeletesBlindly, Some(newest)) => newest,
            (Rule::DeletesNothing, newest) => return Ok(newest == Some(expected)),
            _ => expected,
        };
        self.0.delete(&account, expected).await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        match self.1 {
            Rule::LeasesToAll => MemoryStore::new().lease(account, request).await,
            Rule::LeasesOnceForAll => self.0.lease(&"all".into(), request).await,
            Rule::LeasesForGood => {
                let wait = request.wait.min(Duration::from_millis(20));
                let request = LeaseRequest::new(request.time_to_live, wait);
                std::mem::forget(self.0.lease(account, request).await?);
                MemoryStore::new().lease(account, request).await
            }
            Rule::NamesNoAccount => {
                self.0.lease(account, request).await.map_err(|error| {
                    StoreError::new(error.kind(), error.store(), "a lease is held")
                })
            }
            _ => self.0.lease(&self.name(account), request).await,
        }
    }

    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        let mut page = self.0.accounts(request).await?;
        match self.1 {
            Rule::ListsNothing => page = AccountsPage::default(),
            Rule::ListsTheFirstPageAlone => page.next = None,
            Rule::ListsOnePageForEver => page.next = Some(PageCursor::new("")),
            Rule::ListsStrangers => page.accounts.push("nobody".into()),
            Rule::SkipsAnAccount => drop(page.accounts.pop()),
            _ => {}
        }
        Ok(page)
    }

    async fn check(&self) -> Result<(), StoreError> {
        match self.1 {
            Rule::IsNeverReady => {
                let kind = StoreErrorKind::Unavailable;
                Err(StoreError::new(kind, self.0.name(), "not ready"))
            }
            _ => Ok(()),
        }
    }
}

#[tokio::test]
async fn the_suite_fails_for_each_broken_rule() {
    const HISTORY: &str = "the intent, the refusal and the lineage survive";

    let cases = [
        (Rule::SwapsBlindly, "the first save expects no record"),
        (Rule::SwapsOverNothing, "the first save expects no record"),
        (Rule::DeletesBlindly, "deleting names the newest version"),
        (Rule::DeletesNothing, "accounts are independent"),
        (
            Rule::ForgetsRefreshTokens,
            "the first save expects no record",
        ),
        (
            Rule::ForgetsMilliseconds,
            "the first save expects no record",
        ),
        (Rule::ForgetsIntents, HISTORY),
        (Rule::ForgetsRefusals, HISTORY),
        (Rule::ForgetsLineages, HISTORY),
        (Rule::MakesUpVersions, "the first save expects no record"),
        (Rule::IgnoresCase, "accounts are independent"),
        (Rule::CutsNames, "accounts are independent"),
        (Rule::LeasesToAll, "a lease keeps others out"),
        (Rule::LeasesOnceForAll, "a lease keeps others out"),
        (Rule::LeasesForGood, "a lease keeps others out"),
        (Rule::NamesNoAccount, "a lease keeps others out"),
        (Rule::SavesByHalves, "a reader sees whole records"),
        (Rule::ListsNothing, "the pages list each account"),
        (Rule::ListsTheFirstPageAlone, "the pages list each account"),
        (Rule::ListsOnePageForEver, "an empty store lists no account"),
        (Rule::ListsStrangers, "an empty store lists no account"),
        (Rule::SkipsAnAccount, "the pages list each account"),
        (Rule::IsNeverReady, "a sound store is ready"),
    ];
    for (broken, rule) in cases {
        let store = Broken(MemoryStore::new(), broken);
        let panic = AssertUnwindSafe(store_conformance(|| async { store.clone() }))
            .catch_unwind()
            .await
            .expect_err("the suite passed");
        let message = panic.downcast_ref::<String>().expect("a message");
        assert!(message.contains(rule), "{broken:?}: {message}");
    }
    let sound = Broken(MemoryStore::new(), Rule::None);
    store_conformance(|| async { sound.clone() }).await;
}
