//! The time that messages about released leases save, compared with polling alone.

use dropbox_sign_oauth::testing::FakeDropboxSign;
use tokio::runtime::Runtime;

use super::{
    LIFETIME, crowd,
    place::{Kind, Places},
    spread,
};
use crate::harness::{Effort, print_row, remark};

/// A table with a row for each server, with messages and without.
pub(crate) fn with_and_without(effort: Effort) {
    let runtime = Runtime::new().expect("a runtime");
    // sqlx makes pools on a runtime.
    let _inside = runtime.enter();
    let places = runtime.block_on(Places::prepare());
    let fake = runtime.block_on(FakeDropboxSign::builder().lifetime(LIFETIME).start());

    remark("All times are ms: medians, and the longest in parentheses.");
    let heading = format!("{} waiting", crowd::PROCESSES);
    print_row("store", &[heading]);
    print_row("---", &["---:".to_owned()]);
    for kind in [
        Kind::Redis,
        Kind::RedisWithoutChannels,
        Kind::Postgres,
        Kind::PostgresWithNotifications,
    ] {
        if let Some(place) = places.of(kind) {
            let taken = crowd::until_the_last_has_it(effort, place, &fake);
            print_row(kind.name(), &[spread(&runtime.block_on(taken))]);
        }
    }
}
