//! Signing in with a code: the exchange, and the installation of the tokens.
//!
//! Both run in one task. The end of a caller does not end the task, so a browser that goes away loses no
//! tokens.

use std::{future::pending, sync::Arc};

use super::{
    context::AccountContext,
    refresh_queue::{NoPermit, Urgency},
};
use crate::{
    authorization::AuthorizationResponse,
    endpoint::{EndpointError, EndpointErrorKind},
    error::{Error, ErrorKind},
    token::TokenSet,
};

/// A reload of the callback's page brings the same code again.
const REFUSED: &str = "the code was used or is too old: go on if the user is signed in already, else \
                       start the sign-in again";

const MAY_BE_SPENT: &str = "the code may be used up: start the sign-in again";

impl AccountContext {
    /// Exchanges the code, and makes the tokens the account's. Nothing changes if the exchange fails.
    pub(super) async fn sign_in(
        self: Arc<Self>,
        response: AuthorizationResponse,
    ) -> Result<(), Error> {
        self.expect_no_loss();
        let tokens = self.exchange_code(&response).await?;
        self.install(tokens).await
    }

    async fn exchange_code(&self, response: &AuthorizationResponse) -> Result<TokenSet, Error> {
        if let Some(error) = self.single_flight.read(|state| state.closed().cloned()) {
            return Err(error);
        }
        let queue = &self.manager.refresh_queue;
        // A person waits, and the host's limits hold for every token request.
        let permit = queue.permit(Urgency::SignIn, pending()).await;
        let _permit = permit.map_err(|no_permit| self.sign_in_not_permitted(no_permit))?;
        let sent = self.clocks().now();
        let exchange = self.manager.endpoint.exchange_code(response);
        let error = match self.granted_in_time(exchange, None).await {
            Ok(grant) => {
                queue.granted(&grant.rate_limits, sent.monotonic);
                let default_lifetime = self.policy().default_lifetime;
                return Ok(grant.into_tokens(sent.wall_time(), default_lifetime));
            }
            Err(error) => error,
        };
        let held = queue.failed(&error, sent.monotonic);
        match error.refresh_token() {
            // The code is spent: dropping the refresh token would end the sign-in. A refresh brings the
            // access token.
            Some(issued) if error.may_be_spent() => {
                Ok(TokenSet::from_refresh_token(issued.clone()))
            }
            _ => {
                let error = self.code_exchange_failed(error);
                Err(match held {
                    Some(wait) => error.with_retry_after(wait),
                    None => error,
                })
            }
        }
    }

    /// The code is unspent.
    fn sign_in_not_permitted(&self, no_permit: NoPermit) -> Error {
        match no_permit {
            NoPermit::Closed => self.error(ErrorKind::ShutDown),
            NoPermit::Held { error, wait } => self
                .endpoint_error(ErrorKind::Unavailable, error)
                .with_retry_after(wait),
        }
    }

    fn code_exchange_failed(&self, error: EndpointError) -> Error {
        use EndpointErrorKind::{AccountRestricted, Configuration, GrantRefused};

        let may_be_spent = error.may_be_spent();
        match error.kind() {
            GrantRefused => self
                .endpoint_error(ErrorKind::SignInFailed, error)
                .with_help(REFUSED),
            Configuration => self.endpoint_error(ErrorKind::Configuration, error),
            AccountRestricted => self.endpoint_error(ErrorKind::AccountRestricted, error),
            _ if may_be_spent => self
                .endpoint_error(ErrorKind::SignInFailed, error)
                .with_help(MAY_BE_SPENT),
            _ => self.endpoint_error(ErrorKind::Unavailable, error),
        }
    }
}
