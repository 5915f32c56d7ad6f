//! The stores that are measured, and the accounts that they hold.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use dropbox_sign_oauth::store::{
    EncryptedStore, EncryptionKey, MemoryStore, Record, Swap, TokenStore,
};
use futures_util::{StreamExt, stream};

use crate::{
    Limits,
    place::{Kind, Place, Places},
    tokens::{account, signed_in},
};

/// How many accounts are saved at once to fill a store.
const SAVES: usize = 64;

/// A store, and how far it has got.
pub(crate) struct Subject {
    pub(crate) name: &'static str,
    /// `None`: processes cannot share the store.
    pub(crate) place: Option<Place>,
    open: Box<dyn Fn() -> Arc<dyn TokenStore>>,
    /// How many accounts the store holds.
    pub(crate) filled: usize,
    epoch: u32,
}

impl Subject {
    /// Without the servers that are not installed.
    pub(crate) fn all(places: &Places) -> Vec<Self> {
        let memory = MemoryStore::new();
        let mut subjects = vec![Self::new("memory", None, move || Arc::new(memory.clone()))];
        for (name, kind) in [
            ("directory", Kind::Directory),
            ("single file", Kind::SingleFile),
            ("Redis", Kind::Redis),
            ("PostgreSQL", Kind::Postgres),
        ] {
            if let Some(place) = places.of(kind).cloned() {
                let open = place.clone();
                subjects.push(Self::new(name, Some(place), move || open.open()));
            }
        }
        if let Some(mut place) = places.of(Kind::Directory).cloned() {
            place.address.push_str("-encrypted");
            let key = EncryptionKey::generate("growth").expect("a key");
            subjects.push(Self::new("encrypted directory", None, move || {
                Arc::new(EncryptedStore::new(place.open(), key.clone()))
            }));
        }
        subjects
    }

    fn new(
        name: &'static str,
        place: Option<Place>,
        open: impl Fn() -> Arc<dyn TokenStore> + 'static,
    ) -> Self {
        Self {
            name,
            place,
            open: Box::new(open),
            filled: 0,
            epoch: 0,
        }
    }

    /// Opens the store anew, as another process does.
    pub(crate) fn open(&self) -> Arc<dyn TokenStore> {
        (self.open)()
    }

    /// An epoch in which the tokens of all accounts have expired.
    pub(crate) fn next_epoch(&mut self) -> u32 {
        self.epoch += 1;
        self.epoch
    }

    /// Adds accounts until the store holds `count`. `false`: that would take too long.
    pub(crate) async fn fill(&mut self, count: usize, limits: &Limits) -> bool {
        let before = self.filled;
        let store = self.open();
        let start = Instant::now();
        let mut saves = stream::iter(before..count)
            .map(|number| save(&*store, number))
            .buffered(SAVES);
        while saves.next().await.is_some() {
            self.filled += 1;
            let saved = self.filled - before;
            let rate = saved as f64 / start.elapsed().as_secs_f64();
            let is_late = start.elapsed() > limits.time;
            if is_late || saved.is_multiple_of(1_000) && limits.forbid(count - before, rate) {
                break;
            }
        }
        self.filled >= count
    }
}

async fn save(store: &dyn TokenStore, number: usize) {
    let record = Record::new(signed_in(number, SystemTime::now()));
    let swap = store
        .compare_and_swap(&account(number), None, &record)
        .await;
    assert_eq!(swap.expect("saved"), Swap::Saved);
}
