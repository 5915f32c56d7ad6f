//! The path of a fresh token: check the freshness, take the header, insert the header.

use std::{
    hint::black_box,
    sync::Barrier,
    thread,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{Account, AccountId};
use futures_util::FutureExt;
use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION},
};
use tokio::runtime::Runtime;

use crate::{
    account,
    harness::{Contender, Effort, compare},
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

pub(crate) fn two_threads(effort: Effort) {
    let account = account();
    let shared = constant();
    let own = || {
        let own = constant();
        move || own.clone()
    };
    compare(
        effort,
        500,
        &mut [
            on_threads("this crate, one thread", 1, || || token(&account)),
            on_threads("this crate, two threads", 2, || || token(&account)),
            on_threads("constant header, one thread", 1, own),
            on_threads("constant header of its own, two threads", 2, own),
            on_threads("constant header, shared by two threads", 2, || {
                || shared.clone()
            }),
        ],
    );
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
        let start_line = Barrier::new(threads as usize);
        let run = || {
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
        };
        let total: Duration = thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(run)).collect();
            running
                .into_iter()
                .map(|thread| thread.join().expect("no panic"))
                .sum()
        });
        total / threads
    })
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
