//! The observations of the fake for tests: requests and the use of tokens.

use http::StatusCode;

use super::{FakeDropboxSign, RecordedRequest};
use crate::secret::{AccessToken, RefreshToken};

/// Observations.
impl FakeDropboxSign {
    /// How many token requests have arrived.
    pub fn token_requests(&self) -> usize {
        *self.service.token.arrived.borrow()
    }

    /// How many API requests have arrived.
    pub fn api_requests(&self) -> usize {
        *self.service.api.arrived.borrow()
    }

    /// How many authorization requests have arrived.
    pub fn authorization_requests(&self) -> usize {
        *self.service.authorization.arrived.borrow()
    }

    /// Waits until `n` token requests have arrived; for ever, if they never arrive.
    ///
    /// A request may not come while a pause after a failure lasts, which another account may have caused:
    /// [advance](crate::testing::FakeClock::advance) the clock before. An arrival is not the end of the refresh: call
    /// [`TokenManager::flush`](crate::TokenManager::flush) before you move the clock on.
    pub async fn wait_for_token_requests(&self, n: usize) {
        let mut arrived = self.service.token.arrived.subscribe();
        let reached = arrived.wait_for(|arrived| *arrived >= n).await;
        reached.expect("the fake is alive as long as this waits");
    }

    /// How many API requests got a 401.
    pub fn unauthorized_responses(&self) -> usize {
        let recorded = self.service.api.recorded.lock();
        let refused = |request: &&RecordedRequest| request.status == Some(StatusCode::UNAUTHORIZED);
        recorded.iter().filter(refused).count()
    }

    /// The token requests, in the order of their processing.
    pub fn recorded_token_requests(&self) -> Vec<RecordedRequest> {
        self.service.token.recorded.lock().clone()
    }

    /// The API requests, in the order of their processing.
    pub fn recorded_api_requests(&self) -> Vec<RecordedRequest> {
        self.service.api.recorded.lock().clone()
    }

    /// The authorization requests, in the order of their processing.
    pub fn recorded_authorization_requests(&self) -> Vec<RecordedRequest> {
        self.service.authorization.recorded.lock().clone()
    }

    /// The account that an access token belongs to, dead or alive; `None` if the fake has not granted the
    /// token.
    ///
    /// The account is the name that [`sign_in_as`](Self::sign_in_as) or
    /// [`Consent::GivenBy`](super::Consent::GivenBy) gave. Other sign-ins have accounts of their own:
    /// `account-1` is the first sign-in's of the fake, if that sign-in has no name, and so on. In a test
    /// of several tenants, [`RecordedRequest::account`] says whose token a request carried.
    pub fn account_of(&self, token: &AccessToken) -> Option<String> {
        let grants = self.service.grants.lock();
        grants.account_of(token.expose_secret()).map(str::to_owned)
    }

    /// How often a client has presented `token`.
    pub fn uses_of(&self, token: &RefreshToken) -> usize {
        self.service.grants.lock().uses_of(token.expose_secret())
    }

    /// The highest number of times that a client has presented the same refresh token.
    pub fn max_uses_of_one_refresh_token(&self) -> usize {
        self.service.grants.lock().max_uses()
    }

    /// Whether `token` is good for a refresh.
    pub fn accepts(&self, token: &RefreshToken) -> bool {
        self.service.grants.lock().accepts(token.expose_secret())
    }

    /// How many sign-ins a test, or the detection of reuse, has revoked.
    pub fn families_revoked(&self) -> usize {
        self.service.grants.lock().families_revoked()
    }
}
