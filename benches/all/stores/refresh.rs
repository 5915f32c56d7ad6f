//! A refresh with each store, compared with the bare token request.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use dropbox_sign_oauth::{
    AccountId, TokenEndpoint, TokenManager, TokenSet,
    store::{LeaseRequest, TokenStore},
    testing::{FakeClock, FakeDropboxSign},
};
use tokio::runtime::Runtime;

use super::{LIFETIME, place::Place, sign_in};
use crate::harness::{Contender, Effort, median, take_turns};

/// A row of the table.
pub(crate) struct Subject<'a> {
    pub(crate) name: String,
    /// `None`: the token request alone.
    store: Option<Arc<dyn TokenStore>>,
    /// The place that other processes share.
    pub(crate) shared: Option<&'a Place>,
}

impl<'a> Subject<'a> {
    pub(crate) fn new(name: &str, store: Option<Arc<dyn TokenStore>>) -> Self {
        Self {
            name: name.to_owned(),
            store,
            shared: None,
        }
    }

    pub(crate) fn shared(place: &'a Place) -> Self {
        Self {
            name: place.kind.name().to_owned(),
            store: Some(place.open()),
            shared: Some(place),
        }
    }
}

/// The median in milliseconds for each subject. The subjects take turns.
pub(crate) fn medians(
    effort: Effort,
    runtime: &Runtime,
    fake: &FakeDropboxSign,
    subjects: &[Subject<'_>],
) -> Vec<f64> {
    let contender = |(nth, subject): (usize, &Subject<'_>)| match &subject.store {
        Some(store) => {
            // Several subjects may share a place.
            let account = AccountId::from(format!("refresh-{nth}"));
            through(store.clone(), account, runtime, fake)
        }
        None => bare(runtime, fake),
    };
    let mut contenders: Vec<_> = subjects.iter().enumerate().map(contender).collect();
    let rounds = effort.rounds(300);
    let before = fake.token_requests();
    // The first turn of each connects.
    take_turns(1, 1, &mut contenders);
    let samples = take_turns(1, rounds, &mut contenders);
    let posts = fake.token_requests() - before;
    assert_eq!(posts, (rounds + 1) * subjects.len(), "each turn refreshes");
    let in_ms = |samples: Vec<f64>| median(samples) / 1e6;
    samples.into_iter().map(in_ms).collect()
}

fn bare<'a>(runtime: &'a Runtime, fake: &FakeDropboxSign) -> Contender<'a> {
    let api = super::api(&fake.url());
    let mut refresh_token = sign_in(fake);
    Contender::timing_itself("", move |times| {
        runtime.block_on(async {
            let start = Instant::now();
            for _ in 0..times {
                let granted = api.refresh(&refresh_token).await.expect("granted");
                refresh_token = granted.refresh_token.expect("it rotates");
            }
            start.elapsed()
        })
    })
}

/// The wait of a caller that finds its token expired.
fn through<'a>(
    store: Arc<dyn TokenStore>,
    account: AccountId,
    runtime: &'a Runtime,
    fake: &FakeDropboxSign,
) -> Contender<'a> {
    let clock = FakeClock::new();
    let manager = TokenManager::builder(super::api(&fake.url()), store.clone())
        .clock(clock.clone())
        .build()
        .expect("a valid configuration");
    let handle = manager.account(account.clone());
    let tokens = TokenSet::from_refresh_token(sign_in(fake));
    let installed = runtime.block_on(handle.install(tokens));
    installed.expect("installed");
    Contender::timing_itself("", move |times| {
        runtime.block_on(async {
            let mut taken = Duration::ZERO;
            for _ in 0..times {
                clock.advance(LIFETIME);
                let start = Instant::now();
                handle.token().await.expect("refreshed");
                taken += start.elapsed();
                finished(&store, &account).await;
            }
            taken
        })
    })
}

/// Waits until the refresh has released its lease, which happens after the caller has its token. The
/// release must not run in the next contender's turn.
async fn finished(store: &dyn TokenStore, account: &AccountId) {
    let request = LeaseRequest::new(Duration::from_secs(60), Duration::from_secs(60));
    let lease = store.lease(account, request).await.expect("released");
    lease.release().await.expect("released");
}
