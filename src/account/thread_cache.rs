//! Each thread's own copies of the headers it attaches.
//!
//! Cloning a `HeaderValue` bumps a counter beside its bytes. With one header for all threads, the
//! cores fight over that counter's cache line at every request; with a copy for each thread they do
//! not. A copy is used only while its generation is in use, which costs one read of a cache line that
//! hardly ever changes. A replaced copy is wiped when the thread next attaches a token in its slot,
//! or ends.

use std::cell::RefCell;

use super::live_token::{BearerToken, LiveToken};
use crate::{deadlines::Deadlines, token::Generation};

/// A thread that serves more accounts than this copies headers anew, which costs an allocation and a
/// contended counter.
const SLOTS: usize = 16;

thread_local! {
    static CACHE: RefCell<[Option<Copied>; SLOTS]> = const { RefCell::new([const { None }; SLOTS]) };
}

struct Copied {
    key: u64,
    bearer: BearerToken,
    deadlines: Deadlines,
}

/// This thread's copy for the account with this key, if the generation matches and `accept` accepts
/// the deadlines.
pub(super) fn find(
    key: u64,
    generation: Generation,
    accept: impl FnOnce(&Deadlines) -> bool,
) -> Option<BearerToken> {
    CACHE
        .try_with(|cache| {
            let cache = cache.try_borrow().ok()?;
            let copied = cache[slot(key)].as_ref()?;
            let current = copied.key == key && copied.bearer.generation() == generation;
            (current && accept(&copied.deadlines)).then(|| copied.bearer.clone())
        })
        .ok()
        .flatten()
}

/// Makes this thread's copy.
pub(super) fn keep(key: u64, token: &LiveToken) {
    let copied = Copied {
        key,
        bearer: token.bearer.unshared(),
        deadlines: token.deadlines,
    };
    // A thread that is ending keeps no copies.
    let _ = CACHE.try_with(|cache| {
        if let Ok(mut cache) = cache.try_borrow_mut() {
            cache[slot(key)] = Some(copied);
        }
    });
}

/// Keys are handed out one after another, so that neighbours do not push each other out.
fn slot(key: u64) -> usize {
    (key % SLOTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::{
        account_id::AccountId, clock::Moment, policy::RefreshPolicy, secret::AccessToken,
        token::TokenSet,
    };

    fn live(token: &str, generation: u64) -> LiveToken {
        let now = Moment {
            monotonic: Duration::ZERO,
            wall: Duration::ZERO,
        };
        let tokens = TokenSet::new(token, SystemTime::UNIX_EPOCH, Duration::from_secs(60));
        let context = (&AccountId::default(), &RefreshPolicy::default());
        let access = tokens.access().expect("an access token");
        LiveToken::granted(access, Generation(generation), now, context).expect("a valid header")
    }

    fn found(key: u64, generation: u64) -> Option<AccessToken> {
        find(key, Generation(generation), |_| true).map(|bearer| bearer.access_token())
    }

    #[test]
    fn find_returns_the_accounts_own_token_of_the_generation_only() {
        keep(1, &live("one", 5));
        keep(2, &live("two", 5));
        assert_eq!(found(1, 5), Some(AccessToken::new("one")));
        assert_eq!(found(2, 5), Some(AccessToken::new("two")));
        assert_eq!(found(1, 4), None);
        assert_eq!(found(1, 6), None);
        assert_eq!(
            found(1 + SLOTS as u64, 5),
            None,
            "the same place, another account"
        );
        assert!(find(1, Generation(5), |_| false).is_none(), "not accepted");
    }

    #[test]
    fn a_thread_keeps_one_copy_a_slot() {
        for key in 0..SLOTS as u64 {
            keep(key, &live("first", 1));
        }
        assert!((0..SLOTS as u64).all(|key| found(key, 1).is_some()));
        keep(SLOTS as u64, &live("next", 1));
        assert_eq!(found(0, 1), None, "pushed out");
        assert_eq!(found(SLOTS as u64, 1), Some(AccessToken::new("next")));
    }

    #[test]
    fn another_thread_has_copies_of_its_own() {
        keep(1, &live("one", 5));
        let elsewhere = std::thread::spawn(|| found(1, 5)).join();
        assert_eq!(elsewhere.expect("no panic"), None);
    }

    #[test]
    fn a_copy_shares_no_memory_with_the_token_in_use() {
        let token = live("one", 5);
        keep(1, &token);
        let copy = find(1, Generation(5), |_| true).expect("just kept");
        let place = |bearer: &BearerToken| bearer.header().as_bytes().as_ptr();
        assert_ne!(place(&copy), place(&token.bearer));
    }
}
