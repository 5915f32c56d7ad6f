//! Where the account's record is kept: a store of each kind, with the server that it takes.

use std::{fmt, path::PathBuf, sync::Arc};

use dropbox_sign_oauth::{
    AccountId,
    store::{
        EncryptedStore, EncryptionKey, FileStore, PostgresStore, Record, RedisStore, Swap,
        TokenStore,
    },
};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

use super::servers::{Postgres, Proxy, Redis};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Files,
    OneFile,
    EncryptedFiles,
    Redis,
    Postgres,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] = [
        Self::Files,
        Self::OneFile,
        Self::EncryptedFiles,
        Self::Redis,
        Self::Postgres,
    ];

    pub(crate) const FILES: [Self; 3] = [Self::Files, Self::OneFile, Self::EncryptedFiles];

    /// Without those that differ in the form of the record only.
    pub(crate) const ENGINES: [Self; 3] = [Self::Files, Self::Redis, Self::Postgres];

    /// Those whose leases run out, and which a network leads to.
    pub(crate) const SERVERS: [Self; 2] = [Self::Redis, Self::Postgres];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Files => "files",
            Self::OneFile => "one_file",
            Self::EncryptedFiles => "encrypted_files",
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        })
    }
}

/// What a process has to know to open the store.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) enum StoreSpec {
    Files(PathBuf),
    OneFile(PathBuf),
    EncryptedFiles(PathBuf),
    Redis(String),
    Postgres(String),
}

impl StoreSpec {
    /// Within a Tokio runtime.
    pub(crate) fn open(&self) -> Arc<dyn TokenStore> {
        let files = |path| FileStore::directory(path).expect("a store");
        match self {
            Self::Files(path) => Arc::new(files(path)),
            Self::OneFile(path) => Arc::new(FileStore::single_file(path).expect("a store")),
            Self::EncryptedFiles(path) => {
                let key = EncryptionKey::new("test", &[7; 32]).expect("a key");
                Arc::new(EncryptedStore::new(files(path), key))
            }
            Self::Redis(url) => Arc::new(RedisStore::builder(url).build().expect("a store")),
            Self::Postgres(url) => Arc::new(postgres(url)),
        }
    }
}

fn postgres(url: &str) -> PostgresStore {
    let pool = PgPoolOptions::new().max_connections(2).connect_lazy(url);
    PostgresStore::new(pool.expect("a URL"))
}

/// The store of a test, empty at first.
pub(crate) struct Place {
    /// For the workers.
    pub(crate) spec: StoreSpec,
    /// Between the workers and the server.
    pub(crate) network: Option<Proxy>,
    server: Server,
    store: Arc<dyn TokenStore>,
    _folder: TempDir,
}

enum Server {
    None,
    Redis(Redis),
    Postgres(Postgres),
}

impl Place {
    /// `None`: its server is not installed, and the test is to end.
    pub(crate) async fn new(kind: Kind) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("store");
        let (spec, server) = match kind {
            Kind::Files => (StoreSpec::Files(path), Server::None),
            Kind::OneFile => (StoreSpec::OneFile(path), Server::None),
            Kind::EncryptedFiles => (StoreSpec::EncryptedFiles(path), Server::None),
            Kind::Redis => {
                let redis = Redis::start()?;
                (StoreSpec::Redis(redis.url()), Server::Redis(redis))
            }
            Kind::Postgres => {
                let server = Postgres::start()?;
                let store = postgres(&server.url());
                store.migrate().await.expect("migrated");
                (StoreSpec::Postgres(server.url()), Server::Postgres(server))
            }
        };
        Some(Self {
            store: spec.open(),
            spec,
            network: None,
            server,
            _folder: folder,
        })
    }

    /// With a network that can be cut.
    pub(crate) async fn with_network(kind: Kind) -> Option<Self> {
        let mut place = Self::new(kind).await?;
        let address = match &place.server {
            Server::None => panic!("{kind} needs no network"),
            Server::Redis(redis) => redis.address(),
            Server::Postgres(postgres) => postgres.address(),
        };
        let proxy = Proxy::to(address).await;
        match &mut place.spec {
            StoreSpec::Redis(url) | StoreSpec::Postgres(url) => {
                *url = url.replace(&address.to_string(), &proxy.address().to_string());
            }
            spec => panic!("{spec:?} needs no network"),
        }
        place.network = Some(proxy);
        Some(place)
    }

    /// The account's record, which is always whole, or this fails.
    pub(crate) async fn record(&self) -> Option<Record> {
        self.store.load(&account()).await.expect("a whole record")
    }

    /// As a sign-in does it.
    pub(crate) async fn save(&self, record: &Record) {
        loop {
            let stored = self.record().await.map(|stored| stored.version);
            let swap = self
                .store
                .compare_and_swap(&account(), stored, record)
                .await;
            if swap.expect("saved") == Swap::Saved {
                return;
            }
        }
    }

    /// The time of a lease whose holder is dead passes, on the server's clock.
    pub(crate) fn let_lease_run_out(&self) {
        match &self.server {
            Server::None => {}
            Server::Redis(redis) => {
                redis.cli(&["DEL", "dropbox-sign-oauth:{default}:lease"]);
            }
            Server::Postgres(postgres) => {
                postgres.psql("update dropbox_sign_tokens set lease_until = now()");
            }
        }
    }

    /// The server crashes, and comes back with its data.
    pub(crate) fn restart(&mut self) {
        match &mut self.server {
            Server::None => panic!("there is no server"),
            Server::Redis(redis) => {
                redis.stop();
                redis.resume();
            }
            Server::Postgres(postgres) => {
                postgres.stop();
                postgres.resume();
            }
        }
    }
}

/// The one that all workers use.
fn account() -> AccountId {
    AccountId::default()
}
