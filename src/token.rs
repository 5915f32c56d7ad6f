//! The tokens of one account, and how long they are valid.
//!
//! A sign-in or a refresh yields a [`TokenSet`], and a store keeps the set. The deadline counts from the
//! moment at which the token request was *sent*: the service starts counting no earlier.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::{
    clock::since_epoch,
    secret::{AccessToken, RefreshToken, pasting_flaw, surplus},
};

/// The longest lifetime that is believed. A longer `expires_in` is no duration.
pub(crate) const LONGEST_LIFETIME: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

/// The end of the year 9999, since the Unix epoch: the latest time that every store can keep.
pub(crate) const LATEST: Duration = Duration::from_millis(253_402_300_799_999);

/// The beginning of each envelope that `EncryptedStore` makes of a record.
pub(crate) const SEALED: &str = "sealed:";

/// An access token, its deadline, and the refresh token that replaces it.
///
/// An [`OAuthTokenResponse`](crate::api::OAuthTokenResponse) converts into a `TokenSet` by `into()`.
/// Tokens from elsewhere are put together by hand:
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use dropbox_sign_oauth::TokenSet;
///
/// let tokens = TokenSet::new("access", SystemTime::now(), Duration::from_secs(86_400))
///     .with_refresh_token("refresh");
/// assert!(tokens.refresh_token().is_some());
///
/// // With a refresh token alone, the first request fetches the access token.
/// let tokens = TokenSet::from_refresh_token("refresh");
/// assert!(tokens.access_token().is_none());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct TokenSet {
    access: Option<Access>,
    refresh_token: Option<RefreshToken>,
}

/// An access token and its times.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Access {
    pub(crate) token: AccessToken,
    /// Since the Unix epoch; at most [`LATEST`].
    pub(crate) issued_at: Duration,
    /// At most [`LONGEST_LIFETIME`].
    pub(crate) lifetime: Duration,
}

impl Access {
    /// Since the Unix epoch.
    pub(crate) fn end(&self) -> Duration {
        self.issued_at + self.lifetime
    }

    pub(crate) fn expires_at(&self) -> SystemTime {
        UNIX_EPOCH + self.end()
    }
}

impl TokenSet {
    /// An access token that was requested at `issued_at` and lives for `lifetime` from then on.
    ///
    /// A lifetime of more than ten years counts as ten years, a time after the year 9999 as its
    /// end.
    pub fn new(token: impl Into<AccessToken>, issued_at: SystemTime, lifetime: Duration) -> Self {
        Self {
            access: Some(Access {
                token: token.into(),
                issued_at: since_epoch(issued_at).min(LATEST),
                lifetime: lifetime.min(LONGEST_LIFETIME),
            }),
            refresh_token: None,
        }
    }

    /// An access token that another program kept with the time at which it expires. The token
    /// counts as issued now, by the system's clock.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    /// use dropbox_sign_oauth::TokenSet;
    ///
    /// let expires_at = SystemTime::UNIX_EPOCH + Duration::from_secs(4_102_444_800);
    /// let tokens = TokenSet::expiring_at("access", expires_at).with_refresh_token("refresh");
    /// assert!(tokens.lifetime().is_some_and(|lifetime| !lifetime.is_zero()));
    /// ```
    pub fn expiring_at(token: impl Into<AccessToken>, expires_at: SystemTime) -> Self {
        let issued_at = SystemTime::now().min(expires_at);
        let lifetime = expires_at.duration_since(issued_at).unwrap_or_default();
        Self::new(token, issued_at, lifetime)
    }

    /// A refresh token alone. The first request refreshes.
    pub fn from_refresh_token(token: impl Into<RefreshToken>) -> Self {
        Self {
            access: None,
            refresh_token: None,
        }
        .with_refresh_token(token)
    }

    /// Adds the refresh token. The empty string is no refresh token.
    #[must_use]
    pub fn with_refresh_token(mut self, token: impl Into<RefreshToken>) -> Self {
        self.refresh_token = Some(token.into()).filter(|token| !token.is_empty());
        self
    }

    /// The access token, if there is one.
    pub fn access_token(&self) -> Option<&AccessToken> {
        self.access.as_ref().map(|access| &access.token)
    }

    /// The refresh token, if there is one.
    pub fn refresh_token(&self) -> Option<&RefreshToken> {
        self.refresh_token.as_ref()
    }

    /// When the access token was requested, by the wall clock; `None` without an access token.
    pub fn issued_at(&self) -> Option<SystemTime> {
        let access = self.access.as_ref()?;
        Some(UNIX_EPOCH + access.issued_at)
    }

    /// How long the access token lives after that time; `None` without an access token.
    pub fn lifetime(&self) -> Option<Duration> {
        self.access.as_ref().map(|access| access.lifetime)
    }

    /// When the access token expires, by the wall clock; `None` without an access token.
    pub fn expires_at(&self) -> Option<SystemTime> {
        self.access.as_ref().map(Access::expires_at)
    }

    /// Whether the refresh token is an envelope that `EncryptedStore` made of a record.
    pub(crate) fn is_sealed(&self) -> bool {
        let token = self.refresh_token.as_ref();
        token.is_some_and(|token| token.expose_secret().starts_with(SEALED))
    }

    /// Why no service granted these tokens to be installed, if no service did: mistakes in pasting,
    /// for example.
    pub(crate) fn flaw(&self) -> Option<String> {
        let access_token = self.access_token().map(AccessToken::expose_secret);
        if let Some(surplus) = access_token.and_then(surplus) {
            return Some(format!("the access token {surplus}"));
        }
        if let Some(flaw) = self.unsendable() {
            return Some(flaw.to_owned());
        }
        if self.is_sealed() {
            return Some("the refresh token is an encrypted record of a store".to_owned());
        }
        let refresh_token = self.refresh_token().map(RefreshToken::expose_secret);
        let flaw = refresh_token.and_then(pasting_flaw);
        flaw.map(|flaw| format!("the refresh token {flaw}"))
    }

    /// Why no request can carry these tokens, if no request can. A refresh token that was granted is
    /// kept as it is.
    pub(crate) fn unsendable(&self) -> Option<&'static str> {
        match &self.access {
            None if self.refresh_token.is_none() => Some("there is no token"),
            Some(access) => access.token.flaw(),
            None => None,
        }
    }

    pub(crate) fn access(&self) -> Option<&Access> {
        self.access.as_ref()
    }

    /// The tokens after a refresh with `used`: a response without a refresh token keeps the
    /// presented refresh token (RFC 6749, section 6).
    pub(crate) fn or_refresh_token(mut self, used: &RefreshToken) -> Self {
        self.refresh_token.get_or_insert_with(|| used.clone());
        self
    }
}

impl fmt::Debug for TokenSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSet")
            .field("access_token", &self.access_token())
            .field("refresh_token", &self.refresh_token())
            .field("issued_at", &self.issued_at())
            .field("lifetime", &self.lifetime())
            .finish()
    }
}

/// The number of a token among the tokens that one process has used for one account.
///
/// A newer token has a higher generation, even if it expires earlier, so that a late 401 cannot throw
/// a newer token away. Generations are for comparing alone: each load of the record uses a number up, too, so
/// that an account's first refresh may have the number 5.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Generation(pub(crate) u64);

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_refresh_token_is_none_and_keeps_the_used_one() {
        let used = RefreshToken::new("old");
        let response = TokenSet::new("a", SystemTime::now(), Duration::from_secs(1));
        let kept = response
            .clone()
            .with_refresh_token("")
            .or_refresh_token(&used);
        assert_eq!(kept.refresh_token(), Some(&used));
        let rotated = response.with_refresh_token("new").or_refresh_token(&used);
        assert_eq!(rotated.refresh_token(), Some(&RefreshToken::new("new")));
    }

    #[test]
    fn absurd_times_neither_overflow_nor_panic() {
        let tokens = TokenSet::new("a", UNIX_EPOCH - Duration::from_secs(5), Duration::MAX);
        assert_eq!(tokens.issued_at(), Some(UNIX_EPOCH));
        assert_eq!(tokens.lifetime(), Some(LONGEST_LIFETIME));
        assert_eq!(tokens.expires_at(), Some(UNIX_EPOCH + LONGEST_LIFETIME));

        let far = UNIX_EPOCH + Duration::from_secs(1 << 60);
        let end = UNIX_EPOCH + LATEST + LONGEST_LIFETIME;
        for tokens in [
            TokenSet::new("a", far, Duration::MAX),
            TokenSet::new("a", UNIX_EPOCH + LATEST, Duration::MAX),
        ] {
            assert_eq!(tokens.issued_at(), Some(UNIX_EPOCH + LATEST));
            assert_eq!(tokens.expires_at(), Some(end));
        }
        let tokens = TokenSet::expiring_at("a", far);
        assert_eq!(tokens.lifetime(), Some(LONGEST_LIFETIME));
    }

    #[test]
    fn a_token_of_which_only_the_end_is_known_ends_then() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let tokens = TokenSet::expiring_at("a", now + hour);
        assert_eq!(tokens.expires_at(), Some(now + hour));
        assert!(tokens.issued_at().is_some_and(|issued_at| issued_at >= now));
        let expired = TokenSet::expiring_at("a", now - hour);
        assert_eq!(expired.expires_at(), Some(now - hour));
        assert_eq!(expired.lifetime(), Some(Duration::ZERO));
    }

    #[test]
    fn without_an_access_token_there_are_no_times() {
        let tokens = TokenSet::from_refresh_token("r");
        assert_eq!(tokens.issued_at(), None);
        assert_eq!(tokens.lifetime(), None);
        assert_eq!(tokens.expires_at(), None);
    }

    #[test]
    fn ten_years_are_believed_and_no_more() {
        let lifetime = |seconds| {
            let seconds = Duration::from_secs(seconds);
            let tokens = TokenSet::new("a", UNIX_EPOCH, seconds);
            tokens.lifetime().map(|lifetime| lifetime.as_secs())
        };
        assert_eq!(lifetime(315_360_000), Some(315_360_000));
        assert_eq!(lifetime(315_360_001), Some(315_360_000));
    }

    #[test]
    fn debug_tells_the_times_and_hides_the_tokens() {
        let tokens = TokenSet::new("hush-access", UNIX_EPOCH, Duration::from_secs(77))
            .with_refresh_token("hush-refresh");
        let text = format!("{tokens:?}");
        assert!(text.contains("lifetime: Some(77s)"), "{text}");
        assert!(!text.contains("hush"), "{text}");
    }

    #[test]
    fn a_generation_reads_as_its_number() {
        assert_eq!(Generation(7).to_string(), "7");
    }
}
