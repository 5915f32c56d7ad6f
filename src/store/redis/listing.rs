//! The accounts of a store, by the names of its keys.

use std::collections::BTreeSet;

use super::{
    super::{
        AccountsPage, PageCursor, PageRequest, StoreError, StoreErrorKind,
        fault::{Fault, corrupt, server_words},
    },
    RedisStore,
    keys::{self, Named},
    scan::Scan,
};

impl RedisStore {
    pub(super) async fn page(&self, request: &PageRequest) -> Result<AccountsPage, StoreError> {
        let (name, prefix) = (&self.0.name, &self.0.prefix);
        let scan = Scan {
            pattern: keys::pattern(prefix),
            count: request.limit(),
        };
        let from = request.cursor().map(PageCursor::as_str);
        let scanned = self.0.connection.scan(&scan, from).await;
        let (keys, next) = scanned.map_err(|fault| fault.into_error(name, None))?;
        // The server may send a key twice.
        let mut accounts = BTreeSet::new();
        let mut errors = Vec::new();
        for key in keys {
            match keys::named(prefix, &key) {
                Named::Account(account) => {
                    accounts.insert(account);
                }
                Named::Nobody => errors.push(nobody_s(&key).into_error(name, None)),
                Named::ByAnotherStore => {}
            }
        }
        Ok(AccountsPage {
            accounts: accounts.into_iter().collect(),
            errors,
            next: next.map(PageCursor::new),
        })
    }
}

fn nobody_s(key: &[u8]) -> Fault {
    let key = server_words(String::from_utf8_lossy(key));
    corrupt(format!("no account has the key {key:?}")).with_help("rename or remove the key")
}

/// The fault of a cursor that no page of this store has.
pub(super) fn unknown_cursor() -> Fault {
    Fault::new(
        StoreErrorKind::Unsupported,
        "the cursor is not one of this store",
    )
    .with_help("begin with the first page")
}
