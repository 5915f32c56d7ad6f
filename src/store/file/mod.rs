//! Tokens on disk.

mod access;
mod directory;
mod disk;
mod entry;
mod fault;
mod files;
mod format;
mod layout;
mod links;
mod listing;
mod lock;
mod name;
mod os_lock;
mod queue;
mod readiness;
mod retry;
mod shown;
#[cfg(test)]
mod tests;
mod token_store;

#[cfg(any(test, dropbox_sign_oauth_fuzzing))]
pub(crate) use self::format::property::check_file;

use std::{fmt, path::Path, sync::Arc};

use tokio::sync::Semaphore;

use self::{disk::Disk, files::Files, layout::Location, lock::Locks, shown::shown};
use super::{StoreError, fault::Fault};

/// Keeps tokens on disk, for the tasks and processes of one machine. Any number of stores and clones
/// may use the same files at once.
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
/// In a directory, the account `acme` has these files. The file `store.lock` belongs to the store.
///
/// | file | purpose |
/// |---|---|
/// | `account-acme.json` | holds the record |
/// | `account-acme.lock` | locked while the record is replaced |
/// | `account-acme.lease` | locked while the account is refreshed |
/// | `account-acme.json.tmp` | holds a record that is being written |
///
/// In a file name, every byte of an account's name other than `a-z`, `0-9`, `-` and `_` becomes `%`
/// and two hexadecimal digits. A long name is cut, and its hash follows. A single file `tokens.json`
/// has the files `tokens.json.lock`, `tokens.json.account-acme.lease` and `tokens.json.tmp`.
///
/// A process that is killed during a save leaves a `.tmp` file, which holds tokens. The next store that
/// opens the location removes the file, and so does the next save or sign-out of the account.
///
/// **Do not remove the `.lock` and `.lease` files.** They are empty, and the store never removes them.
/// The operating system ends a lock with its process, so a file that a dead process left blocks
/// no process. If you remove a file that is in use, two processes can hold the same lock.
///
/// # Links
///
/// The store follows symbolic links anew at each operation: of its directory, of its single file and of
/// a record in its directory. The lock files and the temporary file stand beside the file to which the
/// link leads, and a save replaces that file. So two stores that reach one file by different links
/// exclude each other. Signing out removes the file and the link. A link that leads nowhere is an error.
///
/// # Durability
///
/// The store writes a record to a new file, syncs the file, renames it over the old file, and syncs
/// the directory. After a crash at any moment, the file holds the old record or the new record,
/// whole. A save that has begun runs to its end, even if its future is dropped.
///
/// The store never replaces or removes a file that is damaged or of a newer format.
///
/// # Permissions
///
/// On Unix, the store creates files with mode 0600 and missing directories with mode 0700. Files and
/// directories have these modes from their first moment on. The store changes no permissions of
/// existing files, but a saved record is a new file, with mode 0600 and the owner of the process.
/// The store refuses a record that every user can read or write, and a directory that every user can
/// write to and that has no sticky bit. The error names the `chmod` to use. Access for the group is
/// accepted. On Windows, files inherit the access rules of their directory.
///
/// # Owners
///
/// On Unix, the directory, the records, the temporary files and the lock files belong to the effective
/// user of the process or to root. If the process runs as root, only root may own them. The store refuses
/// the files of any other user, and neither reads nor replaces such a record. The error names the owner
/// and the `chown` to use. If the process runs as root, the error also names the user to run the program
/// as: after a `chown` to root, a service of that user could not read its files.
///
/// The error is the same if the process cannot open the other user's file. If root owns the file or the
/// directory that the process cannot open, the error names root and the `chown` as well.
///
/// A symbolic link belongs to one of these users as well, or to the owner of the directory in which the
/// link stands. In `/tmp`, for example, the store does not follow a link that another user planted.
///
/// The store does not check the owners of the directories above its own. The owner of such a directory
/// can lead the store elsewhere.
///
/// # In production
///
/// - Give the service a user of its own, and the store a directory of this user with mode 0700. Every
///   directory above belongs to root or to this user.
/// - In a container, mount a volume that belongs to root, as Kubernetes' volumes do, or to the process's
///   user. If the user is arbitrary, as in OpenShift, and the image's directory belongs to another user,
///   name a directory below it, which the store creates.
///
/// # Open files
///
/// A store has up to 32 loads and 32 saves under way, and holds up to 128 leases. Further ones queue. So
/// a store opens some 300 files at most, however many accounts there are. Many systems permit a process
/// 1,024 open files.
///
/// # Accounts and readiness
///
/// [`accounts`](super::TokenStore::accounts) lists a directory by the names of its files, in their order,
/// and opens only the files whose names were cut. A page of a directory costs a look at each name, and a
/// page of a single file costs the reading of the file. So pages of [the highest
/// limit](super::PageRequest::HIGHEST_LIMIT) suit a hundred thousand accounts. The store ignores the
/// other files of the directory. A name that begins with `account-` and ends with `.json`, and that no
/// account has, is one of the page's [errors](super::AccountsPage::errors).
///
/// [`check`](super::TokenStore::check) checks that the location is still there, that no other user can
/// replace files in the directory, and on Unix that the process may create files there. The check of a
/// single file also opens the file.
///
/// # File systems
///
/// The file system has to lock files; opening the store checks that. Network file systems often lock
/// within one machine only. For several machines, use a store on a server.
///
/// The file cannot be a mount point, since no file can be renamed over a mount point: mount the directory
/// into a container, not the file.
///
/// # Format
///
/// UTF-8 JSON, the same in both layouts. `access_token`, `issued_at_ms` and `lifetime_ms` are all
/// present or all absent. At least one of the two tokens is present.
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
///       "presented_at_ms": 1735693200000,
///       "refused_at_ms": 1735693201000,
///       "lineage": "1735689600000 af63dc4c8601ec8c"
///     }
///   ]
/// }
/// ```
///
/// - `version` is a number from 1 to 2⁵³ − 1. No other save of the account has the same number.
/// - `issued_at_ms` is the time of the token request in Unix milliseconds, up to the end of the year
///   9999. `lifetime_ms` is the lifetime from that time on in milliseconds, up to ten years.
/// - `presented_at_ms` is [the intent](super::Record::presented_at) in Unix milliseconds; absent if
///   the record has no intent. `refused_at_ms` is [the refusal](super::Record::refused_at) likewise.
/// - `lineage` is the text of [the lineage](super::Lineage); absent if the lineage is unknown.
/// - Each account is in the list once. A file in a directory holds at least one account, and only
///   accounts whose names belong to this file name.
/// - The store ignores unknown fields and drops them with the next save. Fields that must not be lost
///   get a new `format`. The store neither reads nor changes a file with a higher `format`.
/// - No file exceeds 64 MiB.
///
/// Another program that writes such a file has to lock the `.lock` file, draw a new version, and
/// replace the file by renaming.
#[derive(Clone)]
pub struct FileStore(Arc<Inner>);

/// How many loads of a store are under way at once, and how many saves and deletions. Each opens a few
/// files.
const MOST_OPERATIONS: usize = 32;

struct Inner {
    /// The name of the store in errors.
    name: String,
    location: Location,
    locks: Locks,
    disk: Disk,
    /// A load needs no lock, and waits for no save.
    loads: Semaphore,
    saves: Semaphore,
}

impl FileStore {
    /// Opens a store that keeps all accounts in one file. Creates the directory if it is missing. The
    /// first save creates the file.
    ///
    /// Blocks the thread while it creates and locks a file. Does not wait longer than ten seconds for the
    /// lock.
    ///
    /// # Errors
    ///
    /// If the directory cannot be written to, is open to other users, or cannot lock files, or if a link
    /// leads nowhere or was planted by another user. The file itself is not read yet.
    pub fn single_file(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open(path.as_ref(), Location::single_file)
    }

    /// Opens a store that keeps a file for each account in one directory. Creates the directory if it
    /// is missing.
    ///
    /// Blocks the thread while it creates and locks a file. Does not wait longer than ten seconds for the
    /// lock.
    ///
    /// # Errors
    ///
    /// As for [`single_file`](Self::single_file).
    pub fn directory(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        Self::open(path.as_ref(), Location::directory)
    }

    fn open(path: &Path, open: fn(&Path) -> Result<Location, Fault>) -> Result<Self, StoreError> {
        let name = |path: &Path| format!("file store {}", shown(path));
        let location = open(path).map_err(|fault| fault.into_error(&name(path), None))?;
        let name = name(location.path());
        Ok(Self(Arc::new(Inner::new(name, location, Disk::default()))))
    }
}

impl Inner {
    fn new(name: String, location: Location, disk: Disk) -> Self {
        Self {
            name,
            location,
            locks: Locks::default(),
            disk,
            loads: Semaphore::new(MOST_OPERATIONS),
            saves: Semaphore::new(MOST_OPERATIONS),
        }
    }
}

impl fmt::Debug for FileStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileStore")
            .field(self.0.location.layout())
            .finish()
    }
}
