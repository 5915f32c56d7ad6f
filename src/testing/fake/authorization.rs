//! `GET /oauth/authorize`: RFC 6749, sections 4.1.1 and 4.1.2.

use std::{borrow::Cow, collections::VecDeque, time::SystemTime};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use reqwest::Url;

use super::{FakeDropboxSign, grants::Grants};

/// What the user does on the page of an authorization request.
///
/// ```
/// use dropbox_sign_oauth::testing::{Consent, FakeDropboxSign};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let fake = FakeDropboxSign::start().await;
/// let url = format!(
///     "{}/oauth/authorize?response_type=code&client_id={}&state=xyz",
///     fake.url(),
///     FakeDropboxSign::CLIENT_ID,
/// );
/// fake.next_consent(Consent::Denied);
/// assert!(fake.authorize(&url).contains("error=access_denied"));
/// assert!(fake.authorize(&url).contains("code="));
/// # }
/// ```
#[non_exhaustive]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Consent {
    /// The user consents. Each consent is a new account's.
    #[default]
    Given,
    /// The user of this account consents; see [`account_of`](FakeDropboxSign::account_of).
    GivenBy(String),
    /// The user declines: the callback carries `error=access_denied`.
    Denied,
    /// The user consents, and the code expires before the exchange: `invalid_grant`.
    CodeExpired,
    /// The user consents, and the code is used before the exchange: `invalid_grant`.
    CodeUsed,
}

/// The API app's callback, and the users who are about to decide.
pub(super) struct AuthorizationPage {
    pub(super) callback: Url,
    pub(super) next: VecDeque<Consent>,
}

impl Default for AuthorizationPage {
    fn default() -> Self {
        Self {
            callback: Url::parse(FakeDropboxSign::CALLBACK_URL).expect("a URL"),
            next: VecDeque::new(),
        }
    }
}

pub(super) fn respond(
    request: &Request<Bytes>,
    page: &mut AuthorizationPage,
    grants: &mut Grants,
    now: SystemTime,
) -> Response<Bytes> {
    let query = request.uri().query().unwrap_or_default();
    let Ok(url) = Url::parse(&format!("http://query/?{query}")) else {
        return refusal("the query cannot be read");
    };
    let parameters = Parameters(url.query_pairs().collect());
    if let Err(reason) = parameters.check_client(&page.callback) {
        return refusal(&reason);
    }
    let code = code(&parameters, &mut page.next, grants, now);
    redirect(page.callback.clone(), code, parameters.one("state").ok())
}

/// The parameters of the request. A parameter without a value counts as absent (RFC 6749, section 3.1).
struct Parameters<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl Parameters<'_> {
    fn values(&self, name: &str) -> impl Iterator<Item = &str> {
        let pairs = self.0.iter().filter(move |(key, _)| key == name);
        pairs
            .map(|(_, value)| &**value)
            .filter(|value| !value.is_empty())
    }

    fn one(&self, name: &str) -> Result<&str, String> {
        let mut values = self.values(name);
        match (values.next(), values.next()) {
            (Some(value), None) => Ok(value),
            (None, _) => Err(format!("{name} is missing")),
            (Some(_), Some(_)) => Err(format!("{name} is there more than once")),
        }
    }

    /// Without a known client and its callback, the browser stays (RFC 6749, section 4.1.2.1).
    fn check_client(&self, callback: &Url) -> Result<(), String> {
        if self.one("client_id")? != FakeDropboxSign::CLIENT_ID {
            return Err("client_id is unknown".to_owned());
        }
        let is_absent = self.values("redirect_uri").next().is_none();
        match is_absent || Url::parse(self.one("redirect_uri")?).as_ref() == Ok(callback) {
            true => Ok(()),
            false => Err(format!(
                "redirect_uri is not the registered callback {callback}"
            )),
        }
    }
}

/// Why there is no code: the error code and its description.
type Denial = (&'static str, String);

fn redirect(
    mut callback: Url,
    code: Result<String, Denial>,
    state: Option<&str>,
) -> Response<Bytes> {
    let mut add = |name, value: &str| {
        callback.query_pairs_mut().append_pair(name, value);
    };
    match code {
        Ok(code) => add("code", &code),
        Err((error, description)) => {
            add("error", error);
            add("error_description", &description);
        }
    }
    if let Some(state) = state {
        add("state", state);
    }
    let mut response = Response::default();
    *response.status_mut() = StatusCode::FOUND;
    let location = HeaderValue::from_str(callback.as_str());
    let location = location.expect("a URL is visible ASCII");
    response.headers_mut().insert(header::LOCATION, location);
    response
}

fn code(
    parameters: &Parameters<'_>,
    users: &mut VecDeque<Consent>,
    grants: &mut Grants,
    now: SystemTime,
) -> Result<String, Denial> {
    let invalid = |reason| ("invalid_request", reason);
    if parameters.one("response_type").map_err(invalid)? != "code" {
        return Err((
            "unsupported_response_type",
            "response_type is not code".to_owned(),
        ));
    }
    parameters.one("state").map_err(invalid)?;
    match users.pop_front().unwrap_or_default() {
        Consent::Given => Ok(grants.issue_code(None, now)),
        Consent::GivenBy(account) => Ok(grants.issue_code(Some(account), now)),
        Consent::CodeExpired | Consent::CodeUsed => Ok(grants.issue_spent_code()),
        Consent::Denied => Err(("access_denied", "the user declined".to_owned())),
    }
}

/// The page that the user sees in place of a redirect.
fn refusal(reason: &str) -> Response<Bytes> {
    let mut response = Response::new(reason.to_owned().into());
    *response.status_mut() = StatusCode::BAD_REQUEST;
    let content_type = HeaderValue::from_static("text/plain; charset=utf-8");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    response
}
