//! A token in use: its ready-made header, its deadlines and its generation.

use std::{
    collections::hash_map::DefaultHasher,
    fmt,
    hash::{Hash, Hasher},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::header::{HeaderValue, InvalidHeaderValue};
use zeroize::Zeroizing;

use crate::{
    account_id::AccountId,
    clock::Moment,
    deadlines::{Deadlines, Freshness},
    policy::RefreshPolicy,
    secret::AccessToken,
    token::{Access, Generation},
};

const SCHEME: &str = "Bearer ";

/// A token that may be sent, with its deadlines.
pub(crate) struct LiveToken {
    pub(crate) bearer: BearerToken,
    pub(crate) deadlines: Deadlines,
    /// When the token was asked for, on the monotonic clock, if it was granted to this process.
    granted_at: Option<Duration>,
    /// Until then the token is newly granted, on the monotonic clock.
    new_until: Duration,
    /// How long a token of this lifetime may be sent.
    usable_for: Duration,
}

impl LiveToken {
    /// A token that was asked for at `sent`, and granted.
    pub(crate) fn granted(
        access: &Access,
        generation: Generation,
        sent: Moment,
        context: (&AccountId, &RefreshPolicy),
    ) -> Option<Self> {
        let mut live = Self::new(access, generation, sent, access.lifetime, context)?;
        live.granted_at = Some(sent.monotonic);
        let cooldown = context.1.cooldown(access.lifetime);
        live.new_until = sent.monotonic.saturating_add(cooldown);
        Some(live)
    }

    /// The same token, where the monotonic clock alone is enough to judge its deadlines.
    pub(crate) fn without_wall(self) -> Self {
        Self {
            deadlines: self.deadlines.without_wall(),
            ..self
        }
    }

    /// A token that came from elsewhere and is first seen at `now`. Its age is known by the wall clock
    /// alone. A clock that is set wrong can make the token look younger, but never let the token
    /// outlive its lifetime from now on. A token that was issued further ahead than its lifetime is
    /// stale: one of the two clocks is wrong.
    pub(crate) fn found(
        access: &Access,
        generation: Generation,
        now: Moment,
        context: (&AccountId, &RefreshPolicy),
    ) -> Option<Self> {
        let remaining = access.end().saturating_sub(now.wall).min(access.lifetime);
        let mut live = Self::new(access, generation, now, remaining, context)?;
        if access.issued_at > now.wall.saturating_add(access.lifetime) {
            live.deadlines = live.deadlines.stale_from(now);
        }
        Some(live)
    }

    /// A found token that another process, or an earlier run of this one, was granted by a refresh.
    pub(crate) fn refreshed_elsewhere(
        access: &Access,
        generation: Generation,
        now: Moment,
        context: (&AccountId, &RefreshPolicy),
    ) -> Option<Self> {
        let mut live = Self::found(access, generation, now, context)?;
        // A time ahead comes from another clock. Counted as an age, it cannot hold refreshes up for ever.
        let age = now.wall.abs_diff(access.issued_at);
        let rest = context.1.cooldown(access.lifetime).saturating_sub(age);
        live.new_until = now.monotonic.saturating_add(rest);
        Some(live)
    }

    fn new(
        access: &Access,
        generation: Generation,
        moment: Moment,
        remaining: Duration,
        (account, policy): (&AccountId, &RefreshPolicy),
    ) -> Option<Self> {
        let windows = policy.windows(access.lifetime, jitter(account, &access.token));
        Some(Self {
            bearer: BearerToken {
                header: bearer_header(&access.token)?,
                generation,
                expires_at: access.expires_at(),
            },
            deadlines: Deadlines::new(moment, remaining, windows),
            granted_at: None,
            new_until: Duration::ZERO,
            usable_for: access.lifetime.saturating_sub(windows.1),
        })
    }

    pub(crate) fn generation(&self) -> Generation {
        self.bearer.generation
    }

    pub(crate) fn freshness(&self, now: Moment) -> Freshness {
        self.deadlines.freshness(now)
    }

    /// Whether the token may be sent until `lasting` is over.
    pub(crate) fn is_valid_for(&self, lasting: Duration, now: Moment) -> bool {
        self.deadlines.is_valid_for(lasting, now)
    }

    /// How long a token of the same lifetime may be sent, from its grant on.
    pub(crate) fn usable_for(&self) -> Duration {
        self.usable_for
    }

    /// When the token was asked for, on the monotonic clock, if it was granted to this process.
    pub(crate) fn granted_at(&self) -> Option<Duration> {
        self.granted_at
    }

    /// Whether the token was granted only a moment ago, so that another would be rejected as well.
    pub(crate) fn is_newly_granted(&self, now: Moment) -> bool {
        now.monotonic < self.new_until
    }
}

impl fmt::Debug for LiveToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveToken")
            .field("generation", &self.generation())
            .field("deadlines", &self.deadlines)
            .finish_non_exhaustive()
    }
}

/// A valid access token, ready to be attached.
///
/// The header is marked sensitive. Dropping the last clone zeroizes its memory.
#[derive(Clone)]
pub struct BearerToken {
    header: HeaderValue,
    generation: Generation,
    expires_at: SystemTime,
}

impl BearerToken {
    /// The value of the `Authorization` header.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }

    /// Converts into the value of the `Authorization` header, for requests that this crate's
    /// middleware does not send.
    pub fn into_header(self) -> HeaderValue {
        self.header
    }

    /// The token's number, for [`Account::replace_rejected`](super::Account::replace_rejected).
    pub fn generation(&self) -> Generation {
        self.generation
    }

    /// When the token expires, by the wall clock.
    pub fn expires_at(&self) -> SystemTime {
        self.expires_at
    }

    /// The token without the header, for clients that make the header themselves.
    pub fn access_token(&self) -> AccessToken {
        let header = self.header.to_str().unwrap_or_default();
        AccessToken::new(header.strip_prefix(SCHEME).unwrap_or_default())
    }

    /// A copy in memory of its own, so that cores do not fight over its counter.
    pub(crate) fn unshared(&self) -> Self {
        Self {
            header: sensitive(Zeroizing::new(self.header.as_bytes().to_vec()))
                .unwrap_or_else(|_| self.header.clone()),
            generation: self.generation,
            expires_at: self.expires_at,
        }
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BearerToken")
            .field("generation", &self.generation)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// `None` for a token that cannot be sent.
fn bearer_header(token: &AccessToken) -> Option<HeaderValue> {
    if !token.is_sendable() {
        return None;
    }
    let token = token.expose_secret();
    // Large enough from the start: a buffer that grows leaves copies of the token behind.
    let mut value = Zeroizing::new(Vec::with_capacity(SCHEME.len() + token.len()));
    value.extend_from_slice(SCHEME.as_bytes());
    value.extend_from_slice(token.as_bytes());
    sensitive(value).ok()
}

fn sensitive(value: Zeroizing<Vec<u8>>) -> Result<HeaderValue, InvalidHeaderValue> {
    let mut header = HeaderValue::from_maybe_shared(Bytes::from_owner(Wiped(value)))?;
    header.set_sensitive(true);
    Ok(header)
}

/// `Zeroizing<Vec<u8>>` does not implement `AsRef<[u8]>`.
struct Wiped(Zeroizing<Vec<u8>>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// The token's own place in the jitter range, in `0.0..1.0`: the same in every process, and evenly
/// spread over tokens.
fn jitter(account: &AccountId, token: &AccessToken) -> f64 {
    let mut hasher = DefaultHasher::new();
    account.hash(&mut hasher);
    token.expose_secret().hash(&mut hasher);
    f64::from((hasher.finish() >> 32) as u32) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests;
