//! The cost of each store: of a refresh, of the death of a lease's holder, of a crowd of waiting
//! processes.

mod crowd;
mod disk;
pub(crate) mod messages;
pub(crate) mod outage;
mod place;
pub(crate) mod process;
mod refresh;
mod take_over;

use std::{sync::Arc, time::Duration};

use dropbox_sign_oauth::{
    OAuthApi, RefreshToken,
    store::{EncryptedStore, EncryptionKey, MemoryStore, TokenStore},
    testing::FakeDropboxSign,
};
use tokio::runtime::Runtime;

use self::{
    place::{Kind, Place, Places},
    refresh::Subject,
};
use crate::harness::{Effort, maximum, median, print_row, remark};

/// The lifetime of the tokens.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const LEGEND: [&str; 5] = [
    "All times are ms: medians, and the longest in parentheses.",
    "refresh: how long a caller with an expired token waits for the next token",
    "added: how much longer a refresh takes than the bare token request",
    "lease: from the death of the holder, right after a renewal, until the next process holds the lease",
    "waiting: from the response to the one token request until the last process has the token",
];

/// One table, a row for each store.
pub(crate) fn side_by_side(effort: Effort) {
    let runtime = Runtime::new().expect("a runtime");
    // sqlx makes pools on a runtime.
    let _inside = runtime.enter();
    let places = runtime.block_on(Places::prepare());
    let fake = runtime.block_on(FakeDropboxSign::builder().lifetime(LIFETIME).start());
    let lives = [1, 3].map(|seconds| effort.at_length(Duration::from_secs(seconds)));

    remark(&disk::describe(effort));
    remark(place::DURABILITY);
    for line in LEGEND {
        remark(line);
    }
    let headings = [
        "refresh".to_owned(),
        "added".to_owned(),
        format!("{:?} lease", lives[0]),
        format!("{:?} lease", lives[1]),
        format!("{} waiting", crowd::PROCESSES),
    ];
    print_row("store", &headings);
    print_row("---", &headings.each_ref().map(|_| "---:".to_owned()));

    let subjects = subjects(&places);
    let refreshes = refresh::medians(effort, &runtime, &fake, &subjects);
    for (subject, refresh) in subjects.iter().zip(&refreshes) {
        let mut cells = vec![
            format!("{refresh:.2}"),
            format!("{:.2}", refresh - refreshes[0]),
        ];
        if let Some(place) = subject.shared {
            for life in lives {
                let taken = take_over::after_death(effort, place, &fake, life);
                cells.push(spread(&runtime.block_on(taken)));
            }
            let woken = crowd::until_the_last_has_it(effort, place, &fake);
            cells.push(spread(&runtime.block_on(woken)));
        }
        cells.resize(headings.len(), String::new());
        print_row(&subject.name, &cells);
    }
}

fn subjects(places: &Places) -> Vec<Subject<'_>> {
    let memory: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let mut subjects = vec![
        Subject::new("none: the bare token request", None),
        Subject::new("none, once more: the noise", None),
        Subject::new("`MemoryStore`", Some(memory.clone())),
        Subject::new("the same in `EncryptedStore`", Some(encrypted(memory))),
    ];
    let in_table = |place: &&Place| place.kind != Kind::RedisWithoutChannels;
    for place in places.all.iter().filter(in_table) {
        subjects.push(Subject::shared(place));
        if place.kind == Kind::Redis {
            let store = encrypted(place.open());
            subjects.push(Subject::new("the same in `EncryptedStore`", Some(store)));
        }
    }
    subjects
}

fn encrypted(store: Arc<dyn TokenStore>) -> Arc<dyn TokenStore> {
    let key = EncryptionKey::generate("bench").expect("a key");
    Arc::new(EncryptedStore::new(store, key))
}

fn spread(milliseconds: &[f64]) -> String {
    let (median, maximum) = (median(milliseconds.to_vec()), maximum(milliseconds));
    format!("{median:.0} ({maximum:.0})")
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn api(token_host: &str) -> OAuthApi {
    OAuthApi::builder(FakeDropboxSign::CLIENT_ID, FakeDropboxSign::CLIENT_SECRET)
        .base_url(token_host)
        .build()
        .expect("a valid configuration")
}

/// Signs in, and returns the refresh token.
fn sign_in(fake: &FakeDropboxSign) -> RefreshToken {
    let tokens = fake.sign_in();
    tokens.refresh_token().expect("it grants one").clone()
}
