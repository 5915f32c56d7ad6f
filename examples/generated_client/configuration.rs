//! In the shape of openapi-generator's `src/apis/configuration.rs`.

#[derive(Debug, Clone)]
pub(crate) struct Configuration {
    pub(crate) base_path: String,
    pub(crate) user_agent: Option<String>,
    pub(crate) client: reqwest_middleware::ClientWithMiddleware,
    pub(crate) bearer_access_token: Option<String>,
}

impl Default for Configuration {
    fn default() -> Self {
        Configuration {
            base_path: "https://api.hellosign.com/v3".to_owned(),
            user_agent: Some("OpenAPI-Generator/3.0.0/rust".to_owned()),
            client: reqwest_middleware::ClientBuilder::new(
                reqwest::Client::new(),
            )
            .build(),
            bearer_access_token: None,
        }
    }
}
