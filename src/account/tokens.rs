//! Making tokens that may be sent out of tokens that were stored or granted.

use std::sync::Arc;

use super::{context::AccountContext, live_token::LiveToken};
use crate::{
    clock::Moment,
    store::Record,
    token::{Generation, TokenSet},
};

impl AccountContext {
    /// Numbers a token before its load or its request. A sign-out or an installation meanwhile has a
    /// later number, so that the late token is not put into use.
    pub(super) fn next_generation(&self) -> Generation {
        self.single_flight.update(|state| state.next_generation())
    }

    /// Makes a `LiveToken` from a stored record; `None` without an access token that can be sent.
    pub(super) fn found_token(
        &self,
        record: &Record,
        generation: Generation,
    ) -> Option<Arc<LiveToken>> {
        let make = match record.is_refreshed() {
            true => LiveToken::refreshed_elsewhere,
            false => LiveToken::found,
        };
        let context = (&self.id, self.policy());
        make(
            record.tokens.access()?,
            generation,
            self.clocks().now(),
            context,
        )
        .map(Arc::new)
    }

    /// Makes a `LiveToken` from tokens that were asked for at `sent`; `None` as above.
    pub(super) fn granted_token(
        &self,
        tokens: &TokenSet,
        generation: Generation,
        sent: Moment,
    ) -> Option<Arc<LiveToken>> {
        let context = (&self.id, self.policy());
        let token = LiveToken::granted(tokens.access()?, generation, sent, context)?;
        Some(Arc::new(match self.clocks().counts_sleep() {
            true => token.without_wall(),
            false => token,
        }))
    }
}
