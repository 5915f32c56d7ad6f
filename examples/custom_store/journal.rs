//! The store: a file to which each save appends a line.

use std::{
    collections::HashMap,
    fs::{File, OpenOptions, TryLockError},
    io::{self, Read, Write},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use async_trait::async_trait;
use dropbox_sign_oauth::{
    AccountId,
    store::{
        AccountsPage, Lease, LeaseRequest, PageRequest, Record, StoreError,
        StoreErrorKind, Swap, TokenStore, Version,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::{
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
    task::spawn_blocking,
    time::timeout,
};

type Result<T> = std::result::Result<T, StoreError>;

/// Keeps records in a journal, for one process. Clones share the journal.
///
/// The journal grows by a line for each save. A program that runs for years
/// would write the last line of each account into a new journal now and then.
/// A new journal survives a crash of the system once its folder is synced.
#[derive(Clone, Debug)]
pub(crate) struct JournalStore {
    name: Arc<str>,
    journal: Arc<Mutex<Journal>>,
    leases: Arc<Mutex<HashMap<AccountId, Arc<AsyncMutex<()>>>>>,
}

#[derive(Debug)]
struct Journal {
    /// Locked, so that no second process appends to it.
    file: File,
    /// The end of the last line that was saved.
    end: u64,
    /// The last line of each account. A record that cannot be read is an
    /// error for as long as the line is there, and is never overwritten.
    records: HashMap<AccountId, Result<Record>>,
}

/// A line of the journal.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    account: String,
    /// `None` after a deletion.
    #[serde(borrow)]
    record: Option<&'a RawValue>,
}

impl JournalStore {
    /// Opens the journal, or creates it. A journal is for one process: another
    /// process gets an error.
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let name = format!("journal {}", path.display());
        let failed = |error| failure(&name, error);
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        // The tokens are for this user alone.
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(path).map_err(failed)?;
        file.try_lock().map_err(|error| match error {
            TryLockError::Error(error) => failed(error),
            TryLockError::WouldBlock => {
                let kind = StoreErrorKind::Unavailable;
                let message = "another process uses the journal";
                let error = StoreError::new(kind, &*name, message);
                error.with_help("stop the other process")
            }
        })?;
        let journal = Journal::read(file, &name)?;
        Ok(Self {
            name: name.into(),
            journal: Arc::new(Mutex::new(journal)),
            leases: Arc::default(),
        })
    }

    /// Works on the journal in a thread for blocking work. Such work is not
    /// cancelled: it takes effect whole, even if the caller has gone.
    async fn with_journal<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Journal) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let journal = Arc::clone(&self.journal);
        let done = spawn_blocking(move || {
            work(&mut journal.lock().unwrap_or_else(PoisonError::into_inner))
        });
        let done = done.await;
        done.map_err(|error| failure(&self.name, io::Error::other(error)))?
    }

    fn label(&self, account: &AccountId) -> impl Fn(StoreError) -> StoreError {
        let (name, account) = (Arc::clone(&self.name), account.clone());
        move |error| error.with_store(&*name).with_account(&account)
    }
}

impl Journal {
    fn read(mut file: File, name: &str) -> Result<Self> {
        let failed = |error| failure(name, error);
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(failed)?;
        // A line without an end is a save that was never acknowledged.
        let last = text.iter().rposition(|byte| *byte == b'\n');
        text.truncate(last.map_or(0, |last| last + 1));
        let end = text.len() as u64;

        let mut records = HashMap::new();
        let lines = text.split(|byte| *byte == b'\n');
        for (number, line) in lines.enumerate() {
            if line.is_empty() {
                continue;
            }
            let Ok(line) = serde_json::from_slice::<Line>(line) else {
                let message = format!("line {} is damaged", number + 1);
                let kind = StoreErrorKind::Corrupt;
                return Err(StoreError::new(kind, name, message));
            };
            let account = AccountId::new(line.account);
            match line.record {
                Some(record) => {
                    let record = Record::from_json(record.get().as_bytes());
                    records.insert(account, record);
                }
                None => drop(records.remove(&account)),
            }
        }
        Ok(Self { file, end, records })
    }

    fn get(&self, account: &AccountId) -> Result<Option<Record>> {
        self.records.get(account).cloned().transpose()
    }

    /// Appends a line after the last line that was saved.
    fn append(
        &mut self,
        account: &AccountId,
        record: Option<&Record>,
    ) -> Result<()> {
        let failed = |error: io::Error| failure("journal", error);
        let json = record.map(Record::to_json).transpose()?;
        let json = json.as_ref().map(|json| json.expose_secret());
        let raw = json.map(serde_json::from_str::<&RawValue>).transpose();
        let line = Line {
            account: account.as_str().to_owned(),
            record: raw.map_err(|error| failed(error.into()))?,
        };
        let line = serde_json::to_vec(&line);
        let mut line = line.map_err(|error| failed(error.into()))?;
        line.push(b'\n');

        // An earlier save that failed may have left a part of a line.
        self.file.set_len(self.end).map_err(failed)?;
        self.file.write_all(&line).map_err(failed)?;
        self.file.sync_data().map_err(failed)?;
        self.end += line.len() as u64;
        Ok(())
    }
}

#[async_trait]
impl TokenStore for JournalStore {
    fn name(&self) -> &str {
        &self.name
    }

    async fn load(&self, account: &AccountId) -> Result<Option<Record>> {
        let id = account.clone();
        let loaded = self.with_journal(move |journal| journal.get(&id)).await;
        loaded.map_err(self.label(account))
    }

    async fn compare_and_swap(
        &self,
        account: &AccountId,
        expected: Option<Version>,
        record: &Record,
    ) -> Result<Swap> {
        let (id, record) = (account.clone(), record.clone());
        let swap = self.with_journal(move |journal| {
            let stored = journal.get(&id)?;
            if stored.map(|stored| stored.version) != expected {
                return Ok(Swap::Conflict);
            }
            journal.append(&id, Some(&record))?;
            journal.records.insert(id, Ok(record));
            Ok(Swap::Saved)
        });
        swap.await.map_err(self.label(account))
    }

    async fn delete(
        &self,
        account: &AccountId,
        expected: Version,
    ) -> Result<bool> {
        let id = account.clone();
        let deleted = self.with_journal(move |journal| {
            let stored = journal.get(&id)?;
            if stored.map(|stored| stored.version) != Some(expected) {
                return Ok(false);
            }
            journal.append(&id, None)?;
            journal.records.remove(&id);
            Ok(true)
        });
        deleted.await.map_err(self.label(account))
    }

    async fn lease(
        &self,
        account: &AccountId,
        request: LeaseRequest,
    ) -> Result<Box<dyn Lease>> {
        let lock = {
            let leases = self.leases.lock();
            let mut leases = leases.unwrap_or_else(PoisonError::into_inner);
            Arc::clone(leases.entry(account.clone()).or_default())
        };
        match timeout(request.wait, lock.lock_owned()).await {
            Ok(guard) => Ok(Box::new(JournalLease { _guard: guard })),
            Err(_) => {
                let kind = StoreErrorKind::LeaseTimeout;
                let message = "another task holds the lease";
                let error = StoreError::new(kind, self.name(), message);
                Err(error.with_account(account))
            }
        }
    }

    async fn accounts(&self, request: &PageRequest) -> Result<AccountsPage> {
        let request = request.clone();
        let page = self.with_journal(move |journal| {
            let names = journal.records.keys().cloned();
            Ok(AccountsPage::of_all(names, &request))
        });
        page.await
    }

    async fn check(&self) -> Result<()> {
        let name = Arc::clone(&self.name);
        let check = self.with_journal(move |journal| {
            let metadata = journal.file.metadata();
            metadata.map(drop).map_err(|error| failure(&name, error))
        });
        check.await
    }
}

/// Holds until it is dropped: the process has the journal to itself, so the
/// lease need not outlive the process.
#[derive(Debug)]
struct JournalLease {
    _guard: OwnedMutexGuard<()>,
}

#[async_trait]
impl Lease for JournalLease {
    async fn release(self: Box<Self>) -> Result<()> {
        Ok(())
    }
}

fn failure(name: &str, error: io::Error) -> StoreError {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied => StoreErrorKind::AccessDenied,
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::ReadOnlyFilesystem => StoreErrorKind::Unwritable,
        _ => StoreErrorKind::Unavailable,
    };
    StoreError::new(kind, name, "the journal failed").with_source(error)
}

/// What a crash in the middle of a save leaves.
pub(crate) fn append_part_of_a_line(path: &Path) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(path)?;
    file.write_all(br#"{"account":"acme","rec"#)
}
