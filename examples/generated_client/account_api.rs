//! In the shape of openapi-generator's `src/apis/account_api.rs`, with parts
//! of `src/apis/mod.rs` and `src/models`.

use std::fmt;

use serde::Deserialize;

use crate::configuration;

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AccountGetResponse {
    pub(crate) account: Option<Box<AccountResponse>>,
}

#[derive(Clone, Debug, Deserialize)]
pub(crate) struct AccountResponse {
    pub(crate) account_id: Option<String>,
}

#[derive(Debug)]
pub(crate) struct ResponseContent {
    pub(crate) status: reqwest::StatusCode,
    pub(crate) content: String,
}

#[derive(Debug)]
#[allow(clippy::enum_variant_names, reason = "the generator's name")]
pub(crate) enum Error {
    Reqwest(reqwest::Error),
    ReqwestMiddleware(reqwest_middleware::Error),
    Serde(serde_json::Error),
    ResponseError(ResponseContent),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (module, e) = match self {
            Error::Reqwest(e) => ("reqwest", e.to_string()),
            Error::ReqwestMiddleware(e) => {
                ("reqwest-middleware", e.to_string())
            }
            Error::Serde(e) => ("serde", e.to_string()),
            Error::ResponseError(e) => {
                let ResponseContent { status, content } = e;
                ("response", format!("status code {status}: {content}"))
            }
        };
        write!(f, "error in {module}: {e}")
    }
}

impl std::error::Error for Error {}

impl From<reqwest::Error> for Error {
    fn from(e: reqwest::Error) -> Self {
        Error::Reqwest(e)
    }
}

impl From<reqwest_middleware::Error> for Error {
    fn from(e: reqwest_middleware::Error) -> Self {
        Error::ReqwestMiddleware(e)
    }
}

impl From<serde_json::Error> for Error {
    fn from(e: serde_json::Error) -> Self {
        Error::Serde(e)
    }
}

/// Returns the properties and settings of your Account.
pub(crate) async fn account_get(
    configuration: &configuration::Configuration,
) -> Result<AccountGetResponse, Error> {
    let uri_str = format!("{}/account", configuration.base_path);
    let mut req_builder =
        configuration.client.request(reqwest::Method::GET, &uri_str);

    if let Some(ref user_agent) = configuration.user_agent {
        req_builder =
            req_builder.header(reqwest::header::USER_AGENT, user_agent.clone());
    }
    if let Some(ref token) = configuration.bearer_access_token {
        req_builder = req_builder.bearer_auth(token.to_owned());
    };

    let req = req_builder.build()?;
    let resp = configuration.client.execute(req).await?;

    let status = resp.status();
    let content = resp.text().await?;
    if !status.is_client_error() && !status.is_server_error() {
        serde_json::from_str(&content).map_err(Error::from)
    } else {
        Err(Error::ResponseError(ResponseContent { status, content }))
    }
}
