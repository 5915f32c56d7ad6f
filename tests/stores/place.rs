//! Where a store keeps its records.

#[cfg(unix)]
use std::net::SocketAddr;
use std::{
    io::{self, Write},
    sync::Arc,
    thread,
};

use dropbox_sign_oauth::{
    AccountId,
    store::{MemoryStore, TokenStore},
};
use tempfile::TempDir;
use tokio::task::spawn_blocking;

#[cfg(unix)]
use super::servers::{Postgres, Redis};
use super::{Kind, StoreAddress};

/// The records of one test's store, empty at first. Tests that share a server keep apart by names.
#[derive(Debug)]
pub(crate) struct Place {
    address: StoreAddress,
    home: Home,
}

#[derive(Debug)]
enum Home {
    Memory(MemoryStore),
    Files(TempDir),
    #[cfg(unix)]
    Redis(Arc<Redis>),
    #[cfg(unix)]
    Postgres(Arc<Postgres>),
}

impl Place {
    /// On a server that other tests use, too. `None`: the server is not installed.
    #[cfg(unix)]
    pub(crate) async fn on_shared_server(kind: Kind) -> Option<Self> {
        Self::with_servers(kind, Redis::shared, Postgres::shared).await
    }

    /// On a server that the test may stop. `None`: the server is not installed.
    #[cfg(unix)]
    pub(crate) async fn on_own_server(kind: Kind) -> Option<Self> {
        let redis = || Redis::start().map(Arc::new);
        let postgres = || Postgres::start().map(Arc::new);
        Self::with_servers(kind, redis, postgres).await
    }

    /// On the server that the function of its kind gives.
    #[cfg(unix)]
    pub(crate) async fn with_servers(
        kind: Kind,
        redis: impl FnOnce() -> Option<Arc<Redis>>,
        postgres: impl FnOnce() -> Option<Arc<Postgres>>,
    ) -> Option<Self> {
        let home = match kind {
            Kind::Redis | Kind::EncryptedRedis => Home::Redis(redis()?),
            Kind::Postgres => Home::Postgres(postgres()?),
            _ => Home::local(kind),
        };
        let address = StoreAddress::new(kind, home.location());
        if let Home::Postgres(_) = home {
            address.postgres().migrate().await.expect("migrated");
        }
        Some(Self { address, home })
    }

    /// Servers start on Unix only.
    #[cfg(not(unix))]
    pub(crate) async fn on_shared_server(kind: Kind) -> Option<Self> {
        let home = Home::local(kind);
        let address = StoreAddress::new(kind, home.location());
        Some(Self { address, home })
    }

    pub(crate) fn address(&self) -> &StoreAddress {
        &self.address
    }

    /// Opens the store as another process does, with connections of its own.
    pub(crate) fn open(&self) -> Arc<dyn TokenStore> {
        match &self.home {
            Home::Memory(store) => self.address.kind.finish(store.clone()),
            _ => self.address.open(),
        }
    }

    /// Ends the account's lease as if the lease had expired and another process had acquired the
    /// next one. `false`: no process held the lease.
    pub(crate) async fn end_lease(&self, account: &AccountId) -> bool {
        let end: Box<dyn FnOnce() -> bool + Send> = match &self.home {
            // The lease ends with its holder.
            Home::Memory(_) | Home::Files(_) => return false,
            #[cfg(unix)]
            Home::Redis(server) => {
                let key = format!("{}{{{account}}}:lease", self.address.redis_prefix());
                let server = Arc::clone(server);
                Box::new(move || server.cli(&["DEL", &key]) == "1")
            }
            #[cfg(unix)]
            Home::Postgres(server) => {
                let update = format!(
                    "update {} set lease_owner = 'another process', lease_until = now() \
                     where account = '{account}' and lease_until > now() returning 'ended'",
                    self.address.postgres_table()
                );
                let server = Arc::clone(server);
                Box::new(move || server.psql(&update) == "ended")
            }
        };
        // A renewal that is under way has the row locked. It commits on this runtime.
        spawn_blocking(end).await.expect("no panic")
    }

    /// Crashes the server, and starts the server again with the same data.
    ///
    /// # Panics
    ///
    /// If other tests use the server, or if there is no server.
    #[cfg(unix)]
    pub(crate) fn restart_server(&mut self) {
        match &mut self.home {
            Home::Redis(server) => {
                let server = Arc::get_mut(server).expect("a server of its own");
                server.stop();
                server.resume();
            }
            Home::Postgres(server) => {
                let server = Arc::get_mut(server).expect("a server of its own");
                server.stop();
                server.resume();
            }
            home => panic!("{home:?} has no server"),
        }
    }

    #[cfg(unix)]
    pub(crate) fn server_address(&self) -> SocketAddr {
        match &self.home {
            Home::Redis(server) => server.address(),
            Home::Postgres(server) => server.address(),
            home => panic!("{home:?} has no server"),
        }
    }
}

impl Drop for Place {
    /// A test goes through many kinds: with which kind did the test fail?
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "with the store {}", self.address.kind);
        }
    }
}

impl Home {
    fn local(kind: Kind) -> Self {
        match kind {
            Kind::Memory | Kind::EncryptedMemory => Self::Memory(MemoryStore::new()),
            Kind::Directory | Kind::EncryptedDirectory | Kind::SingleFile => {
                Self::Files(TempDir::new().expect("a temporary directory"))
            }
            _ => panic!("{kind} needs a server"),
        }
    }

    fn location(&self) -> String {
        match self {
            Self::Memory(_) => String::new(),
            Self::Files(directory) => directory.path().join("tokens").display().to_string(),
            #[cfg(unix)]
            Self::Redis(server) => server.url(),
            #[cfg(unix)]
            Self::Postgres(server) => server.url(),
        }
    }
}
