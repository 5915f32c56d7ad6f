//! The sign-ins under way: two calls with one code share one exchange.
//!
//! A browser that repeats the callback, or a user who clicks twice, brings the same code again while the
//! first exchange is under way. The service would refuse the second exchange.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::Arc,
};

use parking_lot::Mutex;
use tokio::sync::watch;

use crate::{account_id::AccountId, error::Error, secret::AuthorizationCode};

/// The sign-ins of a manager's accounts, by account and keyed hash of the code.
#[derive(Debug, Default)]
pub(crate) struct SignIns {
    hasher: RandomState,
    under_way: Arc<Mutex<HashMap<(AccountId, u64), Pending>>>,
}

/// The result of a sign-in, once there is a result. Closed if the sign-in was aborted.
pub(super) type Pending = watch::Receiver<Option<Result<(), Error>>>;

/// Who exchanges the code.
pub(super) enum Exchange {
    Ours(SignIn),
    Theirs(Pending),
}

/// A sign-in under way. The drop ends the sign-in.
#[derive(Debug)]
pub(super) struct SignIn {
    under_way: Arc<Mutex<HashMap<(AccountId, u64), Pending>>>,
    key: (AccountId, u64),
    result: watch::Sender<Option<Result<(), Error>>>,
}

impl SignIns {
    /// Begins a sign-in, or joins the sign-in of the same code.
    pub(super) fn begin(&self, account: &AccountId, code: &AuthorizationCode) -> Exchange {
        let key = (account.clone(), self.hasher.hash_one(code.expose_secret()));
        let mut under_way = self.under_way.lock();
        if let Some(pending) = under_way.get(&key) {
            return Exchange::Theirs(pending.clone());
        }
        let (result, pending) = watch::channel(None);
        under_way.insert(key.clone(), pending);
        Exchange::Ours(SignIn {
            under_way: Arc::clone(&self.under_way),
            key,
            result,
        })
    }

    /// Whether a sign-in of the account is under way.
    pub(super) fn has(&self, account: &AccountId) -> bool {
        let under_way = self.under_way.lock();
        under_way.keys().any(|(id, _)| id == account)
    }
}

impl SignIn {
    /// Gives the result to all callers.
    pub(super) fn finish(self, result: Result<(), Error>) {
        self.result.send_replace(Some(result));
    }
}

impl Drop for SignIn {
    fn drop(&mut self) {
        self.under_way.lock().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s131_a_code_is_exchanged_once_at_a_time_for_an_account() {
        let sign_ins = SignIns::default();
        let begin = |account: &str, code: &str| sign_ins.begin(&account.into(), &code.into());
        let Exchange::Ours(first) = begin("one", "code") else {
            panic!("nobody else exchanges the code");
        };
        let Exchange::Theirs(pending) = begin("one", "code") else {
            panic!("the code is exchanged twice");
        };
        assert!(matches!(begin("one", "another"), Exchange::Ours(_)));
        assert!(matches!(begin("two", "code"), Exchange::Ours(_)));
        assert!(sign_ins.has(&"one".into()) && !sign_ins.has(&"two".into()));
        first.finish(Ok(()));
        assert!(matches!(*pending.borrow(), Some(Ok(()))));
        assert!(!sign_ins.has(&"one".into()));

        let Exchange::Ours(aborted) = begin("one", "code") else {
            panic!("a sign-in stays behind");
        };
        let Exchange::Theirs(pending) = begin("one", "code") else {
            panic!("the code is exchanged twice");
        };
        drop(aborted);
        assert!(pending.borrow().is_none() && pending.has_changed().is_err());
    }
}
