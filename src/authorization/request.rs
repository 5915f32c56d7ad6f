//! The request that takes the user to the service.

use std::fmt;

use reqwest::Url;

use super::state::AuthorizationState;
use crate::error::ConfigError;

/// Takes the user to the service's consent page (RFC 6749, section 4.1.1).
///
/// Comes from [`OAuthApi::authorization_request`](crate::OAuthApi::authorization_request) with a
/// [state](Self::state) of its own. Redirect the user's browser to the [URL](Self::url), and keep the
/// state in the browser's session until the callback.
///
/// ```
/// use dropbox_sign_oauth::OAuthApi;
///
/// let api = OAuthApi::builder("client-id", "client-secret").build()?;
/// let request = api.authorization_request()?;
/// let start = "https://app.hellosign.com/oauth/authorize?response_type=code&client_id=client-id&state=";
/// assert!(request.url().starts_with(start));
/// # Ok::<(), dropbox_sign_oauth::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct AuthorizationRequest {
    endpoint: Url,
    client_id: String,
    redirect_uri: Option<Url>,
    state: AuthorizationState,
}

impl AuthorizationRequest {
    /// With a new state.
    pub(crate) fn new(endpoint: Url, client_id: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            endpoint,
            client_id: client_id.to_owned(),
            redirect_uri: None,
            state: AuthorizationState::random()?,
        })
    }

    /// Names the URL of the callback. Without this, the service takes the callback URL of the API app's
    /// settings, where each callback URL must be registered.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] if the URL is not absolute, or has a fragment (RFC 6749, section 3.1.2).
    pub fn with_redirect_uri(mut self, url: impl AsRef<str>) -> Result<Self, ConfigError> {
        let invalid = |reason: String| ConfigError::InvalidUrl {
            setting: "redirect_uri",
            reason,
        };
        let url = Url::parse(url.as_ref().trim()).map_err(|error| invalid(error.to_string()))?;
        if url.fragment().is_some() {
            return Err(invalid("it may not hold a fragment".to_owned()));
        }
        self.redirect_uri = Some(url);
        Ok(self)
    }

    /// The URL to which the user's browser goes. The URL holds the state: do not log the URL.
    pub fn url(&self) -> String {
        let mut url = self.endpoint.clone();
        let mut query = url.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.client_id);
        if let Some(redirect_uri) = &self.redirect_uri {
            query.append_pair("redirect_uri", redirect_uri.as_str());
        }
        query.append_pair("state", self.state.expose_secret());
        drop(query);
        url.into()
    }

    /// The state of this sign-in, to keep until the callback.
    pub fn state(&self) -> &AuthorizationState {
        &self.state
    }
}

impl fmt::Debug for AuthorizationRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizationRequest")
            .field("endpoint", &self.endpoint.as_str())
            .field("client_id", &self.client_id)
            .field("redirect_uri", &self.redirect_uri.as_ref().map(Url::as_str))
            .field("state", &self.state)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::slice;

    use super::*;

    fn request() -> AuthorizationRequest {
        let endpoint = Url::parse("https://sign.example/oauth/authorize").expect("a URL");
        AuthorizationRequest::new(endpoint, "id +&=/ü").expect("random numbers")
    }

    fn parameters(request: &AuthorizationRequest) -> Vec<(String, String)> {
        let url = Url::parse(&request.url()).expect("a URL");
        url.query_pairs().into_owned().collect()
    }

    #[test]
    fn s128_the_url_has_the_parameters_of_rfc_6749() {
        let request = request();
        let state = request.state().expose_secret().to_owned();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let first = [pair("response_type", "code"), pair("client_id", "id +&=/ü")];
        let last = pair("state", &state);
        assert_eq!(parameters(&request)[..2], first);
        assert_eq!(parameters(&request)[2..], *slice::from_ref(&last));

        let callback = "https://app.example/callback?tenant=a b";
        let request = request.with_redirect_uri(callback).expect("a URL");
        let callback = pair("redirect_uri", "https://app.example/callback?tenant=a%20b");
        assert_eq!(parameters(&request)[2..], [callback, last]);
        assert!(!format!("{request:?}").contains(&state));
    }

    #[test]
    fn s128_a_callback_url_that_no_service_accepts_is_refused() {
        for url in [
            "",
            "/callback",
            "app.example/callback",
            "https://app.example/#a",
        ] {
            let error = request().with_redirect_uri(url).expect_err(url);
            assert!(error.to_string().starts_with("redirect_uri: "), "{error}");
        }
    }
}
