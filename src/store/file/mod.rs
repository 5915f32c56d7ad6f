//! Tokens on disk.

mod disk;
mod fault;
mod format;
mod layout;
mod lock;
mod name;
#[cfg(test)]
mod tests;

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use self::format::property::check_file;

use std::{fmt, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::task::spawn_blocking;

use self::{
    disk::Disk,
    format::Accounts,
    layout::{Files, Location},
    lock::Lock,
};
use super::{
    Lease, LeaseRequest, Record, StoreError, StoreErrorKind, Swap, TokenStore, Version,
    fault::Fault, task::finished,
};
use crate::account_id::AccountId;

/// How long to wait for somebody else's save. Each takes milliseconds, so that only a process that
/// was stopped in the middle of one holds up others for this long.
const SAVE_WAIT: Duration = Duration::from_secs(10);

/// Keeps tokens on disk, to be shared by the tasks and processes of one machine. Clones share
/// their queues, and stores that are opened apart work together as well.
///
/// ```no_run
/// use dropbox_sign_oauth::store::FileStore;
///
/// # fn f() -> Result<(), dropbox_sign_oauth::store::StoreError> {
/// // One file for all accounts: for a command line tool, or a handful of accounts.
/// let store = FileStore::single_file("/var/lib/example/tokens.json")?;
/// // A file for each account: for a service.
/// let store = FileStore::directory("/var/lib/example/tokens")?;
/// # Ok(())
/// # }
/// ```
///
/// # Files
///
/// In a directory, the account `acme` takes these files; `store.lock` stands beside them.
///
/// | file | what it is |
/// |---|---|
/// | `account-acme.json` | its record |
/// | `account-acme.lock` | locked while the record is replaced |
/// | `account-acme.lease` | locked while the account is refreshed |
/// | `account-acme.json.tmp` | a record that is being written |
///
/// Other bytes of a name than `a-z`, `0-9`, `-` and `_` are escaped as `%` and two hexadecimal
/// digits, and a long name is cut and its hash appended. For `tokens.json` as a single file, the
/// same are `tokens.json`, `tokens.json.lock`, `tokens.json.account-acme.lease` and
/// `tokens.json.tmp`.
///
/// **Leave the `.lock` and `.lease` files where they are.** They are empty and are never removed.
/// The lock is the operating system's and ends with the process that holds it, so that a file left
/// behind by a dead process blocks nobody. To remove one that is in use lets two processes in at
/// once.
///
/// # Durability
///
/// A record is written to a file of its own, synced, and renamed over the old one, and then the
/// directory is synced. A crash at any moment leaves the old record or the new one, whole. The
/// work is done by blocking tasks, which run to their end when a future is dropped.
///
/// A file that is damaged, or was written by a newer version, is never replaced or removed.
///
/// # Permissions
///
/// On Unix, files are created with mode 0600 and missing directories with 0700; there is no moment
/// at which they are open wider. The permissions of what exists are not changed, but a replaced
/// record is a new file, with mode 0600 and owned by whoever wrote it. A record that every user can
/// read or write, and a directory that every user can write to (without the sticky bit), are
/// refused with an error that names the `chmod` to use. Access for the group is accepted. On
/// Windows, files inherit the access rules of their directory.
///
/// # Where it works
///
/// On file systems that lock files, which is proved when the store is opened. Network file systems
/// often lock within one machine only: for several machines, use a store that is made for it.
///
/// # Format
///
/// UTF-8 JSON, the same for both layouts. `access_token`, `issued_at_ms` and `lifetime_ms` stand
/// together or are absent together; at least one of the two tokens stands.
///
/// ```json
/// {
///   "format": 1,
///   "accounts": [
///     {
///       "account": "acme",
///       "version": 3,
///       "access_token": "…",
///       "issued_at_ms": 1735689600000,
///       "lifetime_ms": 86400000,
///       "refresh_token": "…",
///       "presented_at_ms": 1735693200000
///     }
///   ]
/// }
/// ```
///
/// - `version` is a number from 1 to 2⁵³ − 1 that no other save of the account has.
/// - `issued_at_ms` is the time at which the token was asked for, in Unix milliseconds, up to the
///   end of the year 9999; `lifetime_ms` is how long it lives from then on, up to ten years.
/// - `presented_at_ms` is [the journal](Record::presented_at); absent when nothing is pending.
/// - No account stands twice. A file in a directory holds at least one account, and none whose name
///   belongs to another file.
/// - Unknown fields are ignored, and are gone with the next save; what must not be lost gets a new
///   `format`. A file with a higher `format` is left alone. No file exceeds 64 MiB.
///
/// Another program that writes such a file should replace it by renaming, hold the lock of its
/// `.lock` file meanwhile, and draw a new version.
#[derive(Clone)]
pub struct FileStore(Arc<Inner>);

struct Inner {
    /// What the store calls itself in errors.
    name: String,
    location: Location,
    disk: Disk,
}

impl FileStore {
    /// A store that keeps all accounts in one file. The file is created by the first save, its
    /// directory now if it is missing.
    ///
    /// Blocks for as long as it takes to look at a file and lock it.
    ///
    /// # Errors
    ///
    /// When the place cannot be written to, is open to every user, or cannot lock files. The
    /// contents of the file are not looked at yet.
    pub fn single_file(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open(path.as_ref(), Location::single_file)
    }

    /// A store that keeps a file for each account in one directory, which is created if it is
    /// missing.
    ///
    /// Blocks for as long as it takes to look at a directory and lock a file.
    ///
    /// # Errors
    ///
    /// As for [`single_file`](Self::single_file).
    pub fn directory(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open(path.as_ref(), Location::directory)
    }

    fn open(path: &Path, open: fn(&Path) -> Result<Location, Fault>) -> Result<Self, StoreError> {
        let name = |path: &Path| format!("file store {}", path.display());
        let location = open(path).map_err(|fault| fault.into_error(&name(path), None))?;
        Ok(Self(Arc::new(Inner {
            name: name(location.path()),
            location,
            disk: Disk::default(),
        })))
    }

    /// Does `work` where it may block. Once begun, it runs to its end.
    async fn blocking<T: Send + 'static>(
        &self,
        account: &AccountId,
        work: impl FnOnce(&Inner, &AccountId, &Files) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (inner, owned) = (Arc::clone(&self.0), account.clone());
        run_blocking(move || work(&inner, &owned, &inner.location.files(&owned)))
            .await
            .map_err(|fault| self.error(fault, account))
    }

    /// Keeps everybody else from replacing the account's file.
    async fn data_lock(&self, account: &AccountId) -> Result<Lock, StoreError> {
        let path = self.0.location.files(account).data_lock;
        match self.0.location.locks.acquire(path.clone(), SAVE_WAIT).await {
            Ok(Some(lock)) => Ok(lock),
            Ok(None) => Err(Fault::new(
                StoreErrorKind::Unavailable,
                format!("{} stays locked, a process may hang", path.display()),
            )),
            Err(fault) => Err(fault),
        }
        .map_err(|fault| self.error(fault, account))
    }

    fn error(&self, fault: Fault, account: &AccountId) -> StoreError {
        fault.into_error(&self.0.name, Some(account))
    }
}

#[async_trait]
impl TokenStore for FileStore {
    fn name(&self) -> &str {
        &self.0.name
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>, StoreError> {
        // Renaming is atomic, so that reading needs no lock; but on Windows it fails while
        // somebody reads.
        let lock = if cfg!(windows) {
            Some(self.data_lock(account).await?)
        } else {
            None
        };
        self.blocking(account, move |inner, account, files| {
            let _lock = lock;
            Ok(inner.read(account, files)?.get(account).cloned())
        })
        .await
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap, StoreError> {
        let lock = self.data_lock(account).await?;
        let record = record.clone();
        self.blocking(account, move |inner, account, files| {
            let _lock = lock;
            let mut accounts = inner.read(account, files)?;
            if accounts.version(account) != expected {
                return Ok(Swap::Conflict);
            }
            accounts.set(account, record)?;
            inner.disk.replace(&files.data, &accounts.encode()?)?;
            Ok(Swap::Saved)
        })
        .await
    }

    async fn delete(&self, account: &AccountId, expected: Version) -> Result<bool, StoreError> {
        let lock = self.data_lock(account).await?;
        self.blocking(account, move |inner, account, files| {
            let _lock = lock;
            let mut accounts = inner.read(account, files)?;
            if accounts.version(account) != Some(expected) {
                return Ok(false);
            }
            accounts.remove(account);
            if accounts.is_empty() && inner.location.removes_empty_files() {
                inner.disk.remove(&files.data)?;
            } else {
                inner.disk.replace(&files.data, &accounts.encode()?)?;
            }
            Ok(true)
        })
        .await
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>, StoreError> {
        let path = self.0.location.files(account).lease;
        let lock = self.0.location.locks.acquire(path, request.wait).await;
        lock.and_then(|lock| lock.ok_or_else(lease_timeout))
            .map(|lock| Box::new(FileLease { _lock: lock }) as Box<dyn Lease>)
            .map_err(|fault| self.error(fault, account))
    }
}

impl Inner {
    /// The contents of the account's file; none if there is no file.
    fn read(&self, account: &AccountId, files: &Files) -> Result<Accounts, Fault> {
        let Some(bytes) = self.disk.read(&files.data)? else {
            self.location.locks.check_place()?;
            return Ok(Accounts::default());
        };
        let accounts = Accounts::decode(&bytes)?;
        self.location.check_contents(account, &accounts)?;
        Ok(accounts)
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileStore")
            .field(self.0.location.layout())
            .finish()
    }
}

fn lease_timeout() -> Fault {
    Fault::new(
        StoreErrorKind::LeaseTimeout,
        "the lease is held by another refresh",
    )
}

/// Held until it is dropped, or its process dies: there is nothing to renew.
#[derive(Debug)]
struct FileLease {
    _lock: Lock,
}

#[async_trait]
impl Lease for FileLease {
    async fn release(self: Box<Self>) -> Result<(), StoreError> {
        Ok(())
    }
}

async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    finished(spawn_blocking(work)).await.unwrap_or_else(|| {
        Err(Fault::new(
            StoreErrorKind::Unavailable,
            "the runtime is shutting down",
        ))
    })
}
