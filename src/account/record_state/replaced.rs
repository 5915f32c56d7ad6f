//! What this process has replaced: records, and refresh tokens.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
    time::SystemTime,
};

use crate::{
    secret::RefreshToken,
    store::{Lineage, Record, Version},
    token::TokenSet,
};

/// What this process has replaced, the latest first. A store that failed over, or a user who can write to
/// the store, may put any of it back.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    records: VecDeque<Entry>,
    spent: VecDeque<Spent>,
    hasher: RandomState,
}

/// A record in whose place this process has put another.
#[derive(Debug)]
struct Entry {
    version: Version,
    /// A keyed hash of the refresh token, if there was a refresh token.
    token: Option<u64>,
}

/// A refresh token for which this process was granted another.
#[derive(Debug)]
struct Spent {
    /// A keyed hash.
    token: u64,
    /// The time of the sign-in. A newer sign-in with the same token may present the token.
    sign_in: Option<SystemTime>,
}

impl Replaced {
    /// Those of one refresh, the record from before the intent and the intent, and of a sign-in after it.
    const MOST_RECORDS: usize = 4;
    const MOST_SPENT: usize = 16;

    pub(super) fn is_empty(&self) -> bool {
        self.records.is_empty() && self.spent.is_empty()
    }

    pub(super) fn add(&mut self, version: Version, tokens: &TokenSet) {
        let token = tokens.refresh_token().map(|token| self.hash_of(token));
        self.records.push_front(Entry { version, token });
        self.records.truncate(Self::MOST_RECORDS);
    }

    /// Remembers that `granted` was granted for the refresh token `spent`.
    pub(super) fn add_spent(
        &mut self,
        spent: &RefreshToken,
        lineage: &Lineage,
        granted: &RefreshToken,
    ) {
        let (token, sign_in) = (self.hash_of(spent), lineage.began_at());
        self.spent.push_front(Spent { token, sign_in });
        self.spent.truncate(Self::MOST_SPENT);
        self.forget_spent(granted);
    }

    /// The token may be presented: the token was granted or installed again.
    pub(super) fn forget_spent(&mut self, token: &RefreshToken) {
        let token = self.hash_of(token);
        self.spent.retain(|spent| spent.token != token);
    }

    /// Whether this is a replaced record, unchanged: an operator may have pasted tokens into a copy.
    pub(super) fn contains(&self, stored: &Record) -> bool {
        let token = stored.tokens.refresh_token();
        let token = token.map(|token| self.hash_of(token));
        let mut records = self.records.iter();
        records.any(|entry| entry.version == stored.version && entry.token == token)
    }

    /// Whether the record's refresh token is spent. The token is then remembered anew.
    pub(super) fn has_spent_token_of(&mut self, stored: &Record) -> bool {
        let Some(token) = stored.tokens.refresh_token() else {
            return false;
        };
        let (token, sign_in) = (self.hash_of(token), stored.lineage.began_at());
        let mut spent = self.spent.iter();
        let found = spent.position(|spent| spent.token == token && spent.sign_in >= sign_in);
        if let Some(spent) = found.and_then(|at| self.spent.remove(at)) {
            self.spent.push_front(spent);
            return true;
        }
        false
    }

    /// Whether this process has spent the token, in any sign-in.
    pub(super) fn has_spent(&self, token: &RefreshToken) -> bool {
        let token = self.hash_of(token);
        self.spent.iter().any(|spent| spent.token == token)
    }

    fn hash_of(&self, token: &RefreshToken) -> u64 {
        self.hasher.hash_one(token.expose_secret())
    }
}
