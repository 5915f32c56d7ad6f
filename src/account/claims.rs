//! Which account was signed in with which refresh token: two accounts would present the token twice.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use parking_lot::Mutex;

use crate::{account_id::AccountId, secret::RefreshToken};

/// The latest refresh token with which each account of a manager was signed in, as a keyed hash.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    hasher: RandomState,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    by_token: HashMap<u64, AccountId>,
    by_account: HashMap<AccountId, u64>,
}

impl Claims {
    /// Claims the token for the account, in place of its earlier token.
    ///
    /// # Errors
    ///
    /// The other account that has claimed the token.
    pub(super) fn claim(&self, token: &RefreshToken, account: &AccountId) -> Result<(), AccountId> {
        let hash = self.hasher.hash_one(token.expose_secret());
        let mut state = self.state.lock();
        match state.by_token.get(&hash) {
            Some(owner) if owner != account => return Err(owner.clone()),
            _ => {}
        }
        if let Some(earlier) = state.by_account.insert(account.clone(), hash) {
            state.by_token.remove(&earlier);
        }
        state.by_token.insert(hash, account.clone());
        Ok(())
    }

    pub(super) fn release(&self, account: &AccountId) {
        let mut state = self.state.lock();
        if let Some(hash) = state.by_account.remove(account) {
            state.by_token.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_one_account_until_it_signs_in_anew_or_out() {
        let claims = Claims::default();
        let (one, two) = (AccountId::from("one"), AccountId::from("two"));
        let claim = |token: &str, account| claims.claim(&token.into(), account);
        assert_eq!(claim("a", &one), Ok(()));
        assert_eq!(claim("a", &one), Ok(()));
        assert_eq!(claim("a", &two), Err(one.clone()));
        assert_eq!(claim("b", &one), Ok(()));
        assert_eq!(claim("a", &two), Ok(()));
        claims.release(&one);
        assert_eq!(claim("b", &two), Ok(()));
        claims.release(&one);
        assert_eq!(claim("b", &one), Err(two));
    }
}
