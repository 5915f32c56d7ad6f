//! The session of a browser: which tenant it acts for, and the states of the
//! sign-ins that it has started.

use std::time::{Duration, SystemTime};

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, request::Parts},
};
use axum_extra::extract::cookie::{Cookie, Key, SameSite, SignedCookieJar};
use dropbox_sign_oauth::{AccountId, AuthorizationState};
use serde::{Deserialize, Serialize};
use tracing::Span;

use crate::{app::App, failure::Failure};

/// How long after the login a session ends.
const LIFETIME: Duration = Duration::from_secs(12 * 60 * 60);

/// The content of the cookie.
///
/// One cookie holds all, so the state of a sign-in belongs to its tenant. The
/// signature keeps a browser from writing a tenant of its choice. A copy of the
/// cookie is good until the session ends: keep sessions in a database if a
/// logout has to end them.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Session {
    tenant: String,
    logged_in_at: SystemTime,
    sign_in: Option<AuthorizationState>,
    completed: Option<AuthorizationState>,
}

impl Session {
    /// Begins with a login at `now`.
    pub(crate) fn new(tenant: String, now: SystemTime) -> Self {
        Self {
            tenant,
            logged_in_at: now,
            sign_in: None,
            completed: None,
        }
    }

    /// Keeps the state of a sign-in until a callback completes the sign-in.
    pub(crate) fn with_sign_in(self, state: AuthorizationState) -> Self {
        Self {
            sign_in: Some(state),
            ..self
        }
    }

    /// The state of the sign-in under way.
    pub(crate) fn sign_in(&self) -> Option<&AuthorizationState> {
        self.sign_in.as_ref()
    }

    /// Ends the sign-in under way: its state is good for one success.
    pub(crate) fn with_completed_sign_in(self) -> Self {
        Self {
            completed: self.sign_in,
            sign_in: None,
            ..self
        }
    }

    /// The state of the last sign-in that has succeeded, which tells a reload
    /// of its callback from a forged callback.
    pub(crate) fn completed(&self) -> Option<&AuthorizationState> {
        self.completed.as_ref()
    }

    fn is_over(&self, now: SystemTime) -> bool {
        let end = self.logged_in_at.checked_add(LIFETIME);
        end.is_none_or(|end| end <= now)
    }
}

/// Writes and reads the cookie.
#[derive(Clone)]
pub(crate) struct Cookies {
    key: Key,
    is_https: bool,
}

impl Cookies {
    pub(crate) fn new(key: Key, is_https: bool) -> Self {
        Self { key, is_https }
    }

    /// With the prefix, a browser takes the cookie from this host alone, over
    /// https: no subdomain can plant a session of its own.
    fn name(&self) -> &'static str {
        match self.is_https {
            true => "__Host-session",
            false => "session",
        }
    }

    fn cookie(&self, value: String) -> Cookie<'static> {
        Cookie::build((self.name(), value))
            .path("/")
            .http_only(true)
            .secure(self.is_https)
            // Not `Strict`: Dropbox Sign sends the browser to the callback,
            // and a strict cookie would stay behind.
            .same_site(SameSite::Lax)
            .build()
    }

    /// A response with this part begins or changes the session.
    pub(crate) fn set(&self, session: &Session) -> SignedCookieJar {
        // Texts always have a JSON form.
        let value = serde_json::to_string(session).unwrap_or_default();
        SignedCookieJar::new(self.key.clone()).add(self.cookie(value))
    }

    /// A response with this part ends the session.
    pub(crate) fn remove(&self) -> SignedCookieJar {
        let mut cookie = self.cookie(String::new());
        cookie.make_removal();
        SignedCookieJar::new(self.key.clone()).add(cookie)
    }

    fn session(&self, headers: &HeaderMap, now: SystemTime) -> Option<Session> {
        let jar = SignedCookieJar::from_headers(headers, self.key.clone());
        let session: Session =
            serde_json::from_str(jar.get(self.name())?.value()).ok()?;
        (!session.is_over(now)).then_some(session)
    }
}

/// The tenant for which a request acts. A handler that asks for a `Tenant`
/// runs for browsers that are logged in, and for the others [`Failure`]
/// leads to the login.
///
/// The tenant comes from the session, never from a path or a query: a
/// parameter names any tenant. If your URLs name the tenant, compare that
/// name with the session's here.
pub(crate) struct Tenant {
    pub(crate) account: AccountId,
    pub(crate) session: Session,
}

impl FromRequestParts<App> for Tenant {
    type Rejection = Failure;

    async fn from_request_parts(
        parts: &mut Parts,
        app: &App,
    ) -> Result<Self, Failure> {
        let session = app.cookies.session(&parts.headers, SystemTime::now());
        let session = session.ok_or(Failure::NotLoggedIn)?;
        // The tenant may have left since the login.
        let account = app.tenants.account(&session.tenant);
        let account = account.ok_or(Failure::NotLoggedIn)?;
        Span::current().record("tenant", account.as_str());
        Ok(Self { account, session })
    }
}

#[cfg(test)]
mod tests {
    use axum::{
        http::{
            HeaderValue,
            header::{COOKIE, SET_COOKIE},
        },
        response::IntoResponse,
    };

    use super::*;

    #[test]
    fn with_https_the_cookie_stays_with_this_host_and_https() {
        let cookies = Cookies::new(Key::from(&[7; 64]), true);
        let cookie = cookie(&cookies, SystemTime::now());
        let cookie = cookie.to_str().expect("ASCII");
        assert!(cookie.starts_with("__Host-session="), "{cookie}");
        for attribute in
            ["; HttpOnly", "; SameSite=Lax", "; Secure", "; Path=/"]
        {
            assert!(cookie.contains(attribute), "{cookie}");
        }
        assert!(!cookie.contains("Domain"), "{cookie}");
    }

    #[test]
    fn a_session_ends_twelve_hours_after_the_login() {
        let cookies = Cookies::new(Key::from(&[7; 64]), true);
        let login = SystemTime::now();
        let headers = [(COOKIE, cookie(&cookies, login))];
        let headers = HeaderMap::from_iter(headers);
        let is_open = |seconds| {
            let now = login + Duration::from_secs(seconds);
            cookies.session(&headers, now).is_some()
        };
        assert!(is_open(12 * 3_600 - 1));
        assert!(!is_open(12 * 3_600));
    }

    /// The cookie of a login.
    fn cookie(cookies: &Cookies, now: SystemTime) -> HeaderValue {
        let session = Session::new("acme".to_owned(), now);
        let response = cookies.set(&session).into_response();
        response.headers()[SET_COOKIE].clone()
    }
}
