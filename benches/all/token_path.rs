//! The path of a fresh token: check the freshness, take the header, insert the header.

use std::{hint::black_box, time::Instant};

use dropbox_sign_oauth::{Account, AccountId};
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION},
};
use tokio::runtime::Runtime;

use crate::{
    account,
    harness::{Contender, Effort, compare, on_all},
};

pub(crate) fn one_thread(effort: Effort) {
    let account = account();
    let shared = constant();
    let mut headers = headers();
    let mut same_headers = headers.clone();
    compare(
        effort,
        500,
        &mut [
            Contender::new("constant header: clone, insert", || {
                insert(&mut headers, black_box(&shared).clone());
            }),
            Contender::new("this crate: freshness, header, insert", || {
                insert(&mut same_headers, token(black_box(&account)));
            }),
        ],
    );
}

pub(crate) fn threads(effort: Effort) {
    let account = account();
    let shared = constant();
    let own = || {
        let own = constant();
        move || own.clone()
    };
    compare(
        effort,
        300,
        &mut [
            on_threads("this crate, one thread", 1, || || token(&account)),
            on_threads("this crate, two threads", 2, || || token(&account)),
            on_threads("this crate, four threads", 4, || || token(&account)),
            on_threads("this crate, eight threads", 8, || || token(&account)),
            on_threads("this crate, one thread, again: the noise", 1, || {
                || token(&account)
            }),
            on_threads("constant header, one thread", 1, own),
            on_threads("constant header of its own, two threads", 2, own),
            on_threads("constant header, shared by two threads", 2, || {
                || shared.clone()
            }),
        ],
    );
}

/// Many accounts on one thread, by their handles.
pub(crate) fn many_accounts(effort: Effort) {
    let runtime = Runtime::new().expect("a runtime");
    let (manager, accounts) = runtime.block_on(account::many(10_000));
    let in_turn = |name, count: usize| {
        let mut headers = headers();
        let mut accounts = accounts[..count].iter().cycle();
        Contender::new(name, move || {
            let account = accounts.next().expect("an endless round");
            insert(&mut headers, token(black_box(account)));
        })
    };
    let mut random = fastrand::Rng::with_seed(7);
    let mut random_headers = headers();
    compare(
        effort,
        100,
        &mut [
            in_turn("one account", 1),
            in_turn("16 accounts in turn", 16),
            in_turn("17 accounts in turn", 17),
            in_turn("64 accounts in turn", 64),
            in_turn("200 accounts in turn", 200),
            in_turn("1,000 accounts in turn", 1_000),
            Contender::new("10,000 accounts in random order", || {
                let account = &accounts[random.usize(..accounts.len())];
                insert(&mut random_headers, token(black_box(account)));
            }),
            in_turn("one account, again: the noise", 1),
        ],
    );
    drop(manager);
}

/// The average time of a thread for one header.
fn on_threads<'a, F>(
    name: &'static str,
    threads: u32,
    source: impl Fn() -> F + Sync + 'a,
) -> Contender<'a>
where
    F: Fn() -> HeaderValue,
{
    Contender::timing_itself(name, move |times| {
        on_all(threads, |start_line| {
            let source = source();
            let mut headers = headers();
            // The first token of a thread takes longer: the thread has no copy yet.
            insert(&mut headers, source());
            start_line.wait();
            let start = Instant::now();
            for _ in 0..times {
                insert(&mut headers, black_box(&source)());
            }
            start.elapsed()
        })
    })
}

/// Inserts this number of headers.
pub(crate) fn insert_ours(times: u32) {
    let (account, mut headers) = (account(), headers());
    for _ in 0..times {
        insert(&mut headers, token(black_box(&account)));
    }
}

/// Inserts this number of headers.
pub(crate) fn insert_constant(times: u32) {
    let (shared, mut headers) = (constant(), headers());
    for _ in 0..times {
        insert(&mut headers, black_box(&shared).clone());
    }
}

fn token(account: &Account) -> HeaderValue {
    account
        .token()
        .now_or_never()
        .expect("a fresh token is ready")
        .expect("signed in")
        .into_header()
}

fn insert(headers: &mut HeaderMap, token: HeaderValue) {
    black_box(headers.insert(AUTHORIZATION, token));
}

/// The headers of a request, with a token, so that an insertion does not allocate.
fn headers() -> HeaderMap {
    let json = HeaderValue::from_static("application/json");
    HeaderMap::from_iter([(ACCEPT, json), (AUTHORIZATION, constant())])
}

fn constant() -> HeaderValue {
    let mut header = HeaderValue::try_from(account::header()).expect("a valid header");
    header.set_sensitive(true);
    header
}

fn account() -> Account {
    let runtime = Runtime::new().expect("a runtime");
    let manager = runtime.block_on(account::fresh());
    manager.account(AccountId::default())
}
