//! A store around another store. The test decides which calls fail.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use dropbox_sign_oauth::{
    AccountId,
    store::{Record, StoreError, StoreErrorKind, TokenStore},
    testing::FakeClock,
};
use tokio::time::sleep;

use super::save_record;
use crate::stores::{Call, Hook, HookedStore, Kind, Moment, Place};

/// Clones share the handle and the script.
pub(crate) type ScriptedStore = HookedStore<Script>;

/// What happens to a save. The save of an intent is a save, too.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Work,
    /// Takes effect, and responds after this time on Tokio's clock.
    WorkFor(Duration),
    /// Takes effect while the process is stopped for this time.
    WorkWhileStopped(FakeClock, Duration),
    /// The same, and meanwhile another process saves this record.
    Overtaken(FakeClock, Duration, Box<Record>),
    /// Fails without an effect, as if the store did not respond.
    Fail,
    /// Fails without an effect: the store accepts no writes.
    Deny,
    /// Takes effect, but the response is lost.
    LoseResponse,
    /// The same, and the store is down from then on.
    GoDown,
}

/// What happens to renewals of a lease that expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Renewal {
    Works,
    Lost,
    Fails,
}

#[derive(Clone, Debug)]
pub(crate) struct Script {
    state: Arc<Mutex<State>>,
    place: Option<Arc<Place>>,
}

#[derive(Debug)]
struct State {
    next_saves: VecDeque<Fate>,
    every_save: Fate,
    /// The save that is under way.
    save: Fate,
    is_down: bool,
    calls: Vec<Call>,
    renewals: Option<Renewal>,
}

impl ScriptedStore {
    /// An empty store.
    ///
    /// # Panics
    ///
    /// If the server of the kind is not installed. [`Kind::all`] leaves such kinds out.
    pub(crate) async fn new(kind: Kind) -> Self {
        let place = Place::on_shared_server(kind).await;
        Self::at(Arc::new(place.expect("an installed server")))
    }

    /// Another process's handle to the same records, with a script of its own.
    pub(crate) fn of_another_process(&self) -> Self {
        Self::at(Arc::clone(self.place()))
    }

    fn at(place: Arc<Place>) -> Self {
        Self::with_hook(place.open(), Script::new(Some(place)))
    }

    /// Around a store that the test made. [`end_lease`](Self::end_lease) does not work with it.
    pub(crate) fn around(inner: Arc<dyn TokenStore>) -> Self {
        Self::with_hook(inner, Script::new(None))
    }

    /// The fates of the next saves. The saves after these have the fate of
    /// [`every_save`](Self::every_save).
    pub(crate) fn next_saves(&self, fates: impl IntoIterator<Item = Fate>) {
        self.hook.state().next_saves.extend(fates);
    }

    pub(crate) fn every_save(&self, fate: Fate) {
        self.hook.state().every_save = fate;
    }

    /// Whether loads, deletions and leases fail.
    pub(crate) fn set_down(&self, is_down: bool) {
        self.hook.state().is_down = is_down;
    }

    /// How many calls of this kind there were.
    pub(crate) fn count(&self, call: Call) -> usize {
        let state = self.hook.state();
        state.calls.iter().filter(|made| **made == call).count()
    }

    /// Makes the leases of a store in memory expire, as the leases of a server do.
    pub(crate) fn expire_leases(&self, renewals: Renewal) {
        self.hook.state().renewals = Some(renewals);
    }

    /// Ends the account's lease, as if its holder had been paused for too long.
    pub(crate) async fn end_lease(&self, account: &AccountId) {
        assert!(
            self.place().end_lease(account).await,
            "no process holds the lease"
        );
    }

    fn place(&self) -> &Arc<Place> {
        self.hook.place.as_ref().expect("a kind of store")
    }
}

impl Script {
    fn new(place: Option<Arc<Place>>) -> Self {
        let state = State {
            next_saves: VecDeque::new(),
            every_save: Fate::Work,
            save: Fate::Work,
            is_down: false,
            calls: Vec::new(),
            renewals: None,
        };
        Self {
            state: Arc::new(Mutex::new(state)),
            place,
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("not poisoned")
    }
}

impl Hook for Script {
    async fn on(&self, moment: Moment, call: Call, account: &AccountId) -> Result<(), StoreError> {
        if moment == Moment::Before {
            self.state().calls.push(call);
        }
        let failure = match (moment, call) {
            (Moment::Before, Call::Load | Call::Delete | Call::Acquire) => {
                self.state().is_down.then_some(StoreErrorKind::Unavailable)
            }
            (Moment::Before, Call::Save | Call::SaveIntent) => self.state().start_save(),
            (Moment::After, Call::Save | Call::SaveIntent) => {
                let fate = self.state().save.clone();
                self.finish_save(fate, account).await
            }
            (Moment::Before, Call::Renew) => match self.state().renewals {
                Some(Renewal::Lost) => Some(StoreErrorKind::LeaseLost),
                Some(Renewal::Fails) => Some(StoreErrorKind::Unavailable),
                Some(Renewal::Works) | None => None,
            },
            _ => None,
        };
        failure.map_or(Ok(()), |kind| {
            Err(StoreError::new(kind, "scripted store", "scripted").with_account(account))
        })
    }

    fn renew_every(&self, interval: Option<Duration>) -> Option<Duration> {
        match self.state().renewals {
            Some(_) => Some(Duration::from_secs(20)),
            // Early, so that no test has to wait for a renewal.
            None => interval.map(|interval| interval.min(Duration::from_millis(20))),
        }
    }
}

impl Script {
    async fn finish_save(&self, fate: Fate, account: &AccountId) -> Option<StoreErrorKind> {
        match fate {
            Fate::Work | Fate::Fail | Fate::Deny => {}
            Fate::WorkFor(time) => sleep(time).await,
            Fate::WorkWhileStopped(clock, time) => clock.advance(time),
            Fate::Overtaken(clock, time, record) => {
                clock.advance(time);
                let store = self.place.as_ref().expect("a kind of store").open();
                let stored = store.load(account).await.expect("loads");
                let version = stored.map(|stored| stored.version);
                save_record(&store, account, version, &record).await;
            }
            Fate::LoseResponse => return Some(StoreErrorKind::Unavailable),
            Fate::GoDown => {
                self.state().is_down = true;
                return Some(StoreErrorKind::Unavailable);
            }
        }
        None
    }
}

impl State {
    fn start_save(&mut self) -> Option<StoreErrorKind> {
        let next = self.next_saves.pop_front();
        self.save = next.unwrap_or_else(|| self.every_save.clone());
        match self.save {
            Fate::Fail => Some(StoreErrorKind::Unavailable),
            Fate::Deny => Some(StoreErrorKind::Unwritable),
            _ => None,
        }
    }
}
