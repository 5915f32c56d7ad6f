//! Each thread's own copies of the headers it attaches.
//!
//! Cloning a `HeaderValue` bumps a counter beside its bytes. With one header for all, the cores
//! fight over that counter's cache line at every request; with a copy for each thread they never
//! meet. A copy is used only while its generation is the one in use, which costs one read of a line
//! that hardly ever changes. A replaced copy is wiped when the thread next attaches a token, or
//! ends.

use std::cell::RefCell;

use super::live::{BearerToken, LiveToken};
use crate::token::{Deadlines, Generation};

/// A thread that serves more accounts than this at a time copies anew now and then.
const SLOTS: usize = 16;

thread_local! {
    static CACHE: RefCell<[Option<Copied>; SLOTS]> = const { RefCell::new([const { None }; SLOTS]) };
}

struct Copied {
    refresher: u64,
    bearer: BearerToken,
    deadlines: Deadlines,
}

/// This thread's copy for the refresher, if it is of this generation and `accept`s its deadlines.
pub(super) fn find(
    refresher: u64,
    generation: Generation,
    accept: impl FnOnce(&Deadlines) -> bool,
) -> Option<BearerToken> {
    CACHE
        .try_with(|cache| {
            let cache = cache.try_borrow().ok()?;
            let copied = cache[slot(refresher)].as_ref()?;
            let current = copied.refresher == refresher && copied.bearer.generation() == generation;
            (current && accept(&copied.deadlines)).then(|| copied.bearer.clone())
        })
        .ok()
        .flatten()
}

/// Makes this thread's copy.
pub(super) fn keep(refresher: u64, token: &LiveToken) {
    let copied = Copied {
        refresher,
        bearer: token.bearer.unshared(),
        deadlines: token.deadlines,
    };
    // On a thread that is ending there is nothing to keep it for.
    let _ = CACHE.try_with(|cache| {
        if let Ok(mut cache) = cache.try_borrow_mut() {
            cache[slot(refresher)] = Some(copied);
        }
    });
}

/// Ids are handed out one after another, so that neighbours do not push each other out.
fn slot(refresher: u64) -> usize {
    (refresher % SLOTS as u64) as usize
}
