//! A client in the shape that openapi-generator gives it (`library=reqwest`,
//! `supportMiddleware=true`), with this crate's middleware inside: one
//! `Configuration` for each account.
//!
//! ```sh
//! cargo run --example generated_client
//! ```
//!
//! `configuration.rs` and `account_api.rs` stand for the generated code, and
//! are written by hand. A fake Dropbox Sign on loopback is the service.

#![allow(clippy::print_stdout, reason = "a program prints")]

mod account_api;
mod configuration;

use std::error::Error;

use dropbox_sign_oauth::{
    Error as TokenError, TokenManager, TokenRefreshMiddleware,
    middleware::redirect_policy, store::MemoryStore, testing::FakeDropboxSign,
};
use reqwest::Method;
use reqwest_middleware::ClientBuilder;
use serde_json::json;

use crate::{
    account_api::{Error as ApiError, account_get},
    configuration::Configuration,
};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Makes the configurations of all accounts. They share the connections.
struct Clients {
    base_path: String,
    http: reqwest::Client,
    auth: TokenRefreshMiddleware,
}

impl Clients {
    fn new(manager: &TokenManager, origin: &str) -> Result<Self> {
        Ok(Self {
            base_path: format!("{origin}/v3"),
            http: reqwest::Client::builder()
                .redirect(redirect_policy())
                .build()?,
            auth: TokenRefreshMiddleware::builder(manager)
                .origins([origin])
                // A client that was not bound to an account sends nothing.
                .require_account()
                .build()?,
        })
    }

    /// The generated code builds a request before it executes the request,
    /// and that loses the request's extensions. So the client names the
    /// account.
    fn configuration(&self, account: &str) -> Configuration {
        Configuration {
            base_path: self.base_path.clone(),
            client: ClientBuilder::new(self.http.clone())
                .with(self.auth.for_account(account))
                .build(),
            // A token here would go out instead of the account's.
            bearer_access_token: None,
            ..Configuration::default()
        }
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let fake = FakeDropboxSign::start().await;
    fake.on(Method::GET, "/v3/account")
        .json(json!({ "account": { "account_id": "5008b25c" } }));
    let manager =
        TokenManager::builder(fake.api(), MemoryStore::new()).build()?;
    let clients = Clients::new(&manager, &fake.url())?;

    for tenant in ["acme", "globex"] {
        let account = manager.account(tenant);
        account.install(fake.sign_in_as(tenant)).await?;
        let response = account_get(&clients.configuration(tenant)).await?;
        let found = response.account.and_then(|account| account.account_id);
        println!("{tenant}: {found:?}");
        assert_eq!(found.as_deref(), Some("5008b25c"));
    }
    // Each request carried the token of its own tenant.
    let requests = fake.recorded_api_requests();
    let tenants: Vec<_> = requests
        .iter()
        .map(|request| request.account.as_deref())
        .collect();
    assert_eq!(tenants, [Some("acme"), Some("globex")]);

    // Nobody is signed in: the generated error holds this crate's error.
    let error = account_get(&clients.configuration("initech")).await;
    let Err(ApiError::ReqwestMiddleware(error)) = error else {
        return Err("a request without a token was sent".into());
    };
    let error = TokenError::from_middleware(&error).ok_or("another error")?;
    println!("initech: {error}");
    assert!(error.is_reauthorization_required());
    assert_eq!(fake.api_requests(), 2);

    manager.shutdown().await?;
    Ok(())
}
