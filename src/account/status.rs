//! What is known of an account in this process, for people and monitoring.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{
    context::AccountContext,
    state::{LastRefresh, State},
};
use crate::{
    account_id::AccountId,
    clock::{Moment, unix_seconds},
    deadlines::Freshness,
    error::{Error, ErrorKind},
    names::stable_names,
    token::Generation,
};

/// What this process knows of an account. Comes from [`Account::status`](crate::Account::status) and
/// [`TokenManager::statuses`](crate::TokenManager::statuses), and holds no secret.
///
/// Serializes with [`state`](Self::state) beside the fields. Times are Unix seconds, kinds and states
/// their stable names:
///
/// ```
/// # use dropbox_sign_oauth::{OAuthApi, TokenManager, store::MemoryStore};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let api = OAuthApi::builder("client-id", "client-secret").build()?;
/// # let manager = TokenManager::builder(api, MemoryStore::new()).build()?;
/// let status = manager.account("acme").status();
/// let json = serde_json::to_value(&status)?;
/// assert_eq!(json["account"], "acme");
/// assert_eq!(json["state"], "unknown");
/// # Ok(())
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct AccountStatus {
    /// The account.
    pub account: AccountId,
    /// How far the token in use is from its end. `None` if no token is in memory: this process has not
    /// used the account, or nobody is signed in.
    pub freshness: Option<Freshness>,
    /// When the token in use expires, by the wall clock.
    pub expires_at: Option<SystemTime>,
    /// The generation of the token in use.
    pub generation: Option<Generation>,
    /// The last refresh of this process that brought a token, since the last sign-in.
    pub last_refresh: Option<LastRefresh>,
    /// The error of the last refresh. `None` if a token has come since.
    pub last_error: Option<LastError>,
    /// Until then no refresh starts, after an error. `None` if nothing holds the next refresh up.
    pub next_try_at: Option<SystemTime>,
    /// Whether a refresh is under way, or a look into the store after a 401.
    pub refreshing: bool,
    /// Whether new tokens are in memory, and not in the store.
    pub unsaved_tokens: bool,
    /// Whether the account had a sign-in, and only a new sign-in helps: this process knows from a refresh,
    /// or from the stored record, that the refresh token was refused, or the record is gone. A token in use
    /// may be valid until its end. A new sign-in at another process shows with the next refresh.
    pub sign_in_required: bool,
}

/// The error of an account's last refresh.
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct LastError {
    /// The error that all waiting callers got.
    pub error: Error,
    /// When refreshes began to fail with errors of this kind, by the wall clock.
    pub since: SystemTime,
}

/// An account's status in one word. Each account has one state.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountState {
    /// The account has lost its sign-in, and only a new sign-in helps. The token in use may still be valid.
    SignInRequired,
    /// The store has no record of the account, and this process has known of no sign-in: the name of an
    /// account that nobody has signed in to, or that was signed out.
    NotSignedIn,
    /// The last refresh failed, and no token has come since. The token in use may still be valid.
    Failing,
    /// The token in use is fresh.
    Fresh,
    /// The token in use is within the refresh window.
    Stale,
    /// The token in use has expired, and nothing has asked for a new token since.
    Expired,
    /// No token is in memory, and no error: this process has not used the account yet, or has signed
    /// the account out.
    Unknown,
}

stable_names! {
    AccountState {
        SignInRequired => "sign_in_required",
        NotSignedIn => "not_signed_in",
        Failing => "failing",
        Fresh => "fresh",
        Stale => "stale",
        Expired => "expired",
        Unknown => "unknown",
    }
}

#[cfg(feature = "metrics")]
impl AccountState {
    pub(crate) const ALL: [Self; 7] = [
        Self::SignInRequired,
        Self::NotSignedIn,
        Self::Failing,
        Self::Fresh,
        Self::Stale,
        Self::Expired,
        Self::Unknown,
    ];
}

impl AccountStatus {
    /// The status in one word. A required sign-in and an error come before the token's freshness.
    pub fn state(&self) -> AccountState {
        let last_error = self.last_error.as_ref().map(|last| last.error.kind());
        match self.freshness {
            _ if self.sign_in_required => AccountState::SignInRequired,
            _ if last_error == Some(ErrorKind::NotAuthorized) => AccountState::NotSignedIn,
            _ if last_error.is_some() => AccountState::Failing,
            Some(Freshness::Fresh) => AccountState::Fresh,
            Some(Freshness::Stale) => AccountState::Stale,
            Some(Freshness::Expired) => AccountState::Expired,
            None => AccountState::Unknown,
        }
    }
}

impl AccountContext {
    pub(super) fn status(&self) -> AccountStatus {
        let now = self.clocks().now();
        let (unsaved_tokens, is_refused, was_signed_in) = {
            let known = self.record_state();
            let is_refused = known.is_refused(|refused_at| {
                self.policy().is_recent_refusal(refused_at, now.wall_time())
            });
            (known.is_unsaved(), is_refused, known.was_signed_in())
        };
        let status = |state: &State| {
            let token = state.token();
            AccountStatus {
                account: self.id.clone(),
                freshness: token.map(|token| token.freshness(now)),
                expires_at: token.map(|token| token.bearer.expires_at()),
                generation: token.map(|token| token.generation()),
                last_refresh: state.last_refresh(),
                last_error: state.hold().map(|hold| LastError {
                    error: hold.error.clone(),
                    since: UNIX_EPOCH + hold.since,
                }),
                next_try_at: state.hold().and_then(|hold| later(now, hold.rest(now))),
                refreshing: state.is_under_way(),
                unsaved_tokens,
                sign_in_required: is_refused || was_signed_in && state.needs_sign_in(),
            }
        };
        self.single_flight.read(status)
    }
}

/// `None` for no wait, and for a time that the system cannot express.
fn later(now: Moment, wait: Duration) -> Option<SystemTime> {
    let time = now.wall_time().checked_add(wait);
    time.filter(|_| !wait.is_zero())
}

impl Serialize for AccountStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("AccountStatus", 11)?;
        fields.serialize_field("account", self.account.as_str())?;
        fields.serialize_field("state", self.state().as_str())?;
        let freshness = self.freshness.as_ref();
        fields.serialize_field("freshness", &freshness.map(Freshness::as_str))?;
        fields.serialize_field("expires_at", &self.expires_at.map(unix_seconds))?;
        let generation = self.generation.map(|generation| generation.0);
        fields.serialize_field("generation", &generation)?;
        fields.serialize_field("last_refresh", &self.last_refresh)?;
        fields.serialize_field("last_error", &self.last_error)?;
        fields.serialize_field("next_try_at", &self.next_try_at.map(unix_seconds))?;
        fields.serialize_field("refreshing", &self.refreshing)?;
        fields.serialize_field("unsaved_tokens", &self.unsaved_tokens)?;
        fields.serialize_field("sign_in_required", &self.sign_in_required)?;
        fields.end()
    }
}

impl Serialize for LastRefresh {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LastRefresh", 2)?;
        fields.serialize_field("at", &unix_seconds(self.at))?;
        fields.serialize_field("took_seconds", &self.took.as_secs_f64())?;
        fields.end()
    }
}

impl Serialize for LastError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("LastError", 3)?;
        fields.serialize_field("kind", self.error.kind().as_str())?;
        fields.serialize_field("message", &self.error.to_string())?;
        fields.serialize_field("since", &unix_seconds(self.since))?;
        fields.end()
    }
}
