//! The settings of an [`OAuthApi`], checked before anything is sent.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{ClientBuilder, Url, redirect, retry};

use super::{COPY_CREDENTIALS, Inner, OAuthApi, models::Credentials};
use crate::{error::ConfigError, origin_rules::parse_base_url, secret::EMPTY};

/// Longer than any request. reqwest adds a timeout to the time, and cannot unset a timeout.
const NEVER: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Sets up an [`OAuthApi`]. Comes from [`OAuthApi::builder`].
#[must_use = "nothing is built before `build` is called"]
pub struct OAuthApiBuilder {
    credentials: Option<Credentials>,
    base_url: String,
    client: Option<ClientBuilder>,
    timeout: Duration,
    connect_timeout: Option<Duration>,
    max_response_size: usize,
}

impl OAuthApiBuilder {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            base_url: OAuthApi::BASE_URL.to_owned(),
            client: None,
            timeout: Duration::from_secs(15),
            connect_timeout: None,
            max_response_size: 64 * 1024,
        }
    }

    /// The URL of the token endpoint without its `/oauth/token`, for a proxy of your own or a test. Below
    /// the URL, at `/oauth/authorize`, users find the consent page.
    /// A path in the URL is kept. The URL must be https, or http to a loopback address.
    /// Default: [`OAuthApi::BASE_URL`].
    pub fn base_url(mut self, url: impl Into<String>) -> Self {
        self.base_url = url.into();
        self
    }

    /// The HTTP client to start from: for TLS, proxies, DNS and default headers.
    ///
    /// This crate sets timeouts, redirects, retries, compression, pooling and the HTTP version (1.1).
    /// The client's default headers and cookies go to the token endpoint.
    ///
    /// # Proxies
    ///
    /// For an https URL, the client's proxies count. Without a proxy of the client, reqwest reads
    /// `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` (hosts that need no proxy) from the environment. The
    /// proxy learns the name of the token host, and nothing of the request.
    ///
    /// For an http URL, which is loopback, no proxy is used: a proxy would see the secrets.
    pub fn client_builder(mut self, client: ClientBuilder) -> Self {
        self.client = Some(client);
        self
    }

    /// The longest time that one request may take, from connecting to the last byte of the response.
    /// Default: 15 seconds.
    ///
    /// After the timeout nothing is sent. A response to a request that was sent is read for another
    /// quarter of a second: a process that was held up finds the response only when it goes on.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The longest time that connecting may take; must be shorter than [`timeout`](Self::timeout).
    ///
    /// A request that fails by this timeout was certainly not sent. Default: 5 seconds, or half of the
    /// timeout if that is less.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = Some(timeout);
        self
    }

    /// The largest response that is read, in bytes. Default: 64 KiB.
    pub fn max_response_size(mut self, bytes: usize) -> Self {
        self.max_response_size = bytes;
        self
    }

    /// Checks the settings and builds the API.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for credentials that are empty, are surrounded by white space or hold anything
    /// but printable ASCII; a base URL that is malformed or insecure, or holds credentials, a query or
    /// a fragment; a time or a size that cannot work; an HTTP client that cannot be built.
    pub fn build(self) -> Result<OAuthApi, ConfigError> {
        match self.credentials.as_ref().and_then(Credentials::flaw) {
            Some((name, EMPTY)) => return Err(ConfigError::Empty(name)),
            Some((name, flaw)) => {
                let reason = format!("{flaw}; {COPY_CREDENTIALS}");
                return Err(ConfigError::invalid(name, reason));
            }
            None => {}
        }
        let base = parse_base_url("base_url", &self.base_url)?;
        if ["/oauth", "/oauth/token", "/oauth/authorize"]
            .iter()
            .any(|path| base.path().trim_end_matches('/').ends_with(path))
        {
            return Err(ConfigError::InvalidUrl {
                setting: "base_url",
                reason: "it must end before `/oauth`, since this crate adds the paths".to_owned(),
            });
        }
        let connect_timeout = self
            .connect_timeout
            .unwrap_or_else(|| Duration::from_secs(5).min(self.timeout / 2));
        if self.timeout.is_zero() {
            return Err(ConfigError::invalid("timeout", "must be longer than zero"));
        }
        if connect_timeout.is_zero() || connect_timeout >= self.timeout {
            let reason = "must be longer than zero and shorter than timeout";
            return Err(ConfigError::invalid("connect_timeout", reason));
        }
        if self.max_response_size == 0 {
            return Err(ConfigError::invalid(
                "max_response_size",
                "must be larger than zero",
            ));
        }

        let client = self.client.unwrap_or_else(|| {
            let name = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));
            ClientBuilder::new().user_agent(name)
        });
        let http = guarded(client, &base)
            .connect_timeout(connect_timeout)
            .build()
            .map_err(|error| ConfigError::HttpClient(error.without_url().to_string()))?;

        let generate_url = oauth_url(&base, "token");
        let mut refresh_url = generate_url.clone();
        refresh_url.set_query(Some("refresh"));
        Ok(OAuthApi(Arc::new(Inner {
            http,
            authorize_url: oauth_url(&base, "authorize"),
            generate_url,
            refresh_url,
            credentials: self.credentials,
            timeout: self.timeout,
            max_response_size: self.max_response_size,
        })))
    }
}

/// The rules that no setting may undo: a token request is sent once, to one host, and not logged.
fn guarded(client: ClientBuilder, base: &Url) -> ClientBuilder {
    let client = match base.scheme() {
        // A proxy would get the whole request in the clear. The host is this machine.
        "http" => client.no_proxy(),
        _ => client,
    };
    client
        .redirect(redirect::Policy::none())
        // The account decides whether a token may be presented again.
        .retry(retry::never())
        // These judge by their timer, without a look at what has arrived. The transport has a deadline
        // of its own.
        .timeout(NEVER)
        .read_timeout(NEVER)
        // HTTP/2 shares a connection, and there is one request. Its `REFUSED_STREAM` and `GOAWAY` would
        // be further ways to lose a request after sending.
        .http1_only()
        // On a kept connection that the service has just closed, it is uncertain whether a request
        // arrived. Token requests are rare enough for a connection each.
        .pool_max_idle_per_host(0)
        // Verbose connections log bodies.
        .connection_verbose(false)
        // A small response may not unpack into a large one.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
}

fn oauth_url(base: &Url, page: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(["oauth", page]);
    }
    url
}

impl fmt::Debug for OAuthApiBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL is not checked yet, and the client's default headers may hold secrets.
        f.debug_struct("OAuthApiBuilder")
            .field("credentials", &self.credentials)
            .field("timeout", &self.timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("max_response_size", &self.max_response_size)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn builder() -> OAuthApiBuilder {
        OAuthApi::builder("id", "secret")
    }

    fn urls(builder: OAuthApiBuilder) -> (String, String) {
        let api = builder.build().expect("the settings are right");
        (
            api.0.generate_url.to_string(),
            api.0.refresh_url.to_string(),
        )
    }

    #[test]
    fn the_default_is_the_vendors_token_host() {
        let (generate, refresh) = urls(builder());
        assert_eq!(generate, "https://app.hellosign.com/oauth/token");
        assert_eq!(refresh, "https://app.hellosign.com/oauth/token?refresh");
    }

    #[test]
    fn the_client_speaks_http_1_only() {
        let url = Url::parse(OAuthApi::BASE_URL).expect("a URL");
        let shown = format!("{:?}", guarded(ClientBuilder::new(), &url));
        assert!(shown.contains("http1_only: true"), "{shown}");
    }

    #[test]
    fn a_path_in_the_base_url_is_kept() {
        for base in ["https://proxy.example/sign", "https://proxy.example/sign/"] {
            let (generate, _) = urls(builder().base_url(base));
            assert_eq!(generate, "https://proxy.example/sign/oauth/token");
        }
    }

    #[test]
    fn a_base_url_that_holds_a_path_of_the_service_is_refused() {
        for path in [
            "/oauth",
            "/oauth/token",
            "/oauth/token/",
            "/sign/oauth/authorize",
        ] {
            let base = format!("https://app.hellosign.com{path}");
            let error = builder().base_url(base).build().expect_err(path);
            let text = "base_url: the URL is not valid: it must end before `/oauth`, since this crate adds the \
                        paths";
            assert_eq!(error.to_string(), text);
        }
    }

    #[test]
    fn credentials_that_cannot_be_right_are_refused() {
        for (id, secret, name) in [
            ("", "secret", "client_id"),
            ("id", "", "client_secret"),
            ("id", " \n", "client_secret"),
        ] {
            let error = OAuthApi::builder(id, secret).build().expect_err("empty");
            assert_eq!(error, ConfigError::Empty(name));
        }
        for secret in ["canary\n", "\u{feff}canary", "canary\u{0}"] {
            let error = OAuthApi::builder("id", secret).build();
            let error = error.expect_err("more than the secret was copied");
            assert!(matches!(
                error,
                ConfigError::Invalid {
                    setting: "client_secret",
                    ..
                }
            ));
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn urls_times_and_sizes_that_cannot_work_are_refused() {
        for broken in [
            builder().base_url("http://app.hellosign.com"),
            builder().base_url("app.hellosign.com"),
            builder().timeout(Duration::ZERO),
            builder().connect_timeout(Duration::ZERO),
            builder().connect_timeout(Duration::from_secs(15)),
            builder().max_response_size(0),
        ] {
            let shown = format!("{broken:?}");
            assert!(broken.build().is_err(), "{shown}");
        }
        assert!(builder().timeout(Duration::from_millis(10)).build().is_ok());
    }
}
