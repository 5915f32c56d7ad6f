//! How a process finds the store that other processes use.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use dropbox_sign_oauth::store::{FileStore, MemoryStore, PostgresStore, RedisStore, TokenStore};
use serde::{Deserialize, Serialize};
use sqlx::postgres::PgPoolOptions;

use super::Kind;

/// Everything that a process needs to open a store. A worker process gets the address as JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct StoreAddress {
    pub(crate) kind: Kind,
    /// The path of a file or a directory, or the URL of a server.
    location: String,
    /// The PostgreSQL table, or the prefix of Redis keys.
    name: String,
}

impl StoreAddress {
    /// `location` and a name that no other store on the same server has.
    pub(crate) fn new(kind: Kind, location: String) -> Self {
        let name = unique_name();
        Self {
            kind,
            location,
            name,
        }
    }

    /// Opens the store, with connections of its own. Needs a Tokio runtime.
    pub(crate) fn open(&self) -> Arc<dyn TokenStore> {
        let location = &self.location;
        match self.kind {
            // A process has its own.
            Kind::Memory | Kind::EncryptedMemory => self.kind.finish(MemoryStore::new()),
            Kind::Directory | Kind::EncryptedDirectory => {
                let store = FileStore::directory(location);
                self.kind.finish(store.expect("a store"))
            }
            Kind::SingleFile => {
                let store = FileStore::single_file(location);
                self.kind.finish(store.expect("a store"))
            }
            Kind::Redis | Kind::EncryptedRedis => {
                let store = RedisStore::builder(location).prefix(self.redis_prefix());
                self.kind.finish(store.build().expect("a store"))
            }
            Kind::Postgres => self.kind.finish(self.postgres()),
        }
    }

    pub(super) fn postgres(&self) -> PostgresStore {
        let pool = PgPoolOptions::new().max_connections(3);
        let pool = pool.connect_lazy(&self.location).expect("a URL");
        let store = PostgresStore::builder(pool)
            .table(self.postgres_table())
            .build();
        store.expect("a name")
    }

    /// The servers' user has no rights beyond this beginning.
    pub(super) fn redis_prefix(&self) -> String {
        format!("dropbox-sign-oauth:{}:", self.name)
    }

    pub(super) fn postgres_table(&self) -> &str {
        &self.name
    }

    /// The same store, reached by `proxy` instead of `server`.
    pub(crate) fn through(&self, server: SocketAddr, proxy: SocketAddr) -> Self {
        let (server, proxy) = (server.to_string(), proxy.to_string());
        assert!(self.location.contains(&server), "{self:?}: no {server}");
        Self {
            location: self.location.replace(&server, &proxy),
            ..self.clone()
        }
    }
}

/// A name that no other test of this program has.
pub(crate) fn unique_name() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    format!("store_{}", NEXT.fetch_add(1, Ordering::Relaxed))
}
