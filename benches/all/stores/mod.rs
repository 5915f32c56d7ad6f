//! What each store costs: a refresh, the death of a lease's holder, a crowd of waiting processes.

mod crowd;
mod disk;
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
    place::{Kind, Places},
    refresh::Subject,
};
use crate::harness::{Effort, maximum, median, print_row, remark};

/// Of the tokens.
const LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

const LEGEND: [&str; 5] = [
    "All times are ms: medians, and the longest in parentheses.",
    "refresh: a caller whose token has expired waits for the next",
    "added: how much longer that takes than the bare token request",
    "lease: from the death of its holder, who has just renewed it, until the next in line has it",
    "waiting: from the response to the one token request until the last process has its token",
];

/// One table, a row for each store.
pub(crate) fn side_by_side(effort: Effort) {
    let runtime = Runtime::new().expect("a runtime");
    // Pools of connections want to be made on one.
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
    for place in &places.all {
        subjects.push(Subject::shared(place));
        if place.kind == Kind::Redis {
            let store = encrypted(place.open());
            subjects.push(Subject::new("the same in `EncryptedStore`", Some(store)));
        }
    }
    subjects
}

fn encrypted(store: Arc<dyn TokenStore>) -> Arc<dyn TokenStore> {
    let key = EncryptionKey::new("bench", &[7; 32]).expect("a key");
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

/// The refresh token of a new sign-in.
fn sign_in(fake: &FakeDropboxSign) -> RefreshToken {
    let tokens = fake.sign_in();
    tokens.refresh_token().expect("it grants one").clone()
}
