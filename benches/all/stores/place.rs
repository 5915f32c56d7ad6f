//! The stores that processes share. The data of all stores is on the same disk.

use std::sync::Arc;

use dropbox_sign_oauth::store::{FileStore, PostgresStore, RedisStore, TokenStore};
use sqlx::{PgPool, postgres::PgPoolOptions};
use tempfile::TempDir;

use crate::servers::{Postgres, Redis};

/// How the stores make a save survive a loss of power.
pub(crate) const DURABILITY: &str = "Files: fsync of file and folder. Redis: appendonly yes, \
     appendfsync always. PostgreSQL: fsync on, synchronous_commit on.";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Directory,
    SingleFile,
    Redis,
    /// The user may not use channels, so that waiting processes poll.
    RedisWithoutChannels,
    Postgres,
    PostgresWithNotifications,
}

impl Kind {
    const ALL: [Self; 6] = [
        Self::Directory,
        Self::SingleFile,
        Self::Redis,
        Self::RedisWithoutChannels,
        Self::Postgres,
        Self::PostgresWithNotifications,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Directory => "`FileStore::directory`",
            Self::SingleFile => "`FileStore::single_file`",
            Self::Redis => "`RedisStore`",
            Self::RedisWithoutChannels => "the same without channels",
            Self::Postgres => "`PostgresStore`",
            Self::PostgresWithNotifications => "the same with notifications",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// The place of a store's data.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    /// A path or a URL.
    pub(crate) address: String,
}

impl Place {
    /// Opens the store anew. The stores of a place share nothing in memory.
    pub(crate) fn open(&self) -> Arc<dyn TokenStore> {
        let address = &*self.address;
        match self.kind {
            Kind::Directory => Arc::new(FileStore::directory(address).expect("a folder")),
            Kind::SingleFile => Arc::new(FileStore::single_file(address).expect("a file")),
            Kind::Redis => Arc::new(RedisStore::builder(address).build().expect("a URL")),
            Kind::RedisWithoutChannels => {
                let builder = RedisStore::builder(address).prefix("polling:");
                Arc::new(builder.build().expect("a URL"))
            }
            Kind::Postgres => Arc::new(postgres(address)),
            Kind::PostgresWithNotifications => Arc::new(notified(address)),
        }
    }
}

fn postgres(url: &str) -> PostgresStore {
    PostgresStore::new(pool(url)).expect("on loopback")
}

fn notified(url: &str) -> PostgresStore {
    let builder = PostgresStore::builder(pool(url)).table("notified");
    let builder = builder.notifications(pool(url));
    builder.build().expect("a store")
}

fn pool(url: &str) -> PgPool {
    PgPoolOptions::new().connect_lazy(url).expect("a URL")
}

/// All places. Dropping them stops the servers and removes the files.
pub(crate) struct Places {
    pub(crate) all: Vec<Place>,
    _files: TempDir,
    _redis: Option<Redis>,
    _postgres: Option<Postgres>,
}

impl Places {
    /// Leaves out a server that is not installed, and prints a line that says so.
    pub(crate) async fn prepare() -> Self {
        let files = tempfile::tempdir().expect("a folder");
        let redis = Redis::start();
        // The tests run without fsync.
        let postgres_server = Postgres::start_with(&["-c", "fsync=on"]);
        let path = |name| files.path().join(name).display().to_string();
        let mut all = vec![
            (Kind::Directory, path("tokens")),
            (Kind::SingleFile, path("tokens.json")),
        ];
        if let Some(server) = &redis {
            all.push((Kind::Redis, server.url()));
            all.push((Kind::RedisWithoutChannels, without_channels(server)));
        }
        if let Some(server) = &postgres_server {
            assert_eq!(server.psql("SHOW fsync"), "on", "a save would not survive");
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

    /// `None`: the server is not installed.
    pub(crate) fn of(&self, kind: Kind) -> Option<&Place> {
        self.all.iter().find(|place| place.kind == kind)
    }
}

/// The URL of a user that may use all keys and no channel.
fn without_channels(server: &Redis) -> String {
    let rule = ["on", ">bench", "allkeys", "resetchannels", "+@all"];
    let set = server.cli(&[&["ACL", "SETUSER", "polling"], &rule[..]].concat());
    assert_eq!(set, "OK");
    format!("redis://polling:bench@{}/", server.address())
}
