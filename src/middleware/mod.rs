//! The middleware: each request to the API leaves with a valid bearer token.
//!
//! ```
//! # fn f(manager: dropbox_sign_oauth::TokenManager) {
//! use dropbox_sign_oauth::TokenRefreshMiddleware;
//! use reqwest_middleware::ClientBuilder;
//!
//! let client = ClientBuilder::new(reqwest::Client::new())
//!     .with(TokenRefreshMiddleware::new(&manager))
//!     .build();
//! # }
//! ```
//!
//! The [guide](crate::guide::clients) says where this middleware stands among others, and how to use it in
//! generated clients.
//!
//! # Rules
//!
//! - A request with an `Authorization` header of its own, or to an origin (scheme, host and port)
//!   that is not on the allow-list, passes untouched.
//! - All other requests get an account's token. An [`AccountId`] or an [`Account`] as the request's
//!   extension chooses the account. A request without the extension uses the account that the
//!   middleware is bound to: `default`, unless the program names another. Two extensions that
//!   choose different accounts are refused, and so is an extension of a type that looks like a choice:
//!   `&str`, `String`, `Arc<str>`, or a reference, an `Arc` or an `Option` of an `AccountId` or `Account`.
//! - In a program with more than one account, a request that forgets its extension would act for the
//!   account `default`.
//!   [`require_account`](TokenRefreshMiddlewareBuilder::require_account) refuses such a request.
//! - If the API responds with 401, the request is sent once more with a newer token, provided that
//!   its body can be sent twice. The second response is final. If the refresh fails, the result is
//!   our [`Error`](crate::Error) instead of the 401. If the body cannot be sent twice, the 401 is
//!   returned beside a refresh in the background; with
//!   [`Background::Never`](crate::Background::Never), after the refresh.
//! - Nothing else is sent again: not after a 403, a 5xx, a timeout or a lost connection. The errors
//!   of the inner middlewares and of reqwest arrive untouched.
//!
//! # How long a request takes
//!
//! A request with a timeout of its own ([`RequestBuilder::timeout`][timeout]) takes no longer than this
//! timeout, with everything that the middleware does for the request. The request is sent with the rest
//! of its timeout, and so is the replay.
//!
//! | step | bound without a timeout | bound with a timeout |
//! |---|---|---|
//! | read a stream into memory | none | the timeout |
//! | wait for a token | [`RefreshPolicy::patience`] | patience or timeout, whichever is shorter |
//! | the request | the reqwest client's timeout | the rest |
//! | after a 401, wait for a newer token | patience once more | patience or the rest |
//! | the replay | the reqwest client's timeout once more | the rest |
//!
//! - If the timeout ends a wait, the error is [`ErrorKind::Timeout`](crate::ErrorKind::Timeout) and
//!   says so. The refresh goes on.
//! - A request whose body can be sent only once waits for a fresh token while its stale token is still
//!   valid. With [`Background::Never`](crate::Background::Never), every request does. This wait takes at most half of the timeout, so that the request can leave with the stale
//!   token.
//! - A middleware does not see the timeout of the reqwest *client*, which begins anew with each request
//!   that is sent and does not bound the waits. To bound a call as a whole, set the timeout of the
//!   request, or wrap the call in `tokio::time::timeout`: dropping the call loses nothing.
//! - A retry outside this middleware gives each attempt the whole timeout.
//!
//! [timeout]: reqwest_middleware::RequestBuilder::timeout
//! [`RefreshPolicy::patience`]: crate::RefreshPolicy::patience
//!
//! # Caveats
//!
//! - A user name in a URL counts as an `Authorization` header of the request's own where reqwest
//!   makes a header of it: in every `client.get(…)`, but not in `Request::new`.
//! - reqwest adds the *client's* default headers after all middlewares, to requests that lack them.
//!   A default `Authorization` header hence does not count as the request's own: to an allowed origin
//!   our token is sent instead, to other origins the default header is sent.
//! - The reqwest client follows redirects, inside the middleware. reqwest drops the token when host,
//!   port or scheme change, but may send the token again at a later step: see [`redirect_policy`], which
//!   prevents that.
//! - A 401 counts against the token only if it comes from the URL that the request was sent to. After a
//!   redirect, nothing tells whether the last step carried the token: the 401 is returned, and nothing
//!   is refreshed. This applies to redirects within the origin, too. A redirect that leads back to the
//!   very same URL cannot be told from no redirect.
//! - An inner middleware that makes a response itself has to state the request's URL, with
//!   `reqwest::ResponseBuilderExt::url`. A 401 from no URL is not refreshed.
//! - A request to an origin that is not on the list leaves without a token. The first such request to an
//!   origin is reported as [`EventKind::OriginNotListed`], and as a warning with the feature `tracing`.
//!   A request without an account causes the warning alone.
//! - `api.hellosign.com.`, with a dot at the end, is another host than `api.hellosign.com`.

mod attempt;
mod body_buffer;
mod builder;
mod challenge;
mod choice;
mod deadline;
mod error;
mod origin;
mod redirects;
mod replay;
mod unlisted;

use std::sync::Arc;

use http::{Extensions, StatusCode, header::AUTHORIZATION};
use reqwest::{Request, Response};
use reqwest_middleware::{Middleware, Next, Result};

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use self::origin::property::check_origins;
pub use self::{
    body_buffer::BodyBufferMiddleware, builder::TokenRefreshMiddlewareBuilder,
    redirects::redirect_policy,
};

use self::{
    attempt::{Again, BoxFuture, Owner, Sent, set},
    challenge::asks_for_scope,
    choice::Choice,
    origin::{AllowList, same_resource},
    unlisted::Unlisted,
};
use crate::{
    account::{Account, BearerToken},
    account_id::AccountId,
    event::EventKind,
    manager::TokenManager,
    token::Generation,
};

/// The origin of Dropbox Sign's API, and by default the only origin that receives tokens.
pub const API_ORIGIN: &str = "https://api.hellosign.com";

/// In bytes: room for the API's JSON and small documents.
const DEFAULT_BUFFER: usize = 1024 * 1024;

/// Attaches a valid bearer token to each request, and replays a request once after a 401.
///
/// See the [module](self) for the rules.
///
/// ```
/// # use dropbox_sign_oauth::ConfigError;
/// # fn f(manager: dropbox_sign_oauth::TokenManager, http: reqwest::Client) -> Result<(), ConfigError> {
/// use dropbox_sign_oauth::TokenRefreshMiddleware;
/// use reqwest_middleware::ClientBuilder;
///
/// let unbound = TokenRefreshMiddleware::builder(&manager)
///     .require_account()
///     .build()?;
/// // Generated clients call `build()` and `execute()`, which lose extensions: use a client for each
/// // account. The clients share the manager, the connections and the settings.
/// let acme = ClientBuilder::new(http.clone())
///     .with(unbound.for_account("acme"))
///     .build();
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct TokenRefreshMiddleware {
    manager: TokenManager,
    /// `None`: each request has to choose its account.
    bound: Option<Account>,
    settings: Arc<Settings>,
}

#[derive(Debug)]
struct Settings {
    allowed: AllowList,
    unlisted: Unlisted,
    replay_buffer: usize,
}

impl TokenRefreshMiddleware {
    /// A middleware with the default settings, bound to the default account.
    pub fn new(manager: &TokenManager) -> Self {
        Self::builder(manager)
            .build()
            .expect("the default settings are valid")
    }

    /// Sets up a middleware with other settings.
    pub fn builder(manager: &TokenManager) -> TokenRefreshMiddlewareBuilder {
        TokenRefreshMiddlewareBuilder::new(manager)
    }

    /// The same middleware, bound to another account. Cheap.
    ///
    /// The extension of a request still chooses another account.
    #[must_use]
    pub fn for_account(&self, account: impl Into<AccountId>) -> Self {
        Self {
            bound: Some(self.manager.account(account.into())),
            ..self.clone()
        }
    }

    /// A fresh token for a request for which nothing else is to be done.
    fn fresh(
        &self,
        request: &Request,
        extensions: &Extensions,
    ) -> Option<(BearerToken, Owner<'_>)> {
        if !self.settings.allowed.allows(request.url()) {
            return None;
        }
        let choice = Choice::of(extensions, self.bound.as_ref()).ok()?;
        choice.fresh(&self.manager)
    }

    /// Sends a request of any kind.
    async fn send(
        &self,
        mut request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if request.headers().contains_key(AUTHORIZATION) {
            return next.run(request, extensions).await;
        }
        if !self.settings.allowed.allows(request.url()) {
            return self.pass(request, extensions, next).await;
        }
        let account = Choice::of(extensions, self.bound.as_ref())?.account(&self.manager);
        let deadline = deadline::of(&request);
        replay::buffer(&mut request, self.settings.replay_buffer, deadline).await?;
        let again = Again::of(&request);
        let token = match account.fresh() {
            Some(token) => token,
            None => account.acquire(again.need(), deadline).await?,
        };
        let sent = Sent {
            owner: Owner::Account(account),
            generation: token.generation(),
            again,
            deadline,
        };
        set(&mut request, token);
        deadline::leave_rest(&mut request, deadline);
        let response = next.clone().run(request, extensions).await?;
        self.replace(sent, response, extensions, next).await
    }

    /// Sends a request whose origin is not on the list, and reports the origin.
    async fn pass(
        &self,
        request: Request,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        // Without the URL's path, query and credentials.
        let origin = request.url().origin().ascii_serialization();
        unlisted::trace(&origin);
        let result = next.run(request, extensions).await;
        let unlisted = &self.settings.unlisted;
        if unlisted.has_news(&origin) {
            let bound = self.bound.as_ref();
            let choice = Choice::of(extensions, bound).ok();
            let choice = choice.or_else(|| bound.map(Choice::Bound));
            let account = choice.map(|choice| choice.account(&self.manager));
            let status = result.as_ref().ok().map(Response::status);
            unlisted.report(origin, account.as_deref(), status);
        }
        result
    }

    /// Replays the request after a 401.
    async fn replace(
        &self,
        sent: Sent<'_>,
        response: Response,
        extensions: &mut Extensions,
        next: Next<'_>,
    ) -> Result<Response> {
        if !calls_for_refresh(&response) || !same_resource(sent.again.url(), response.url()) {
            return Ok(response);
        }
        let account = sent.owner.account(&self.manager);
        let rejected = sent.generation;
        let Again::Replay(mut replay) = sent.again else {
            let refreshes = account.refresh_rejected(rejected, sent.deadline).await;
            report_rejection(&account, rejected, refreshes);
            return Ok(response);
        };
        let mut newer = account.replace(rejected, sent.deadline).await;
        if let Ok(Some(token)) = &newer
            && sent.owner.has_sent(token)
        {
            newer = account.replace(token.generation(), sent.deadline).await;
        }
        report_rejection(&account, rejected, !matches!(newer, Ok(None)));
        match newer? {
            Some(token) => {
                set(&mut replay, token);
                deadline::leave_rest(&mut replay, sent.deadline);
                account.note_replay();
                next.run(replay, extensions).await
            }
            None => Ok(response),
        }
    }
}

impl Middleware for TokenRefreshMiddleware {
    // Written out, since `async_trait` makes the future larger by a request. Each await but that of the
    // request itself is for a future in a box, for the same reason.
    fn handle<'s, 'e, 'n, 'f>(
        &'s self,
        mut request: Request,
        extensions: &'e mut Extensions,
        next: Next<'n>,
    ) -> BoxFuture<'f>
    where
        's: 'f,
        'e: 'f,
        'n: 'f,
    {
        Box::pin(async move {
            let Some((token, owner)) = self.fresh(&request, extensions) else {
                return Box::pin(self.send(request, extensions, next)).await;
            };
            // A stream has no copy, and may have to be read into memory.
            let Some(replay) = request.try_clone() else {
                return Box::pin(self.send(request, extensions, next)).await;
            };
            let generation = token.generation();
            if set(&mut request, token) {
                // The copy still has the request's own header.
                return next.run(replay, extensions).await;
            }
            let deadline = deadline::of(&request);
            let response = next.clone().run(request, extensions).await?;
            if response.status() != StatusCode::UNAUTHORIZED {
                return Ok(response);
            }
            let sent = Sent {
                owner,
                generation,
                again: Again::Replay(replay),
                deadline,
            };
            Box::pin(self.replace(sent, response, extensions, next)).await
        })
    }
}

fn report_rejection(account: &Account, generation: Generation, refreshes: bool) {
    account.emit(EventKind::Rejected {
        generation,
        refreshes,
    });
}

/// Dropbox Sign sends no `WWW-Authenticate`, so the status counts. If a response asks for more scope
/// (RFC 6750, section 3.1), a newer token would not help.
fn calls_for_refresh(response: &Response) -> bool {
    response.status() == StatusCode::UNAUTHORIZED && !asks_for_scope(response.headers())
}
