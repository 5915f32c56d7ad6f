//! Which account was signed in with which refresh token: two accounts would present the token twice.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
};

use parking_lot::Mutex;

use crate::{account_id::AccountId, secret::RefreshToken};

/// The latest refresh token with which each account in memory was signed in, as a keyed hash.
///
/// The claim of an account goes when the account leaves memory, so that the claims take no more room
/// than the accounts. An account that comes back from the store claims nothing, as after a restart.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    hasher: RandomState,
    by_token: Mutex<HashMap<u64, AccountId>>,
}

/// The claim of one account: the hash of its token.
#[derive(Debug, Default)]
pub(super) struct Claim(Mutex<Option<u64>>);

impl Claims {
    /// Claims the token for the account, in place of its earlier token.
    ///
    /// # Errors
    ///
    /// The other account that has claimed the token.
    pub(super) fn claim(
        &self,
        token: &RefreshToken,
        account: &AccountId,
        claim: &Claim,
    ) -> Result<(), AccountId> {
        let hash = self.hasher.hash_one(token.expose_secret());
        let mut by_token = self.by_token.lock();
        match by_token.get(&hash) {
            Some(owner) if owner != account => return Err(owner.clone()),
            _ => {}
        }
        if let Some(earlier) = claim.0.lock().replace(hash) {
            by_token.remove(&earlier);
        }
        by_token.insert(hash, account.clone());
        Ok(())
    }

    pub(super) fn release(&self, claim: &Claim) {
        let mut by_token = self.by_token.lock();
        if let Some(hash) = claim.0.lock().take() {
            by_token.remove(&hash);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_belongs_to_one_account_until_it_signs_in_anew_or_out() {
        let claims = Claims::default();
        let [one, two] = ["one", "two"].map(|name| (AccountId::from(name), Claim::default()));
        let claim =
            |token: &str, (id, claim): &(AccountId, Claim)| claims.claim(&token.into(), id, claim);
        assert_eq!(claim("a", &one), Ok(()));
        assert_eq!(claim("a", &one), Ok(()));
        assert_eq!(claim("a", &two), Err(one.0.clone()));
        assert_eq!(claim("b", &one), Ok(()));
        assert_eq!(claim("a", &two), Ok(()));
        claims.release(&one.1);
        assert_eq!(claim("b", &two), Ok(()));
        claims.release(&one.1);
        assert_eq!(claim("b", &one), Err(two.0.clone()));
        claims.release(&two.1);
        assert!(claims.by_token.lock().is_empty(), "a claim stays behind");
    }
}
