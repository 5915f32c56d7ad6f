//! The provider's token endpoint, as RFC 6749 has it: requests are forms, the
//! client authenticates by HTTP Basic, and each request has one more field.

use std::{error::Error, time::Duration};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AuthorizationResponse, ClientSecret, EndpointError, EndpointErrorKind,
    ExpiresIn, RefreshToken, TokenEndpoint, TokenGrant,
};
use form_urlencoded::{Serializer, byte_serialize};
use reqwest::{StatusCode, header, redirect::Policy};
use serde::Deserialize;

const TIMEOUT: Duration = Duration::from_secs(10);
/// A process that was held up reads a response that came in time.
const READ_ON: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct Provider {
    http: reqwest::Client,
    settings: Settings,
}

#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) token_url: String,
    pub(crate) client_id: String,
    pub(crate) client_secret: ClientSecret,
    /// The callback that the consent page's URL named.
    pub(crate) callback: String,
    /// The API that the tokens are for: the field that this provider adds.
    pub(crate) audience: String,
}

impl Provider {
    pub(crate) fn new(settings: Settings) -> Result<Self, Box<dyn Error>> {
        let http = reqwest::Client::builder()
            // A redirect would send the secret elsewhere.
            .redirect(Policy::none())
            .timeout(TIMEOUT + READ_ON)
            .build()?;
        Ok(Self { http, settings })
    }
}

#[async_trait]
impl TokenEndpoint for Provider {
    async fn refresh(
        &self,
        refresh_token: &RefreshToken,
    ) -> Result<TokenGrant, EndpointError> {
        self.request(&[
            ("grant_type", "refresh_token"),
            ("refresh_token", refresh_token.expose_secret()),
        ])
        .await
    }

    async fn exchange_code(
        &self,
        response: &AuthorizationResponse,
    ) -> Result<TokenGrant, EndpointError> {
        self.request(&[
            ("grant_type", "authorization_code"),
            ("code", response.code().expose_secret()),
            ("redirect_uri", &self.settings.callback),
        ])
        .await
    }

    fn timeout(&self) -> Duration {
        TIMEOUT
    }
}

impl Provider {
    async fn request(
        &self,
        fields: &[(&str, &str)],
    ) -> Result<TokenGrant, EndpointError> {
        let settings = &self.settings;
        let body = Serializer::new(String::new())
            .extend_pairs(fields)
            .append_pair("audience", &settings.audience)
            .finish();
        let encoded = |text: &str| -> String {
            byte_serialize(text.as_bytes()).collect()
        };
        let id = encoded(&settings.client_id);
        let secret = encoded(settings.client_secret.expose_secret());
        let request = self
            .http
            .post(&settings.token_url)
            .header(header::ACCEPT, "application/json")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
            .basic_auth(id, Some(secret))
            .body(body);
        let response = request.send().await.map_err(unsent)?;
        let status = response.status();
        let body = response.bytes().await.map_err(|error| {
            let kind = EndpointErrorKind::Ambiguous;
            EndpointError::new(kind, "the response broke off")
                .with_source(error.without_url())
        })?;
        match status.is_success() {
            true => granted(status, &body),
            false => Err(refused(status, &body)),
        }
    }
}

/// No response came. Only a connection that failed is certain to have sent
/// nothing.
fn unsent(error: reqwest::Error) -> EndpointError {
    let (kind, message) = match error.is_connect() {
        true => (EndpointErrorKind::NotSent, "no connection to the provider"),
        false => (EndpointErrorKind::Ambiguous, "no response came"),
    };
    EndpointError::new(kind, message).with_source(error.without_url())
}

fn granted(
    status: StatusCode,
    body: &[u8],
) -> Result<TokenGrant, EndpointError> {
    #[derive(Deserialize)]
    struct Grant {
        access_token: String,
        refresh_token: Option<String>,
        expires_in: Option<u64>,
    }

    // The error of serde_json would quote the body.
    let grant: Grant = serde_json::from_slice(body).map_err(|_| {
        let kind = EndpointErrorKind::Ambiguous;
        let error = EndpointError::new(kind, "the response holds no token");
        error.with_status(status.as_u16())
    })?;
    let seconds = grant.expires_in.unwrap_or_default();
    let tokens = TokenGrant::new(grant.access_token)
        .with_expires_in(ExpiresIn::from_seconds(seconds));
    Ok(match grant.refresh_token {
        Some(token) => tokens.with_refresh_token(token),
        None => tokens,
    })
}

/// The kind says what becomes of the refresh token: a wrong `GrantRefused`
/// signs the user out, a wrong `Transient` presents a spent token again.
fn refused(status: StatusCode, body: &[u8]) -> EndpointError {
    #[derive(Default, Deserialize)]
    struct Refusal {
        error: String,
    }

    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let kind = match refusal.error.as_str() {
        "invalid_grant" => EndpointErrorKind::GrantRefused,
        "temporarily_unavailable" => EndpointErrorKind::Transient,
        _ if status == 429 || status.is_server_error() => {
            EndpointErrorKind::Transient
        }
        _ => EndpointErrorKind::Configuration,
    };
    let message = "the provider refused the request";
    let error = EndpointError::new(kind, message).with_status(status.as_u16());
    let error = match status == 429 {
        // The provider looked at no token.
        true => error.with_unspent(),
        false => error,
    };
    // Only words of the RFC: a text of the provider may hold anything.
    match refusal.error.as_str() {
        code @ ("invalid_grant"
        | "invalid_client"
        | "invalid_request"
        | "unauthorized_client"
        | "invalid_scope") => error.with_code(code),
        _ => error,
    }
}
