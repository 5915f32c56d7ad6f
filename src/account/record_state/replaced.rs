//! The records that this process has replaced.

use std::{
    collections::VecDeque,
    hash::{BuildHasher, RandomState},
};

use crate::{
    store::{Record, Version},
    token::TokenSet,
};

/// The last records that this process has replaced, or holds newer tokens for. A store that failed
/// over, or a user who can write to the store, may put back any of them.
#[derive(Debug, Default)]
pub(super) struct Replaced {
    records: VecDeque<Entry>,
    hasher: RandomState,
}

#[derive(Debug)]
struct Entry {
    version: Version,
    /// A keyed hash of the refresh token, if there was a refresh token.
    token: Option<u64>,
}

impl Replaced {
    /// The records of sixteen refreshes: from before the intent, and the intent.
    const MOST: usize = 32;

    pub(super) fn add(&mut self, version: Version, tokens: &TokenSet) {
        let token = self.hash_of(tokens);
        self.records.push_front(Entry { version, token });
        self.records.truncate(Self::MOST);
    }

    /// Whether this is a replaced record, unchanged: an operator may have pasted tokens into a copy.
    pub(super) fn contains(&self, stored: &Record) -> bool {
        let token = self.hash_of(&stored.tokens);
        let mut records = self.records.iter();
        records.any(|entry| entry.version == stored.version && entry.token == token)
    }

    /// Whether this record holds the refresh token of a replaced record.
    pub(super) fn contains_token_of(&self, stored: &Record) -> bool {
        let token = self.hash_of(&stored.tokens);
        token.is_some() && self.records.iter().any(|entry| entry.token == token)
    }

    fn hash_of(&self, tokens: &TokenSet) -> Option<u64> {
        let token = tokens.refresh_token()?;
        Some(self.hasher.hash_one(token.expose_secret()))
    }
}
