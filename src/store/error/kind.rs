//! The kinds of a store's errors, and the help for each.

use crate::names::stable_names;

/// Why a store failed.
///
/// The crate tries again with backoff after every kind, and spends no refresh token meanwhile. Some
/// kinds pass by themselves; the others last until an operator or a developer acts.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StoreErrorKind {
    /// The store cannot be reached, is failing over, or responded with an error of its own. Passes once
    /// the store is up.
    Unavailable,
    /// Another process held the lease for longer than the wait. Passes by itself.
    LeaseTimeout,
    /// The lease ran out while this process held it. Passes by itself. Another process may refresh
    /// meanwhile, and the record's version keeps a late save from taking effect.
    LeaseLost,
    /// The store denies this program access: a wrong user or password, a missing privilege or access
    /// rule, the permissions of a file. The operator has to correct the login or grant the access.
    AccessDenied,
    /// The database, the schema, the table or a column is missing, or is not as `migrate()` makes
    /// it. The operator has to run `migrate()`.
    NotSetUp,
    /// Others can read or replace the stored tokens: a record, a directory or a table belongs to another
    /// user, is open to every user, or a connection would lead to a server that is not trusted. The
    /// operator has to close the access, or to name the right place. Until then, the store reads and
    /// writes nothing.
    Insecure,
    /// The store accepts no writes: a full disk, a quota, a memory limit, a read-only file system. The
    /// operator has to make room, or make the store writable.
    Unwritable,
    /// The record is damaged. The store leaves the record as it is, and the operator has to restore
    /// or remove it.
    Corrupt,
    /// A newer version of this crate wrote the record. The store leaves the record as it is, and the
    /// program has to be upgraded.
    NewerFormat,
    /// The record is encrypted with a key that is not configured, is not encrypted at all, or was
    /// changed, moved or forged. The store leaves the record as it is. The program needs the key, or
    /// the operator has to move the record away.
    Undecryptable,
    /// The location cannot do what a store needs, such as locking files; or the store cannot list its
    /// accounts, or does not know the cursor. The program has to use another location or another store,
    /// or to begin the list anew.
    Unsupported,
}

stable_names! {
    StoreErrorKind {
        Unavailable => "unavailable",
        LeaseTimeout => "lease_timeout",
        LeaseLost => "lease_lost",
        AccessDenied => "access_denied",
        NotSetUp => "not_set_up",
        Insecure => "insecure",
        Unwritable => "unwritable",
        Corrupt => "corrupt",
        NewerFormat => "newer_format",
        Undecryptable => "undecryptable",
        Unsupported => "unsupported",
    }
}

impl StoreErrorKind {
    pub(super) fn help(self) -> &'static str {
        match self {
            Self::Unavailable => "check that the store is up and reachable",
            Self::LeaseTimeout => "try again",
            Self::LeaseLost => {
                "check what delayed the process, or let leases live longer; no newer token is lost"
            }
            Self::AccessDenied => "correct the login, or grant this program access",
            Self::NotSetUp => "run `migrate()`",
            Self::Insecure => "close it to other users",
            Self::Unwritable => "make room, or make the store writable",
            Self::Corrupt => {
                "it was left as it is: restore it from a backup, or move it away and sign in again"
            }
            Self::NewerFormat => "it was left as it is: upgrade dropbox-sign-oauth to read it",
            Self::Undecryptable => {
                "the record was left as it is: see the docs of the store, or move the record away and \
                 sign in again"
            }
            Self::Unsupported => "use another location, or another store",
        }
    }
}
