//! The rules of token stores, as tests.

mod concurrency;
mod leases;
mod listing;
mod records;
mod steps;

use std::sync::Arc;

use crate::store::TokenStore;

/// Checks that a store keeps the rules of [`TokenStore`].
///
/// Each call of `open` returns a handle on the same store, which is empty at first. Open the store
/// anew instead of cloning a handle, if the store allows that: two processes share no clones.
///
/// A store that cannot list its accounts returns
/// [`Unsupported`](crate::store::StoreErrorKind::Unsupported) for the first page, and the suite leaves the
/// rules of pages out.
///
/// The suite needs a Tokio runtime with time and I/O enabled, whose time is not paused.
///
/// ```
/// use dropbox_sign_oauth::{store::MemoryStore, testing::store_conformance};
///
/// # tokio::runtime::Runtime::new().unwrap().block_on(
/// async {
///     let store = MemoryStore::new();
///     store_conformance(|| async { store.clone() }).await;
/// }
/// # );
/// ```
///
/// # Panics
///
/// If a rule is broken or the store fails. The message names the rule.
pub async fn store_conformance<S, F>(open: F)
where
    S: TokenStore,
    F: AsyncFn() -> S,
{
    let one = Arc::new(open().await);
    let other = Arc::new(open().await);

    listing::a_sound_store_is_ready(&*one).await;
    let lists = listing::an_empty_store_lists_no_account(&*other).await;

    records::no_account_is_signed_in_at_first(&*one).await;
    records::a_first_save_expects_no_record(&*one, &*other).await;
    records::a_save_expects_the_newest_version(&*one, &*other).await;
    records::a_repeated_save_is_recognised(&*one, &*other).await;
    records::every_field_survives(&*one, &*other).await;
    records::the_history_survives(&*one, &*other).await;
    records::accounts_are_independent(&*one, &*other).await;
    records::deleting_expects_the_newest_version(&*one, &*other).await;
    records::after_deleting_the_account_starts_anew(&*one, &*other).await;

    if lists {
        listing::the_pages_list_each_account(&*one, &*other).await;
        listing::a_cursor_is_a_text(&*one, &*other).await;
        listing::an_account_that_stays_is_listed(&one, &other).await;
    }

    leases::a_lease_keeps_others_out(&*one, &*other).await;
    leases::a_lease_keeps_its_own_handle_out(&*one).await;
    leases::a_lease_is_for_one_account(&*one, &*other).await;
    leases::a_lease_is_no_record(&*one).await;
    leases::a_released_lease_goes_to_the_next(&one, &other).await;
    leases::a_dropped_lease_goes_to_the_next(&*one, &*other).await;
    leases::an_abandoned_wait_holds_nothing(&*one, &*other).await;
    leases::a_dropped_acquisition_holds_nothing(&*one, &*other).await;
    leases::a_held_lease_can_be_renewed(&*one, &*other).await;
    leases::a_lease_that_ran_out_is_left_alone(&*one, &*other).await;

    concurrency::a_reader_sees_whole_records(&one, &other).await;
    concurrency::one_of_many_equal_saves_wins(&one, &other).await;
    concurrency::no_concurrent_save_is_lost(&one, &other).await;
    concurrency::concurrent_accounts_do_not_disturb_each_other(&one, &other).await;
}
