#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
pub mod api;
mod clock;
mod endpoint;
mod error;
mod event;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod manager;
pub mod middleware;
mod origin_rules;
mod policy;
mod refresher;
mod secret;
pub mod store;
mod token;

pub use crate::{
    account::AccountId,
    api::OAuthApi,
    clock::{Clock, Now, SystemClock},
    endpoint::{EndpointError, EndpointErrorKind, ExpiresIn, TokenEndpoint, TokenGrant},
    error::{ConfigError, Error, ErrorKind},
    event::{Event, EventKind, EventSink, RefreshReason},
    manager::{TokenManager, TokenManagerBuilder},
    middleware::TokenRefreshMiddleware,
    policy::{Backoff, LostReply, RefreshPolicy, Unsaved},
    refresher::{BearerToken, Refresher},
    secret::{AccessToken, AuthorizationCode, ClientSecret, RefreshToken},
    token::{Freshness, Generation, TokenSet},
};

#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub mod testing;
