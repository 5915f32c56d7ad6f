//! The controls of the fake for tests: grants, revocations, faults and holds.

use bytes::Bytes;
use http::{Request, StatusCode, header};
use reqwest::Url;

use super::{Consent, FakeDropboxSign, Fault, Hold, grants::Granted};
use crate::{
    secret::{AuthorizationCode, RefreshToken},
    token::TokenSet,
};

/// Grants.
impl FakeDropboxSign {
    /// Signs a user in: the first tokens of a new grant, of an account of its own.
    pub fn sign_in(&self) -> TokenSet {
        self.grant(None)
    }

    /// Signs the user of this account in. The fake tells by the name which account a request was sent
    /// for: see [`account_of`](Self::account_of).
    ///
    /// ```
    /// use dropbox_sign_oauth::testing::FakeDropboxSign;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let fake = FakeDropboxSign::start().await;
    /// let tokens = fake.sign_in_as("acme");
    /// let token = tokens.access_token().expect("an access token");
    /// assert_eq!(fake.account_of(token).as_deref(), Some("acme"));
    /// # }
    /// ```
    pub fn sign_in_as(&self, account: &str) -> TokenSet {
        self.grant(Some(account.to_owned()))
    }

    fn grant(&self, account: Option<String>) -> TokenSet {
        let now = self.service.clock.wall();
        let Granted {
            access_token,
            refresh_token,
            lifetime,
        } = self.service.grants.lock().sign_in(account, now);
        TokenSet::new(access_token, now, lifetime)
            .with_refresh_token(refresh_token.unwrap_or_default())
    }

    /// A code as the authorization callback carries it: good for one exchange, within
    /// [`CODE_LIFETIME`](Self::CODE_LIFETIME).
    pub fn authorization_code(&self) -> AuthorizationCode {
        let now = self.service.clock.wall();
        self.service.grants.lock().issue_code(None, now).into()
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

/// Authorization requests.
impl FakeDropboxSign {
    /// What the user does at the next authorization request. Without such a decision, a user consents.
    ///
    /// A request that shows the user no page, or is refused before, leaves the decision in the queue.
    pub fn next_consent(&self, consent: Consent) {
        self.service.page.lock().next.push_back(consent);
    }

    /// Sets the callback URL of the API app, in the place of [`CALLBACK_URL`](Self::CALLBACK_URL).
    ///
    /// The real service takes no callback on `localhost`; the fake takes any URL.
    ///
    /// # Panics
    ///
    /// If `url` is no absolute URL.
    pub fn register_callback(&self, url: &str) {
        let callback = Url::parse(url).expect("the callback is an absolute URL");
        self.service.page.lock().callback = callback;
    }

    /// Follows an authorization URL as a browser does, and returns the callback URL that the browser is
    /// sent to. No connection is made.
    ///
    /// ```
    /// use dropbox_sign_oauth::testing::FakeDropboxSign;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() {
    /// let fake = FakeDropboxSign::start().await;
    /// let url = format!(
    ///     "{}/oauth/authorize?response_type=code&client_id={}&state=xyz",
    ///     fake.url(),
    ///     FakeDropboxSign::CLIENT_ID,
    /// );
    /// let callback = fake.authorize(url);
    /// assert!(callback.starts_with(FakeDropboxSign::CALLBACK_URL));
    /// assert!(callback.ends_with("&state=xyz"));
    /// # }
    /// ```
    ///
    /// # Panics
    ///
    /// If the URL is not of this fake, or the fake sends the browser nowhere: the client id or the
    /// `redirect_uri` is wrong. To look at that response, request the URL.
    pub fn authorize(&self, url: impl AsRef<str>) -> String {
        let url = url.as_ref();
        let target = url
            .strip_prefix(&self.url())
            .filter(|target| target.starts_with('/'));
        let target = target.expect("the authorization URL begins with the fake's URL");
        let request = Request::get(target).body(Bytes::new());
        let request = request.expect("the authorization URL is a URL");
        let fault = self.service.side(&request).arrive();
        let response = self.service.respond(&request, &fault);
        let words = String::from_utf8_lossy(response.body());
        assert_eq!(response.status(), StatusCode::FOUND, "no redirect: {words}");
        let location = response.headers().get(header::LOCATION);
        let location = location.and_then(|location| location.to_str().ok());
        location.expect("a redirect has a location").to_owned()
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
