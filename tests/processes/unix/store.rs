//! The store that all processes of a test use.

use std::sync::Arc;

use dropbox_sign_oauth::{
    AccountId,
    store::{Record, Swap, TokenStore},
};

use super::{
    servers::Proxy,
    stores::{Kind, Place, StoreAddress},
};

/// A store with one account.
pub(crate) struct SharedStore {
    /// The address for the workers. With a network, it leads through the network.
    pub(crate) address: StoreAddress,
    /// The network between the workers and the server.
    pub(crate) network: Option<Proxy>,
    place: Place,
    /// The director's handle.
    store: Arc<dyn TokenStore>,
}

impl SharedStore {
    /// On the server of all tests. `None`: the server is not installed.
    pub(crate) async fn new(kind: Kind) -> Option<Self> {
        Some(Self::at(Place::on_shared_server(kind).await?))
    }

    /// On a server that the test may restart. `None`: the server is not installed.
    pub(crate) async fn on_own_server(kind: Kind) -> Option<Self> {
        Some(Self::at(Place::on_own_server(kind).await?))
    }

    fn at(place: Place) -> Self {
        Self {
            address: place.address().clone(),
            network: None,
            store: place.open(),
            place,
        }
    }

    /// With a network that the test can cut.
    pub(crate) async fn with_network(kind: Kind) -> Option<Self> {
        let mut store = Self::new(kind).await?;
        let server = store.place.server_address();
        let proxy = Proxy::to(server).await;
        store.address = store.address.through(server, proxy.address());
        store.network = Some(proxy);
        Some(store)
    }

    /// The account's record.
    ///
    /// # Panics
    ///
    /// If the record is damaged.
    pub(crate) async fn record(&self) -> Option<Record> {
        let record = self.store.load(&AccountId::default()).await;
        record.expect("a whole record")
    }

    /// Saves as a sign-in does: over the stored record, while processes may save, too.
    pub(crate) async fn save(&self, record: &Record) {
        let account = AccountId::default();
        loop {
            let stored = self.record().await.map(|stored| stored.version);
            let swap = self.store.compare_and_swap(&account, stored, record).await;
            if swap.expect("saved") == Swap::Saved {
                return;
            }
        }
    }

    /// Ends the lease, if a dead or a stopped process holds it on a server.
    pub(crate) async fn end_lease(&self) {
        self.place.end_lease(&AccountId::default()).await;
    }

    /// Crashes the server, and starts the server again with the same data.
    pub(crate) fn restart_server(&mut self) {
        self.place.restart_server();
    }
}
