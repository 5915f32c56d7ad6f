//! Where a store of some kind keeps its records.

#[cfg(unix)]
use std::sync::atomic::{AtomicUsize, Ordering};
use std::{
    io::{self, Write},
    sync::Arc,
    thread,
};

#[cfg(unix)]
use dropbox_sign_oauth::store::{PostgresStore, RedisStore};
use dropbox_sign_oauth::{
    AccountId,
    store::{EncryptedStore, EncryptionKey, FileStore, MemoryStore, TokenStore},
};
#[cfg(unix)]
use sqlx::postgres::PgPoolOptions;
use tempfile::TempDir;

use super::Kind;
#[cfg(unix)]
use crate::servers::{Postgres, Redis};

/// The records of one store, and those of no other.
#[derive(Debug)]
pub(crate) struct Place {
    kind: Kind,
    home: Home,
}

#[derive(Debug)]
enum Home {
    Memory(MemoryStore),
    File(TempDir),
    #[cfg(unix)]
    Redis {
        server: Arc<Redis>,
        prefix: String,
    },
    #[cfg(unix)]
    Postgres {
        server: Arc<Postgres>,
        table: String,
    },
}

impl Place {
    /// An empty one.
    pub(crate) async fn new(kind: Kind) -> Self {
        let home = match &kind {
            Kind::Memory | Kind::Encrypted => Home::Memory(MemoryStore::new()),
            Kind::File => Home::File(TempDir::new().expect("a temporary directory")),
            #[cfg(unix)]
            Kind::Redis(server) | Kind::EncryptedRedis(server) => Home::Redis {
                server: Arc::clone(server),
                prefix: format!("{}:", unique_name()),
            },
            #[cfg(unix)]
            Kind::Postgres(server) => {
                let (server, table) = (Arc::clone(server), unique_name());
                let store = postgres_store(&server, &table);
                store.migrate().await.expect("migrated");
                Home::Postgres { server, table }
            }
        };
        Self { kind, home }
    }

    /// A handle of its own, as another process has.
    pub(crate) fn open(&self) -> Arc<dyn TokenStore> {
        match &self.home {
            Home::Memory(store) => self.handle(store.clone()),
            Home::File(directory) => {
                self.handle(FileStore::directory(directory.path()).expect("a store"))
            }
            #[cfg(unix)]
            Home::Redis { server, prefix } => self.handle(redis_store(server, prefix)),
            #[cfg(unix)]
            Home::Postgres { server, table } => self.handle(postgres_store(server, table)),
        }
    }

    fn handle(&self, store: impl TokenStore) -> Arc<dyn TokenStore> {
        if !self.kind.is_encrypted() {
            return Arc::new(store);
        }
        let key = EncryptionKey::new("test", &[7; 32]).expect("a key");
        Arc::new(EncryptedStore::new(store, key))
    }

    /// The account's lease runs out, as when its holder was paused for too long.
    pub(crate) fn end_lease(&self, account: &AccountId) {
        match &self.home {
            Home::Memory(_) | Home::File(_) => panic!("`{account}`: it ends with its holder"),
            #[cfg(unix)]
            Home::Redis { server, prefix } => {
                let key = format!("{prefix}{{{account}}}:lease");
                assert_eq!(server.cli(&["DEL", &key]), "1", "nobody holds it");
            }
            #[cfg(unix)]
            Home::Postgres { server, table } => {
                let ended = server.psql(&format!(
                    "update {table} set lease_owner = null, lease_until = null \
                     where account = '{account}' and lease_owner is not null returning 'ended'"
                ));
                assert_eq!(ended, "ended", "nobody holds it");
            }
        }
    }
}

impl Drop for Place {
    /// Tests go through many kinds: which one was it?
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "it was with {:?}", self.kind);
        }
    }
}

#[cfg(unix)]
fn redis_store(server: &Redis, prefix: &str) -> RedisStore {
    let builder = RedisStore::builder(server.url()).prefix(prefix);
    builder.build().expect("a store")
}

#[cfg(unix)]
fn postgres_store(server: &Postgres, table: &str) -> PostgresStore {
    let pool = PgPoolOptions::new().max_connections(3);
    let pool = pool.connect_lazy(&server.url()).expect("a URL");
    let builder = PostgresStore::builder(pool).table(table);
    builder.build().expect("a store")
}

/// No other test has it on the same server.
#[cfg(unix)]
pub(crate) fn unique_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    format!("store_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
