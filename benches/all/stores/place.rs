//! The stores that processes share, each with its data on the same disk.

use std::sync::Arc;

use dropbox_sign_oauth::store::{FileStore, PostgresStore, RedisStore, TokenStore};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;

use crate::servers::{Postgres, Redis};

/// What a save has to survive here: the loss of power.
pub(crate) const DURABILITY: &str = "Files: fsync of file and folder. Redis: appendonly yes, \
     appendfsync always. PostgreSQL: fsync on, synchronous_commit on.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    SingleFile,
    Redis,
    Postgres,
    PostgresWithNotifications,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Directory,
        Self::SingleFile,
        Self::Redis,
        Self::Postgres,
        Self::PostgresWithNotifications,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Directory => "`FileStore::directory`",
            Self::SingleFile => "`FileStore::single_file`",
            Self::Redis => "`RedisStore`",
            Self::Postgres => "`PostgresStore`",
            Self::PostgresWithNotifications => "the same with notifications",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Where a store's data is.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// A path or a URL.
    pub(crate) address: String,
}

impl Place {
    /// The store, with nothing shared with one that was opened before.
    pub(crate) fn open(&self) -> Arc<dyn TokenStore> {
        let address = &*self.address;
        match self.kind {
            Kind::Directory => Arc::new(FileStore::directory(address).expect("a folder")),
            Kind::SingleFile => Arc::new(FileStore::single_file(address).expect("a file")),
            Kind::Redis => Arc::new(RedisStore::builder(address).build().expect("a URL")),
            Kind::Postgres => Arc::new(postgres(address)),
            Kind::PostgresWithNotifications => Arc::new(notified(address)),
        }
    }
}

fn postgres(url: &str) -> PostgresStore {
    PostgresStore::new(pool(url))
}

fn notified(url: &str) -> PostgresStore {
    let builder = PostgresStore::builder(pool(url)).table("notified");
    let builder = builder.notifications(pool(url));
    builder.build().expect("a store")
}

fn pool(url: &str) -> PgPool {
    PgPoolOptions::new().connect_lazy(url).expect("a URL")
}

/// All places; their servers run, and their files stand, until this is dropped.
pub(crate) struct Places {
    pub(crate) all: Vec<Place>,
    _files: TempDir,
    _redis: Option<Redis>,
    _postgres: Option<Postgres>,
}

impl Places {
    /// A server that is not installed is left out, with a line that says so.
    pub(crate) async fn prepare() -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let redis = Redis::start();
        // As it comes: the tests run without fsync.
        let postgres_server = Postgres::start_with(&["-c", "fsync=on"]);
        let path = |name| files.path().join(name).display().to_string();
        let mut all = vec![
            (Kind::Directory, path("tokens")),
            (Kind::SingleFile, path("tokens.json")),
        ];
        all.extend(redis.iter().map(|server| (Kind::Redis, server.url())));
        if let Some(server) = &postgres_server {
            assert_eq!(server.psql("SHOW fsync"), "on", "its saves are no saves");
            for store in [postgres(&server.url()), notified(&server.url())] {
                store.migrate().await.expect("a table");
            }
            all.push((Kind::Postgres, server.url()));
            all.push((Kind::PostgresWithNotifications, server.url()));
        }
        let place = |(kind, address)| Place { kind, address };
        Self {
            all: all.into_iter().map(place).collect(),
            _files: files,
            _redis: redis,
            _postgres: postgres_server,
        }
    }
}
