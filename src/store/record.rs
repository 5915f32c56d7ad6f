//! One account's tokens, as a store keeps them.

use std::time::{Duration, SystemTime};

use super::{Lineage, Version};
use crate::{secret::RefreshToken, token::TokenSet};

const MILLISECOND: Duration = Duration::from_millis(1);

/// One account's tokens, as a store keeps them.
///
/// A store that keeps text or bytes uses [`to_json`](Self::to_json) and
/// [`from_json`](Self::from_json). A store with a column for each field reads the fields and rebuilds
/// the record:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use dropbox_sign_oauth::{TokenSet, store::{Lineage, Record, Version}};
///
/// struct Row {
///     version: u64,
///     access: Option<(String, SystemTime, Duration)>,
///     refresh_token: Option<String>,
///     presented_at: Option<SystemTime>,
///     refused_at: Option<SystemTime>,
///     lineage: String,
/// }
///
/// fn to_row(record: &Record) -> Row {
///     let tokens = &record.tokens;
///     let access_token = tokens.access_token().map(|token| token.expose_secret().to_owned());
///     let times = tokens.issued_at().zip(tokens.lifetime());
///     Row {
///         version: record.version.as_u64(),
///         access: access_token.zip(times).map(|(token, (at, lifetime))| (token, at, lifetime)),
///         refresh_token: tokens.refresh_token().map(|token| token.expose_secret().to_owned()),
///         presented_at: record.presented_at,
///         refused_at: record.refused_at,
///         lineage: record.lineage.to_string(),
///     }
/// }
///
/// // `None` if the row is damaged: a store returns `StoreErrorKind::Corrupt`.
/// fn from_row(row: Row) -> Option<Record> {
///     let tokens = match (row.access, row.refresh_token) {
///         (Some((token, issued_at, lifetime)), refresh) => TokenSet::new(token, issued_at, lifetime)
///             .with_refresh_token(refresh.unwrap_or_default()),
///         (None, Some(refresh)) => TokenSet::from_refresh_token(refresh),
///         (None, None) => return None,
///     };
///     let mut record = Record::new(tokens).with_version(Version::from_u64(row.version)?);
///     record.presented_at = row.presented_at;
///     record.refused_at = row.refused_at;
///     record.lineage = Lineage::from_text(&row.lineage)?;
///     Some(record)
/// }
///
/// let tokens = TokenSet::new("access", SystemTime::now(), Duration::from_secs(86_400));
/// for record in [
///     Record::new(tokens.clone()),
///     Record::new(tokens.with_refresh_token("refresh")).with_presented_at(SystemTime::now()),
///     Record::new(TokenSet::from_refresh_token("refresh")),
/// ] {
///     assert_eq!(from_row(to_row(&record)), Some(record));
/// }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Eq)]
pub struct Record {
    /// The tokens.
    pub tokens: TokenSet,
    /// The version that a save has to name to replace this record.
    pub version: Version,
    /// The intent: when a process was about to present the refresh token. `None` once the result of
    /// the request is saved. A process that finds an intent while it holds the lease knows that the
    /// refresh token may be spent.
    pub presented_at: Option<SystemTime>,
    /// When the token endpoint refused the refresh token for good. All processes that share the store
    /// believe the refusal, and present the token again only after
    /// [`RefreshPolicy::refusal_lifetime`](crate::RefreshPolicy::refusal_lifetime). `None` for a record with
    /// another refresh token.
    pub refused_at: Option<SystemTime>,
    /// The sign-in that the tokens come from.
    pub lineage: Lineage,
    /// An encrypting store read this record without encryption. Stores know no event sinks, so the
    /// account reports the record. Not stored, and absent from every record made of this record.
    pub(crate) is_read_unencrypted: bool,
}

impl Record {
    /// A record to save, under a new version, without an intent and of unknown origin.
    pub fn new(tokens: TokenSet) -> Self {
        Self {
            tokens,
            version: Version::unique(),
            presented_at: None,
            refused_at: None,
            lineage: Lineage::default(),
            is_read_unencrypted: false,
        }
    }

    /// The record under the version that a store has kept.
    #[must_use]
    pub fn with_version(mut self, version: Version) -> Self {
        self.version = version;
        self
    }

    /// The record with the [intent](Self::presented_at) that a store has kept.
    #[must_use]
    pub fn with_presented_at(mut self, time: SystemTime) -> Self {
        self.presented_at = Some(time);
        self
    }

    /// Whether the service has refused the record's refresh token for good, and no token has come since.
    /// Only a new sign-in helps, even while the access token is valid. The token is presented again after
    /// [`RefreshPolicy::refusal_lifetime`](crate::RefreshPolicy::refusal_lifetime) all the same.
    ///
    /// The [`lineage`](Self::lineage) knows the refused token: a store that drops the lineage never shows a
    /// refusal.
    ///
    /// ```
    /// # use dropbox_sign_oauth::{AccountId, store::{StoreError, TokenStore}};
    /// async fn needs_a_sign_in(store: &dyn TokenStore, account: &AccountId) -> Result<bool, StoreError> {
    ///     let record = store.load(account).await?;
    ///     Ok(record.is_none_or(|record| record.is_refused()))
    /// }
    /// ```
    pub fn is_refused(&self) -> bool {
        let token = self.tokens.refresh_token();
        token.is_some_and(|token| self.refusal_of(token).is_some())
    }

    /// The record to save when the service has granted `tokens` for the refresh token.
    pub(crate) fn refreshed(&self, tokens: TokenSet) -> Self {
        Self {
            lineage: self.lineage.clone(),
            ..Self::new(tokens)
        }
    }

    /// The record to save before its refresh token is presented.
    pub(crate) fn to_intent(&self, now: SystemTime) -> Self {
        self.unchanged().with_presented_at(now)
    }

    /// The record to save if its refresh token was not spent.
    pub(crate) fn unchanged(&self) -> Self {
        self.refreshed(self.tokens.clone())
    }

    /// Whether a refresh brought the access token, not a sign-in: the refresh token is another than the
    /// sign-in's, or the access token is newer. A lineage counts in milliseconds.
    pub(crate) fn is_refreshed(&self) -> bool {
        let is_new = |token| !self.lineage.has_tried(token);
        let times = self.lineage.began_at().zip(self.tokens.issued_at());
        self.tokens.refresh_token().is_some_and(is_new)
            || times.is_some_and(|(began_at, issued_at)| issued_at >= began_at + MILLISECOND)
    }

    /// When the token endpoint refused this refresh token. The record may hold another refresh token
    /// by now, which an operator pasted.
    pub(crate) fn refusal_of(&self, token: &RefreshToken) -> Option<SystemTime> {
        self.refused_at.filter(|_| self.lineage.has_tried(token))
    }

    /// Whether this refresh token is known to be of no use any more: it began a sign-in whose record
    /// holds another token by now, or it was refused.
    pub(crate) fn has_outgrown(&self, token: &RefreshToken) -> bool {
        let is_another = self.tokens.refresh_token() != Some(token);
        self.lineage.has_tried(token) && (is_another || self.refused_at.is_some())
    }

    /// The record to save after the token endpoint refused its refresh token.
    pub(crate) fn to_refused(&self, token: &RefreshToken, now: SystemTime) -> Self {
        let mut record = self.unchanged();
        record.refused_at = Some(now);
        record.lineage = record.lineage.with_tried(token);
        record
    }
}

/// Compares what a store keeps. How the record was read is no part of the record.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        let Self {
            tokens,
            version,
            presented_at,
            refused_at,
            lineage,
            is_read_unencrypted: _,
        } = self;
        *tokens == other.tokens
            && *version == other.version
            && *presented_at == other.presented_at
            && *refused_at == other.refused_at
            && *lineage == other.lineage
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s109_a_token_is_refreshed_if_it_is_newer_than_its_sign_in_or_its_refresh_token_is_another() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_micros(1_735_689_600_123_456);
        let tokens = |issued_at| {
            let tokens = TokenSet::new("access", issued_at, Duration::from_secs(60));
            tokens.with_refresh_token("refresh")
        };
        let signed_in = |issued_at| {
            let mut record = Record::new(tokens(issued_at));
            record.lineage = Lineage::of_sign_in(&record.tokens, now, &Lineage::default());
            record
        };
        let (minute, record) = (Duration::from_secs(60), signed_in(now));
        for issued_at in [now, now - minute, now + minute] {
            assert!(!signed_in(issued_at).is_refreshed(), "{issued_at:?}");
        }
        assert!(record.refreshed(tokens(now + MILLISECOND)).is_refreshed());
        // The clock of the sign-in was ahead.
        let rotated = tokens(now - minute).with_refresh_token("another");
        assert!(record.refreshed(rotated).is_refreshed());
        // A record that an earlier version of this crate, or an operator, wrote.
        assert!(Record::new(tokens(now)).is_refreshed());
    }
}
