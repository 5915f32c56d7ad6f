//! Signing in with a code: the exchange, and the installation of the tokens.
//!
//! Both run in one task. The end of a caller does not end the task, so a browser that goes away loses no
//! tokens.

use std::{future::pending, sync::Arc};

use super::{context::AccountContext, refresh_queue::Urgency};
use crate::{
    authorization::AuthorizationResponse,
    endpoint::{EndpointError, EndpointErrorKind},
    error::{Error, ErrorKind},
    event::EventKind,
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
        let signed_in = match self.exchange_code(&response).await {
            Ok(tokens) => Arc::clone(&self).install_granted(tokens).await,
            Err(error) => Err(error),
        };
        signed_in.inspect_err(|error| {
            // A failed save has an event of its own.
            if error.kind() != ErrorKind::SaveFailed {
                let error = error.clone();
                self.emit(EventKind::SignInFailed { error });
            }
        })
    }

    async fn exchange_code(&self, response: &AuthorizationResponse) -> Result<TokenSet, Error> {
        if let Some(error) = self.single_flight.read(|state| state.closed().cloned()) {
            return Err(error);
        }
        let queue = &self.manager.refresh_queue;
        // A person waits, and the host's limits hold for every token request.
        let permit = queue.permit(Urgency::SignIn, pending()).await;
        // Without a permit, the code is unspent.
        let _permit = permit.map_err(|no_permit| self.no_permit(no_permit))?;
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
