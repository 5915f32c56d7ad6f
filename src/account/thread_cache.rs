//! Each thread's own copies of the headers it attaches.
//!
//! Cloning a `HeaderValue` bumps a counter beside its bytes. With one header for all threads, the
//! cores fight over that counter's cache line at every request; with a copy for each thread they do
//! not. An account's handle and its name have such counters too, so a copy is found by name as well, and
//! comes with a name of the thread's own.
//!
//! A copy is used only while its generation is in use, which costs one read of a cache line that
//! hardly ever changes. A replaced copy is wiped when the thread next needs its place, or ends.

mod sets;

use std::{cell::RefCell, sync::Arc};

use self::sets::Sets;
use super::{
    context::{AccountContext, Key, ManagerContext},
    live_token::{BearerToken, LiveToken},
    single_flight::Published,
};
use crate::{account_id::AccountId, clock::Clocks, deadlines::Deadlines};

thread_local! {
    static CACHE: RefCell<Sets<Copied>> = const { RefCell::new(Sets::new()) };
}

/// A token in use, copied.
struct Copied {
    label: Label,
    manager: Key,
    published: Arc<Published>,
    bearer: BearerToken,
    deadlines: Deadlines,
}

/// What a request keeps of its account, without a counter that other threads use.
#[derive(Clone, Debug)]
pub(crate) struct Label {
    /// In memory of the thread's own.
    pub(crate) id: AccountId,
    key: Key,
}

/// What a thread's cache says of the token in use.
enum Kept<T> {
    Fresh(T),
    NotFresh,
    Missing,
}

impl AccountContext {
    /// The token in use, if the token is fresh. Takes the state's lock only if this thread has no copy.
    pub(super) fn fresh(&self) -> Option<BearerToken> {
        let is_ours = |copied: &Copied| copied.label.key == self.key;
        match find(self.place, is_ours, self.clocks(), Copied::bearer) {
            Kept::Fresh(token) => Some(token),
            Kept::NotFresh => None,
            Kept::Missing => {
                let token = self.single_flight.token()?;
                let now = self.clocks().monotonic();
                self.single_flight.published().mark_used(now);
                let is_fresh = token.deadlines.is_fresh_at(now, self.clocks());
                is_fresh.then(|| self.keep(&token))
            }
        }
    }

    /// The thread's own copy. Many waiters wake on one thread, and only the first makes the copy.
    pub(super) fn copy(&self, token: &LiveToken) -> BearerToken {
        let is_same = |copied: &Copied| {
            copied.label.key == self.key
                && copied.bearer.generation() == token.generation()
                && copied.deadlines == token.deadlines
        };
        let copy = CACHE.try_with(|cache| {
            let cache = cache.try_borrow().ok()?;
            cache.get(self.place, is_same).map(Copied::bearer)
        });
        copy.ok().flatten().unwrap_or_else(|| self.keep(token))
    }

    /// Whether the label is of this account, not of an earlier account of the name.
    pub(super) fn has_label(&self, label: &Label) -> bool {
        label.key == self.key
    }

    /// Copies the token if the cache has room, else shares the token.
    fn keep(&self, token: &LiveToken) -> BearerToken {
        // Also of an earlier account of the name, which has left memory.
        let is_earlier =
            |copied: &Copied| copied.manager == self.manager.key && copied.label.id == self.id;
        let copy = CACHE.try_with(|cache| {
            let mut cache = cache.try_borrow_mut().ok()?;
            let room = cache.room(self.place, is_earlier, Copied::is_replaced)?;
            Some(room.put(self.copied(token)).bearer())
        });
        // A thread that is ending keeps no copies.
        copy.ok().flatten().unwrap_or_else(|| token.bearer.clone())
    }

    fn copied(&self, token: &LiveToken) -> Copied {
        Copied {
            label: Label {
                id: AccountId::new(self.id.as_str()),
                key: self.key,
            },
            manager: self.manager.key,
            published: Arc::clone(self.single_flight.published()),
            bearer: token.bearer.unshared(),
            deadlines: token.deadlines,
        }
    }
}

impl ManagerContext {
    /// The token of the account of this name, if this thread has a copy and the token is fresh: without
    /// a look-up of the account.
    pub(crate) fn fresh(&self, id: &AccountId) -> Option<(BearerToken, Label)> {
        let is_named = |copied: &Copied| copied.manager == self.key && copied.label.id == *id;
        let take = |copied: &Copied| (copied.bearer(), copied.label.clone());
        match find(self.place(id), is_named, &self.clocks, take) {
            Kept::Fresh(found) => Some(found),
            Kept::NotFresh | Kept::Missing => None,
        }
    }
}

impl Copied {
    fn bearer(&self) -> BearerToken {
        self.bearer.clone()
    }

    fn is_replaced(&self) -> bool {
        self.published.generation() != self.bearer.generation()
    }
}

/// Takes something of this thread's copy, if the copy's generation is in use.
#[inline]
fn find<T>(
    place: u64,
    is_it: impl Fn(&Copied) -> bool,
    clocks: &Clocks,
    take: impl FnOnce(&Copied) -> T,
) -> Kept<T> {
    let look = |cache: &RefCell<Sets<Copied>>| {
        let cache = cache.try_borrow().ok()?;
        let copied = cache.get(place, is_it)?;
        if copied.is_replaced() {
            return None;
        }
        let now = clocks.monotonic();
        copied.published.mark_used(now);
        Some(match copied.deadlines.is_fresh_at(now, clocks) {
            true => Kept::Fresh(take(copied)),
            false => Kept::NotFresh,
        })
    };
    CACHE.try_with(look).ok().flatten().unwrap_or(Kept::Missing)
}

#[cfg(test)]
mod tests;
