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
    error::Error,
    names::stable_names,
    token::Generation,
};

/// What this process knows of an account. Comes from [`Account::status`](crate::Account::status), and
/// holds no secret.
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
    /// Whether only a new sign-in helps, as the last error of this process says. A token in use may be valid
    /// until its end. A process that starts meanwhile uses that token, and learns of the refusal with the
    /// next refresh.
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
    /// Only a new sign-in helps.
    SignInRequired,
    /// The last refresh failed, and no token has come since. The token in use may still be valid.
    Failing,
    /// The token in use is fresh.
    Fresh,
    /// The token in use is within the refresh window.
    Stale,
    /// The token in use has expired, and nothing has asked for a new token since.
    Expired,
    /// No token is in memory, and no error: this process has not used the account yet, or the account
    /// was signed out.
    Unknown,
}

stable_names! {
    AccountState {
        SignInRequired => "sign_in_required",
        Failing => "failing",
        Fresh => "fresh",
        Stale => "stale",
        Expired => "expired",
        Unknown => "unknown",
    }
}

#[cfg(feature = "metrics")]
impl AccountState {
    pub(crate) const ALL: [Self; 6] = [
        Self::SignInRequired,
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
        match self.freshness {
            _ if self.sign_in_required => AccountState::SignInRequired,
            _ if self.last_error.is_some() => AccountState::Failing,
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
        let unsaved_tokens = self.record_state().is_unsaved();
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
                sign_in_required: state.needs_sign_in(),
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
