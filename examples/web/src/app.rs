//! The application: the parts that all requests share, and the routes.

use std::{error::Error, net::IpAddr, str::FromStr, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{HeaderValue, header},
    middleware::map_response,
    response::Response,
};
use axum_extra::extract::cookie::Key;
use dropbox_sign_oauth::{
    OAuthApi, TokenManager, TokenRefreshMiddleware, middleware::redirect_policy,
};
use reqwest::Url;
use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use tower_http::csrf::CsrfLayer;

use crate::{
    Result, Tenants, login, logs, page, session::Cookies, sign_in,
    signature_requests,
};

/// The settings of the application itself.
pub struct AppSettings {
    pub public_url: PublicUrl,
    pub session_key: Key,
    pub tenants: Tenants,
}

/// The parts that all requests share. Clones are cheap.
#[derive(Clone)]
pub struct App {
    pub(crate) api: OAuthApi,
    pub(crate) manager: TokenManager,
    /// Sends each request with the token of the account that it names.
    pub(crate) client: ClientWithMiddleware,
    /// `https://api.hellosign.com`, or a fake's in tests.
    pub(crate) api_origin: Arc<str>,
    pub(crate) public_url: Arc<PublicUrl>,
    pub(crate) cookies: Cookies,
    pub(crate) tenants: Arc<Tenants>,
}

impl App {
    pub fn new(
        api: OAuthApi,
        manager: TokenManager,
        settings: AppSettings,
        api_origin: &str,
    ) -> Result<Self> {
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(redirect_policy())
            .build()?;
        let auth = TokenRefreshMiddleware::builder(&manager)
            .origins([api_origin])
            // A request that forgets its tenant is not sent, instead of
            // acting for an account that all tenants share.
            .require_account()
            .build()?;
        Ok(Self {
            client: ClientBuilder::new(http).with(auth).build(),
            api,
            manager,
            api_origin: api_origin.into(),
            cookies: Cookies::new(
                settings.session_key,
                settings.public_url.is_https(),
            ),
            public_url: Arc::new(settings.public_url),
            tenants: Arc::new(settings.tenants),
        })
    }

    /// All pages for browsers.
    pub fn router(self) -> Result<Router> {
        // Another site must not log a browser in as the site's own tenant.
        let origin = self.public_url.origin();
        let same_site = CsrfLayer::new().add_trusted_origin(origin)?;
        let router = Router::new()
            .merge(login::routes())
            .merge(sign_in::routes())
            .merge(signature_requests::routes())
            .fallback(page::not_found)
            .layer(same_site)
            .layer(map_response(secure))
            .with_state(self);
        Ok(logs::each_request(router))
    }
}

/// What each page tells the browser.
async fn secure(mut response: Response) -> Response {
    let headers = [
        // The pages show one tenant's data.
        (header::CACHE_CONTROL, "no-store"),
        // The URL of a callback holds a code: other sites must not see it.
        (header::REFERRER_POLICY, "same-origin"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
        ),
    ];
    for (name, value) in headers {
        let value = HeaderValue::from_static(value);
        response.headers_mut().insert(name, value);
    }
    response
}

/// The application's address, as browsers see it.
pub struct PublicUrl(Url);

/// Takes https, or http on loopback: a cookie without `Secure` would cross the
/// network in plaintext. Takes no path: the routes begin at the root.
impl FromStr for PublicUrl {
    type Err = Box<dyn Error + Send + Sync>;

    fn from_str(text: &str) -> Result<Self> {
        let url = Url::parse(text)?;
        let host = url.host_str().unwrap_or_default();
        let ip = host.trim_matches(['[', ']']).parse::<IpAddr>();
        let is_loopback =
            host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback());
        match (url.scheme(), is_loopback) {
            ("https", _) | ("http", true) => {}
            _ => {
                return Err("write https://HOST, or http:// on loopback".into());
            }
        }
        let public = Self(url);
        match public.0.as_str().strip_prefix(&public.origin()) {
            Some("/") => Ok(public),
            _ => Err("write scheme, host and port alone: all paths are the \
                application's own"
                .into()),
        }
    }
}

impl PublicUrl {
    pub(crate) fn is_https(&self) -> bool {
        self.0.scheme() == "https"
    }

    pub(crate) fn origin(&self) -> String {
        self.0.origin().ascii_serialization()
    }
}
