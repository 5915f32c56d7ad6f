//! The kinds of store that scenarios are run with.

use std::fmt;
#[cfg(unix)]
use std::sync::Arc;

#[cfg(unix)]
use crate::servers::{Postgres, Redis};

/// A kind of store, with the server that its stores are on.
#[derive(Clone)]
pub(crate) enum Kind {
    Memory,
    File,
    /// Around memory.
    Encrypted,
    #[cfg(unix)]
    Redis(Arc<Redis>),
    #[cfg(unix)]
    Postgres(Arc<Postgres>),
    #[cfg(unix)]
    EncryptedRedis(Arc<Redis>),
}

impl Kind {
    /// All but those whose server is not installed.
    pub(crate) fn all() -> Vec<Self> {
        let mut kinds = vec![Self::Memory, Self::File, Self::Encrypted];
        kinds.extend(Self::all_with_expiring_leases());
        kinds
    }

    /// Those whose leases run out. The others' end with their holder, and not before.
    #[cfg(unix)]
    pub(crate) fn all_with_expiring_leases() -> Vec<Self> {
        let redis = Redis::shared().map(|server| {
            [
                Self::Redis(Arc::clone(&server)),
                Self::EncryptedRedis(server),
            ]
        });
        let postgres = Postgres::shared().map(Self::Postgres);
        redis.into_iter().flatten().chain(postgres).collect()
    }

    /// None: servers are started on Unix only.
    #[cfg(not(unix))]
    pub(crate) fn all_with_expiring_leases() -> Vec<Self> {
        Vec::new()
    }

    pub(crate) fn is_encrypted(&self) -> bool {
        match self {
            Self::Encrypted => true,
            #[cfg(unix)]
            Self::EncryptedRedis(_) => true,
            _ => false,
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::File => "files",
            Self::Encrypted => "encrypted memory",
            #[cfg(unix)]
            Self::Redis(_) => "Redis",
            #[cfg(unix)]
            Self::Postgres(_) => "PostgreSQL",
            #[cfg(unix)]
            Self::EncryptedRedis(_) => "encrypted Redis",
        })
    }
}
