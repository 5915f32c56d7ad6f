//! The controls of the fake for tests: grants, revocations, faults and holds.

use super::{FakeDropboxSign, Fault, Hold, grants::Granted};
use crate::{
    secret::{AuthorizationCode, RefreshToken},
    token::TokenSet,
};

/// Grants.
impl FakeDropboxSign {
    /// Signs a user in: the first tokens of a new grant.
    pub fn sign_in(&self) -> TokenSet {
        let now = self.service.clock.wall();
        let Granted {
            access_token,
            refresh_token,
            lifetime,
        } = self.service.grants.lock().sign_in(now);
        TokenSet::new(access_token, now, lifetime)
            .with_refresh_token(refresh_token.unwrap_or_default())
    }

    /// A code as the authorization callback carries it, good for one exchange.
    pub fn authorization_code(&self) -> AuthorizationCode {
        self.service.grants.lock().issue_code().into()
    }

    /// Ends the life of all access tokens; their refresh tokens stay good.
    pub fn revoke_access_tokens(&self) {
        self.service.grants.lock().revoke_access_tokens();
    }

    /// Revokes all tokens of the sign-in that `token` comes from. Returns whether the fake knows
    /// `token`.
    pub fn revoke_family(&self, token: &RefreshToken) -> bool {
        let mut grants = self.service.grants.lock();
        grants.revoke_family_of(token.expose_secret())
    }

    /// Revokes every grant.
    pub fn revoke_all(&self) {
        self.service.grants.lock().revoke_all();
    }
}

/// Faults and holds.
impl FakeDropboxSign {
    /// Queues `fault` for the next token request.
    pub fn next_token_request(&self, fault: Fault) {
        self.service.token.script.lock().next.push_back(fault);
    }

    /// Queues `fault` for the next API request.
    pub fn next_api_request(&self, fault: Fault) {
        self.service.api.script.lock().next.push_back(fault);
    }

    /// Applies `fault` to every token request that finds no queued fault. `None` ends this.
    pub fn every_token_request(&self, fault: Option<Fault>) {
        self.service.token.script.lock().every = fault;
    }

    /// Applies `fault` to every API request that finds no queued fault. `None` ends this.
    pub fn every_api_request(&self, fault: Option<Fault>) {
        self.service.api.script.lock().every = fault;
    }

    /// Holds token requests back before the fake processes them.
    pub fn hold_token_requests(&self) -> Hold {
        self.service.token.requests.hold()
    }

    /// Holds the responses to token requests back: the refresh token is spent already.
    pub fn hold_token_responses(&self) -> Hold {
        self.service.token.responses.hold()
    }

    /// Holds API requests back before the fake processes them.
    pub fn hold_api_requests(&self) -> Hold {
        self.service.api.requests.hold()
    }

    /// Holds the responses to API requests back.
    pub fn hold_api_responses(&self) -> Hold {
        self.service.api.responses.hold()
    }
}
