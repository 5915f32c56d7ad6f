#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod account;
mod account_id;
mod accounts;
pub mod api;
mod authorization;
mod clock;
mod deadlines;
mod endpoint;
mod error;
mod event;
#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(any(doc, test))]
pub mod guide;
mod keeper;
mod manager;
#[cfg(feature = "metrics")]
#[cfg_attr(docsrs, doc(cfg(feature = "metrics")))]
pub mod metrics;
#[cfg(not(feature = "metrics"))]
mod metrics;
pub mod middleware;
mod names;
mod origin_rules;
mod policy;
mod runtime;
mod secret;
pub mod store;
mod token;

pub use crate::{
    account::{Account, AccountState, AccountStatus, BearerToken, LastError, LastRefresh, Seeded},
    account_id::AccountId,
    api::OAuthApi,
    authorization::{
        AuthorizationError, AuthorizationErrorKind, AuthorizationRequest, AuthorizationResponse,
        AuthorizationState,
    },
    clock::{Clock, SystemClock, Timer},
    deadlines::Freshness,
    endpoint::{
        EndpointError, EndpointErrorKind, ExpiresIn, RateLimits, TokenEndpoint, TokenGrant,
    },
    error::{ConfigError, Error, ErrorKind},
    event::{Event, EventKind, EventSink, RefreshReason, Unfinished},
    manager::{TokenManager, TokenManagerBuilder},
    middleware::TokenRefreshMiddleware,
    policy::{Background, Backoff, LostResponse, RefreshPolicy, Unsaved},
    secret::{AccessToken, AuthorizationCode, ClientSecret, RefreshToken},
    token::{Generation, TokenSet},
};

#[cfg(feature = "test-util")]
#[cfg_attr(docsrs, doc(cfg(feature = "test-util")))]
pub mod testing;
