//! Making tokens that may be sent out of tokens that were stored or granted.

use std::sync::Arc;

use super::{context::AccountContext, live_token::LiveToken};
use crate::{clock::Moment, token::TokenSet};

impl AccountContext {
    /// The token of tokens that came from elsewhere; `None` without an access token that can be
    /// sent.
    pub(super) fn found_token(&self, tokens: &TokenSet) -> Option<Arc<LiveToken>> {
        let now = self.clocks().moment();
        let generation = self.single_flight.update(|state| state.next_generation());
        let context = (&self.id, self.policy());
        LiveToken::found(tokens.access()?, generation, now, context).map(Arc::new)
    }

    /// The token of tokens that were asked for at `sent`; `None` as above.
    pub(super) fn granted_token(&self, tokens: &TokenSet, sent: Moment) -> Option<Arc<LiveToken>> {
        let generation = self.single_flight.update(|state| state.next_generation());
        let context = (&self.id, self.policy());
        LiveToken::granted(tokens.access()?, generation, sent, context).map(Arc::new)
    }
}
